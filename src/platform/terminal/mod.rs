//! A shell in a running task, over an upgraded HTTP connection.
//!
//! The protocol `ma-terminal` is the platform's own: both sides send [`frame`]s. [`session`] runs the shell in the task's environment,
//! on a pseudo-terminal or with pipes, until it ends, the client leaves or the task ends; [`shell`] is the program that makes a
//! pseudo-terminal its controlling one before it becomes the shell.

pub mod frame;
mod input;
pub mod session;
pub mod shell;
