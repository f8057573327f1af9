//! Running jobs as local processes.
//!
//! A job is a [`plan::JobPlan`]. [`prepare`] gives each of its tasks a folder laid out like the cloud's container, fetches code and
//! inputs into it and writes a [`spec::TaskSpec`]; [`task`] is the supervisor process that carries one out and outlives the platform;
//! [`container`] makes it run a custom image; [`keep`] brings logs and outputs to the object store. Nothing here knows API documents:
//! `modelarts` does.

pub mod boot;
pub mod cards;
pub mod container;
pub mod environment;
pub mod error;
pub mod hosts;
pub mod keep;
pub mod layout;
pub mod meeting;
pub mod plan;
pub mod prepare;
pub mod process;
pub mod spec;
pub mod task;
pub mod transfer;
pub mod usage;

pub use error::Error;
