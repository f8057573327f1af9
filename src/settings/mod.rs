//! Where every setting comes from: flags, environment, profile, region table. Resolved once, each with its origin.

pub mod env;
