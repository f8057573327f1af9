//! `ma-job shell` on a platform: with pipes, and on a real terminal (tmux gives one).

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::fake_service::FakeService;
use crate::support::{Home, LocalPlatform, Output, binary};

const DEADLINE: Duration = Duration::from_secs(60);

/// A job that sleeps; its id. It runs when this returns.
fn running(platform: &LocalPlatform) -> String {
    let options = ["--train-instance-type", "modelarts.vm.cpu.1u", "--env-variables", "COLOUR=blue"];
    let command = ["ma-job", "submit", "--user-command", "echo asleep; sleep 600", "-q", "--query", "metadata.id"];
    let output = platform.run(&[&command[..], &options].concat());
    assert_eq!(output.code, 0, "{output:?}");
    let id = output.stdout.trim().to_owned();
    until("the job", || platform.run(&["ma-job", "get-log", "-i", &id]).stdout.contains("\nasleep").then_some(()));
    id
}

fn until<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(started.elapsed() < DEADLINE, "{what} is waited for");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn typed(platform: &LocalPlatform, arguments: &[&str], input: &str) -> Output {
    platform.home.run_with(arguments, &[("MA_CLI_PROFILE", "local")], input)
}

#[test]
fn a_command_runs_in_the_task_with_its_streams_and_exit_code() {
    let platform = LocalPlatform::start();
    let id = running(&platform);
    let script = "echo $COLOUR $MA_TASK_NAME; pwd; echo odd >&2; tty; exit 7";
    let output = platform.run(&["ma-job", "shell", &id, "--", "bash", "-c", script]);
    let lines: Vec<&str> = output.stdout.lines().collect();
    assert_eq!((output.code, output.stderr.as_str()), (7, "odd\n"), "{output:?}");
    assert!(lines[0] == "blue worker" && lines[1].ends_with("worker-0/home/ma-user") && lines[2] == "not a tty", "{output:?}");
    // What goes in comes out, to the last byte; a shell reads its commands from there.
    let text = "0123456789abcdef\n".repeat(20_000);
    let output = typed(&platform, &["ma-job", "shell", "-i", &id, "-t", "worker-0", "--", "cat"], &text);
    assert!(output.code == 0 && output.stdout == text, "{} bytes of {}", output.stdout.len(), text.len());
    let output = typed(&platform, &["ma-job", "shell", &id], "echo $COLOUR\nexit 300\n");
    assert_eq!((output.stdout.as_str(), output.code), ("blue\n", 44), "{output:?}");
    assert_eq!(platform.run(&["ma-job", "shell", &id, "--", "no-such-program"]).code, 127);

    assert_eq!(platform.run(&["ma-job", "shell", "no-such-job"]).code, 5);
    let output = platform.run(&["ma-job", "shell", &id, "-t", "worker-7"]);
    assert!(output.code == 5 && output.stderr.contains("worker-7"), "{output:?}");

    // What a shell leaves in the background ends with the task, and a shell that is open is told.
    let mut open = platform.home.command();
    let file = platform.home.path().join("sleeper");
    let script = format!("sleep 6543 & echo $! >{0}.new; mv {0}.new {0}; wait", file.display());
    open.args(["ma-job", "shell", &id, "--", "bash", "-c", &script]).env("MA_CLI_PROFILE", "local");
    let open = open.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let sleeper = until("the sleeper", || std::fs::read_to_string(&file).ok());
    let sleeps =
        || std::fs::read_to_string(format!("/proc/{}/cmdline", sleeper.trim())).is_ok_and(|line| line.contains("6543"));
    assert!(sleeps());
    assert_eq!(platform.run(&["ma-job", "stop", "-i", &id, "-y"]).code, 0);
    let ended = open.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(137), "{ended:?}");
    until("the end of the sleeper", || (!sleeps()).then_some(()));
    let output = until("the end of the job", || {
        let output = platform.run(&["ma-job", "shell", &id]);
        output.stderr.contains("is Terminated").then_some(output)
    });
    assert!(output.code == 1 && output.stderr.contains("not running"), "{output:?}");
}

#[test]
fn a_command_that_does_not_read_its_input_is_heard_to_its_end() {
    let (home, service) = (Home::new(), FakeService::start(&["worker-0"], |_, _| {}));
    for attempt in 0..20 {
        let mut command = service.command(&home, &["ma-job", "shell", "j1", "--", "true"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        let feeding = std::thread::spawn(move || while input.write_all(&[b'y'; 4096]).is_ok() {});
        let output = child.wait_with_output().unwrap();
        feeding.join().unwrap();
        assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(3), &b"said\n"[..]), "{attempt}: {output:?}");
    }
}

/// A shell of the user's on a terminal of 40 rows and 120 columns.
struct Terminal {
    socket: String,
}

impl Terminal {
    fn open(platform: &LocalPlatform) -> Self {
        let home = platform.home.path().to_str().unwrap();
        let terminal = Self { socket: format!("{home}/tmux") };
        let shell = format!("env -i HOME={home} PATH=/usr/bin:/bin TERM=xterm MA_CLI_PROFILE=local PS1='ready> ' sh");
        terminal.tmux(&["-f", "/dev/null", "new-session", "-d", "-x", "120", "-y", "40", "-c", home, &shell]);
        terminal.wait_for("ready>");
        terminal
    }

    fn tmux(&self, arguments: &[&str]) -> String {
        let output = Command::new("tmux").args(["-S", &self.socket]).args(arguments).output();
        let output = output.unwrap_or_else(|error| panic!("tmux is needed for this test (scripts/test installs it): {error}"));
        assert!(output.status.success(), "tmux {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn type_line(&self, line: &str) {
        self.tmux(&["send-keys", "-l", line]);
        self.tmux(&["send-keys", "Enter"]);
    }

    fn wait_for(&self, text: &str) -> String {
        let screen = || self.tmux(&["capture-pane", "-p"]);
        let started = Instant::now();
        loop {
            let shown = screen();
            if shown.contains(text) {
                return shown;
            }
            assert!(started.elapsed() < DEADLINE, "[{text}] does not come up:\n{shown}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = Command::new("tmux").args(["-S", &self.socket, "kill-server"]).output();
    }
}

#[test]
fn a_shell_on_a_terminal_knows_its_size_takes_keys_and_gives_the_terminal_back() {
    let platform = LocalPlatform::start();
    let id = running(&platform);
    let terminal = Terminal::open(&platform);
    let open = format!("{} ma-job shell {id}; echo code=$?", binary().display());
    terminal.type_line(&open);
    terminal.wait_for("[worker-0]");
    terminal.type_line("stty size; echo $TERM $COLOUR; tty");
    let shown = terminal.wait_for("/dev/pts/");
    assert!(shown.contains("40 120") && shown.contains("xterm blue"), "{shown}");
    terminal.tmux(&["resize-window", "-x", "100", "-y", "30"]);
    terminal.type_line("until stty size | grep '^30 100$'; do sleep 0.05; done; echo resized");
    terminal.wait_for("30 100\nresized");
    // Ctrl-C is a key for the task's shell, not for the client.
    terminal.type_line("sleep 600");
    terminal.tmux(&["send-keys", "C-c"]);
    terminal.type_line("echo interrupted=$?");
    terminal.wait_for("interrupted=130");
    terminal.type_line("exit 3");
    terminal.wait_for("code=3");
    terminal.type_line("stty -a | tr ' ;' '\\n\\n' | grep -xE -- '-?(icanon|echo|isig)' | paste -sd,");
    terminal.wait_for("isig,icanon,echo");

    // Killed by a signal, it gives the terminal back too.
    terminal.type_line(&format!("clear; sh -c 'echo $$ >pid; exec {} ma-job shell {id}'; echo code=$?", binary().display()));
    // What stood on the screen before may still be there, so the file is waited for as well.
    let deadline = Instant::now() + Duration::from_secs(30);
    let pid = loop {
        match std::fs::read_to_string(platform.home.path().join("pid")) {
            Ok(pid) if pid.ends_with('\n') => break pid,
            _ => assert!(Instant::now() < deadline, "no shell was opened"),
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    terminal.wait_for("[worker-0]");
    assert!(Command::new("kill").args(["-TERM", pid.trim()]).status().unwrap().success());
    terminal.wait_for("code=130");
    terminal.type_line("clear; stty -a | tr ' ;' '\\n\\n' | grep -xE -- '-?(icanon|echo|isig)' | paste -sd,");
    terminal.wait_for("isig,icanon,echo");
    assert_eq!(platform.run(&["ma-job", "stop", "-i", &id, "-y"]).code, 0);
}
