//! The two sides that a shell can be on: a pseudo-terminal or pipes.

use std::io;
use std::os::fd::OwnedFd;
use std::process::Stdio;

use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use tokio::fs::File;
use tokio::io::AsyncWriteExt as _;
use tokio::process::ChildStdin;

/// What a terminal takes as the end of what is typed (Ctrl-D), on a line of its own.
const END_OF_INPUT: u8 = 4;

/// The platform's side of a pseudo-terminal. Reads and writes wait on threads of the runtime's pool.
#[derive(Debug)]
pub(super) struct Terminal {
    output: File,
    input: File,
    side: OwnedFd,
}

impl Terminal {
    /// Opens one; returns its two sides.
    pub(super) fn open(rows: u16, columns: u16) -> io::Result<(Self, OwnedFd)> {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let side = openpt(flags)?;
        grantpt(&side)?;
        unlockpt(&side)?;
        let theirs = ioctl_tiocgptpeer(&side, flags)?;
        let copy = || side.try_clone().map(|copy| File::from_std(copy.into()));
        let terminal = Self { output: copy()?, input: copy()?, side };
        resize(&terminal.side, rows, columns)?;
        Ok((terminal, theirs))
    }

    /// What is read of it, which fails when nobody has its other side open any more, and what is typed into it.
    pub(super) fn split(self) -> (File, Input) {
        (self.output, Input::Terminal { file: self.input, side: self.side })
    }
}

fn resize(side: &OwnedFd, rows: u16, columns: u16) -> io::Result<()> {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    Ok(tcsetwinsize(side, size)?)
}

async fn write_now(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes).await?;
    file.flush().await
}

/// Where what is typed goes.
#[derive(Debug)]
pub(super) enum Input {
    Terminal {
        file: File,
        side: OwnedFd,
    },
    /// `None` once nothing more will be typed.
    Pipe(Option<ChildStdin>),
}

impl Input {
    pub(super) async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Terminal { file, .. } => write_now(file, bytes).await,
            Self::Pipe(Some(pipe)) => match pipe.write_all(bytes).await {
                // A program that does not read is none of ours.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
                done => done,
            },
            Self::Pipe(None) => Ok(()),
        }
    }

    pub(super) async fn end(&mut self) -> io::Result<()> {
        match self {
            Self::Terminal { file, .. } => write_now(file, &[END_OF_INPUT]).await,
            Self::Pipe(pipe) => {
                *pipe = None;
                Ok(())
            }
        }
    }

    pub(super) fn resize(&self, rows: u16, columns: u16) -> io::Result<()> {
        match self {
            Self::Terminal { side, .. } => resize(side, rows, columns),
            Self::Pipe(_) => Ok(()),
        }
    }
}

/// The shell's side of a pseudo-terminal as its three streams.
pub(super) fn streams(theirs: OwnedFd) -> io::Result<[Stdio; 3]> {
    let file = std::fs::File::from(theirs);
    Ok([Stdio::from(file.try_clone()?), Stdio::from(file.try_clone()?), Stdio::from(file)])
}
