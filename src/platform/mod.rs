//! The embedded platform: ModelArts, OBS and IAM on one machine, on the same REST API, running what it is given.
//!
//! It shares no types with `api`, `obs` or `http`: client and server are each checked against the catalogues, so that they
//! cannot agree on the same mistake. Only `runner` uses `copy` and `obs`, to fetch code and inputs and to keep outputs.

pub mod obs;
pub mod state;
