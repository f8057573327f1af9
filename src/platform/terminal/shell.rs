//! The program that a shell on a pseudo-terminal begins as.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use rustix::process::{ioctl_tiocsctty, setsid};
use rustix::stdio::stdin;
use rustix::termios::isatty;

/// Makes the terminal that is standard input the controlling one of a session of its own, and becomes the program. Returns only when
/// that was not possible.
///
/// # Errors
/// The program cannot be started.
pub fn become_program(words: &[String]) -> io::Error {
    // Fails only when this process leads a session already.
    let _ = setsid();
    if isatty(stdin())
        && let Err(error) = ioctl_tiocsctty(stdin())
    {
        return error.into();
    }
    match words.split_first() {
        Some((program, arguments)) => Command::new(program).args(arguments).exec(),
        None => io::ErrorKind::InvalidInput.into(),
    }
}
