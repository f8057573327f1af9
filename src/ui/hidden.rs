//! A line that is typed without being shown.

use std::fs::File;
use std::io::{self, Read as _};
use std::sync::Once;

use rustix::stdio::stdin;
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};
use zeroize::Zeroize as _;

use crate::auth::secret::Secret;

/// More than a terminal hands over at once.
const LONGEST: usize = 4096;

/// What was typed.
pub(super) enum Line {
    Text(Secret),
    /// Ctrl-D, or the terminal is gone.
    End,
    /// Ctrl-C or Ctrl-\.
    Interrupted,
}

/// The terminal shows nothing of what is typed. Dropped, it is as it was before; a signal that ends the process puts it back too.
pub(super) struct Hidden {
    before: Termios,
}

impl Hidden {
    /// Hides what is typed from now on.
    pub(super) fn enter() -> io::Result<Self> {
        let before = tcgetattr(stdin())?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ISIG);
        hidden.local_modes.insert(LocalModes::ICANON);
        // The keys that would end the process end the line instead, and come with it.
        hidden.special_codes[SpecialCodeIndex::VEOL] = before.special_codes[SpecialCodeIndex::VINTR];
        hidden.special_codes[SpecialCodeIndex::VEOL2] = before.special_codes[SpecialCodeIndex::VQUIT];
        restore_when_ended(&before);
        tcsetattr(stdin(), OptionalActions::Now, &hidden)?;
        Ok(Self { before })
    }

    /// Reads one line. Erasing and the like are up to the terminal, as ever.
    pub(super) fn read(&self, mut input: File) -> io::Result<Line> {
        let mut buffer = [0; LONGEST];
        let length = loop {
            match input.read(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        let line = self.understood(&buffer[..length]);
        buffer.zeroize();
        line
    }

    fn understood(&self, typed: &[u8]) -> io::Result<Line> {
        let code = |index| Some(self.before.special_codes[index]).filter(|code| *code != 0);
        let [interrupt, quit, suspend] = [SpecialCodeIndex::VINTR, SpecialCodeIndex::VQUIT, SpecialCodeIndex::VSUSP].map(code);
        let Some(last) = typed.last().copied() else { return Ok(Line::End) };
        if Some(last) == interrupt || Some(last) == quit {
            return Ok(Line::Interrupted);
        }
        let end = typed.len() - typed.iter().rev().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
        // A key that stops programs does nothing here, and is no part of a secret.
        let mut bytes: Vec<u8> = typed[..end].iter().copied().filter(|byte| Some(*byte) != suspend).collect();
        let text = str::from_utf8(&bytes).map(Secret::from);
        bytes.zeroize();
        text.map(Line::Text).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "what was typed is not UTF-8"))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        restore(&self.before);
    }
}

fn restore(before: &Termios) {
    // A terminal that is gone needs nothing.
    let _ = tcsetattr(stdin(), OptionalActions::Now, before);
}

/// Once a handler stands it stands for good, so it does what the signals do by themselves: it ends the process.
fn restore_when_ended(before: &Termios) {
    static ONCE: Once = Once::new();
    let Ok(runtime) = Handle::try_current() else { return };
    ONCE.call_once(|| {
        for (kind, exit_code) in [(SignalKind::interrupt(), 130), (SignalKind::terminate(), 143), (SignalKind::hangup(), 129)] {
            let Ok(mut ends) = signal(kind) else { continue };
            let before = before.clone();
            runtime.spawn(async move {
                if ends.recv().await.is_some() {
                    restore(&before);
                    exit(exit_code);
                }
            });
        }
    });
}

#[expect(clippy::exit, clippy::disallowed_methods, reason = "a signal ends the process whatever it is doing")]
fn exit(code: i32) -> ! {
    std::process::exit(code)
}
