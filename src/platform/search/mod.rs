//! Search for good hyperparameters: which values to try next, and the program that tries them.
//!
//! [`plan`] says what is searched and how, [`sampler`] proposes points of a [`space`], [`drive`] is the process that runs trials in
//! place of a task's own program and leaves what it knows in a file, which [`report`] reads and writes. Nothing here knows API
//! documents: `modelarts::autosearch` does.

mod anneal;
pub mod drive;
mod gaussian;
mod grid;
pub mod plan;
pub mod report;
pub mod reward;
pub mod sampler;
pub mod space;
mod tpe;
mod trial;
