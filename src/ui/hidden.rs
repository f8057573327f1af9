//! A question for a secret, which leaves the terminal as it was however it ends.

use std::io;
use std::sync::mpsc::{self, Sender};
use std::sync::{Mutex, Once, PoisonError};
use std::thread;

use dialoguer::Password;
use rustix::stdio::stdin;
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};

/// What ended the question.
enum End {
    Answer(dialoguer::Result<String>),
    /// A signal, as the exit code that it makes.
    Signal(i32),
}

/// The exit code after Ctrl-C.
const INTERRUPTED: i32 = 130;

/// Who is to hear of a signal; `None` while nothing is asked.
static ASKING: Mutex<Option<Sender<End>>> = Mutex::new(None);

/// Asks without showing what is typed; `None` after Ctrl-C. The end of the input counts as an empty answer.
///
/// The library that reads takes the signals' default, which would end the process with the terminal still silent; so it reads in a thread
/// of its own, which is left behind when a signal comes first.
pub(super) fn ask(question: String) -> io::Result<Option<String>> {
    let before = tcgetattr(stdin())?;
    let (ended, end) = mpsc::channel();
    set_asking(Some(ended.clone()));
    watch_signals();
    thread::spawn(move || {
        let answer = Password::new().with_prompt(question).allow_empty_password(true).interact();
        // Nobody listens after a signal.
        let _ = ended.send(End::Answer(answer));
    });
    let end = end.recv();
    set_asking(None);
    match end {
        Ok(End::Answer(Ok(answer))) => Ok(Some(answer)),
        Ok(End::Answer(Err(dialoguer::Error::IO(error)))) => Err(error),
        Ok(End::Signal(code)) => {
            // A terminal that is gone needs nothing.
            let _ = tcsetattr(stdin(), OptionalActions::Now, &before);
            if code == INTERRUPTED { Ok(None) } else { exit(code) }
        }
        Err(_) => Err(io::Error::other("nothing was read")),
    }
}

fn set_asking(who: Option<Sender<End>>) {
    *ASKING.lock().unwrap_or_else(PoisonError::into_inner) = who;
}

/// Once a signal is watched its default is gone for good: between questions the process still ends as it would have.
fn watch_signals() {
    static ONCE: Once = Once::new();
    let Ok(runtime) = Handle::try_current() else { return };
    ONCE.call_once(|| {
        for (kind, code) in
            [(SignalKind::interrupt(), INTERRUPTED), (SignalKind::terminate(), 143), (SignalKind::hangup(), 129)]
        {
            let Ok(mut signals) = signal(kind) else { continue };
            runtime.spawn(async move {
                while signals.recv().await.is_some() {
                    let asking = ASKING.lock().unwrap_or_else(PoisonError::into_inner).take();
                    if asking.is_none_or(|asking| asking.send(End::Signal(code)).is_err()) {
                        exit(code);
                    }
                }
            });
        }
    });
}

#[expect(clippy::exit, clippy::disallowed_methods, reason = "a signal ends the process whatever it is doing")]
fn exit(code: i32) -> ! {
    std::process::exit(code)
}
