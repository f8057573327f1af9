//! Behaviour on a real terminal: tmux gives one and lets us read the screen.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::{Home, binary};

/// A shell on a terminal of its own.
pub(crate) struct Terminal {
    socket: String,
    pub(crate) home: Home,
}

impl Terminal {
    fn open() -> Self {
        Self::open_shell(Home::new(), "PATH=/usr/bin:/bin PS1='ready> ' sh")
    }

    /// A terminal with that shell, after the words that `env` takes; it has to come up with the prompt `ready>`.
    pub(crate) fn open_shell(home: Home, shell: &str) -> Self {
        let socket = home.path().join("tmux").to_str().unwrap().to_owned();
        let terminal = Self { socket, home };
        let shell = format!("env -i HOME={} TERM=xterm {shell}", terminal.home.path().display());
        let folder = terminal.home.path().to_str().unwrap().to_owned();
        terminal.tmux(&["-f", "/dev/null", "new-session", "-d", "-x", "120", "-y", "40", "-c", &folder, &shell]);
        terminal.wait_for("ready>");
        terminal
    }

    pub(crate) fn tmux(&self, arguments: &[&str]) -> String {
        let output = Command::new("tmux").args(["-S", &self.socket]).args(arguments).output();
        let output = output.unwrap_or_else(|error| panic!("tmux is needed for this test (scripts/test installs it): {error}"));
        assert!(output.status.success(), "tmux {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn type_line(&self, line: &str) {
        self.tmux(&["send-keys", "-l", line]);
        self.tmux(&["send-keys", "Enter"]);
    }

    pub(crate) fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// Polls until the text is on the screen.
    pub(crate) fn wait_for(&self, text: &str) -> String {
        self.wait_until(text, true)
    }

    /// Polls until the text is not on the screen.
    pub(crate) fn wait_for_none(&self, text: &str) -> String {
        self.wait_until(text, false)
    }

    fn wait_until(&self, text: &str, is_there: bool) -> String {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let screen = self.screen();
            if screen.contains(text) == is_there {
                return screen;
            }
            let state = if is_there { "does not come up" } else { "does not go" };
            assert!(Instant::now() < deadline, "[{text}] {state}:\n{screen}");
            std::thread::yield_now();
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // The server ends with its last session.
        let _ = Command::new("tmux").args(["-S", &self.socket, "kill-server"]).output();
    }
}

#[test]
fn secrets_are_asked_for_and_not_echoed() {
    let terminal = Terminal::open();
    terminal.type_line(&format!("{} configure --auth AKSK -r cn-north-4", binary().display()));
    terminal.wait_for("access key:");
    terminal.type_line("VISIBLEKEY");
    terminal.wait_for("secret key:");
    terminal.type_line("VISIBLESECRET");
    let screen = terminal.wait_for("[OK] Successfully saved profile [DEFAULT]");
    assert!(!screen.contains("VISIBLE"), "{screen}");
    let text = fs::read_to_string(terminal.home.profile_file()).unwrap();
    assert!(text.contains("access_key: VISIBLEKEY\n  secret_key: VISIBLESECRET\n"), "{text}");
}

#[test]
fn an_interrupt_at_a_hidden_question_ends_with_130_and_leaves_the_terminal_as_it_was() {
    let terminal = Terminal::open();
    // A shell that does not put the terminal right by itself.
    let ask = |number: u8| {
        let asked = format!("echo; echo {number}pid=$$; exec {} configure --auth AKSK -r cn-north-4", binary().display());
        terminal.type_line(&format!("clear; sh -c '{asked}'; echo {number}code=$?"));
        // What is asked before may still be on the screen.
        terminal.wait_for(&format!("\n{number}pid="));
        terminal.wait_for("access key:")
    };
    let expect_restored = |number: u8| {
        let modes = "tr ' ' '\\n' | grep -Exq -- '-(echo|isig|icanon)'";
        terminal.type_line(&format!("stty -a | {modes}; echo {number}silent=$?"));
        terminal.wait_for(&format!("{number}silent=1"));
    };
    ask(1);
    terminal.tmux(&["send-keys", "C-c"]);
    terminal.wait_for("access key:\n[ERROR] interrupted\n1code=130");
    expect_restored(1);
    let screen = ask(2);
    let pid = screen.lines().find_map(|line| line.strip_prefix("2pid=")).unwrap().to_owned();
    assert!(Command::new("kill").arg(&pid).status().unwrap().success());
    terminal.wait_for("2code=143");
    expect_restored(2);
    // A question that was answered leaves nothing behind that would disturb the next one.
    ask(4);
    terminal.type_line("AKID");
    terminal.wait_for("secret key:");
    terminal.tmux(&["send-keys", "C-c"]);
    terminal.wait_for("secret key:\n[ERROR] interrupted\n4code=130");
    expect_restored(4);
    ask(3);
    terminal.tmux(&["send-keys", "C-d"]);
    terminal.wait_for("access key: [hidden]\n[ERROR] the access key is empty\n");
    terminal.wait_for("3code=2");
    expect_restored(3);
    assert!(!terminal.home.profile_file().exists());
}

#[test]
fn deleting_is_asked_for_and_a_no_is_a_no() {
    let terminal = Terminal::open();
    terminal.type_line(&format!("{} platform start --slots 1 >start.log; echo code=$?", binary().display()));
    terminal.wait_for("code=0");
    an_interrupt_at_the_question_of_a_copy_ends_it(&terminal);
    terminal.type_line(&format!("{} platform stop >stop.log; echo stop=$?", binary().display()));
    terminal.wait_for("stop=0");
    terminal.type_line(&format!("clear; {} platform reset; echo unanswered=$?", binary().display()));
    terminal.wait_for("[y/N]");
    terminal.tmux(&["send-keys", "C-d"]);
    let screen = terminal.wait_for("unanswered=1");
    assert!(screen.contains("[y/N]:\n[ERROR] nothing was done, as the question was not answered\n"), "{screen}");
    terminal.type_line(&format!("clear; {} platform reset; echo reset=$?", binary().display()));
    terminal.wait_for("[y/N]");
    terminal.type_line("n");
    let screen = terminal.wait_for("reset=");
    assert!(!screen.contains("reset=0"), "{screen}");
    assert!(terminal.home.path().join(".modelarts/platform/state.sqlite").exists());
}

/// The copy has taken Ctrl-C on itself by then.
fn an_interrupt_at_the_question_of_a_copy_ends_it(terminal: &Terminal) {
    let tool = format!("{} -P local", binary().display());
    fs::create_dir(terminal.home.path().join("data")).unwrap();
    fs::write(terminal.home.path().join("data/stays"), "1").unwrap();
    fs::write(terminal.home.path().join("data/goes"), "2").unwrap();
    let copy = format!("{tool} obs-copy data obs://mirror/ --drop-last-dir");
    terminal.type_line(&format!("{tool} obs mb obs://mirror && {copy} >copy.log; echo copied=$?"));
    terminal.wait_for("copied=0");
    fs::remove_file(terminal.home.path().join("data/goes")).unwrap();
    terminal.type_line(&format!("clear; {copy} --delete"));
    terminal.wait_for("that the source does not have? [y/N]");
    terminal.tmux(&["send-keys", "C-c"]);
    terminal.wait_for("interrupted");
    terminal.type_line("echo interrupt=$?");
    terminal.wait_for("interrupt=130");
    terminal.type_line(&format!("{tool} obs ls obs://mirror/ -F csv --no-header --columns key"));
    terminal.wait_for("goes");
}
