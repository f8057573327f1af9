//! Completion in the real shells.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::fake_service::{FakeService, reply};
use crate::support::{Home, LocalPlatform, binary};
use crate::terminal::Terminal;

/// The real shells, each with the words that `env` takes and the name that `auto-completion` takes.
pub(crate) const SHELLS: [(&str, &str); 3] = [
    ("PS1='ready> ' bash --norc --noprofile", "Bash"),
    ("PS1='ready> ' zsh -f", "Zsh"),
    (
        // What it suggests by itself would look as if it had been completed.
        "fish --no-config -C 'function fish_prompt; echo \"ready> \"; end; set fish_greeting; set -g fish_autosuggestion_enabled 0'",
        "Fish",
    ),
];

/// The line that turns completion on, as users are told.
fn activation(name: &str) -> String {
    let told = Home::new().run(&["auto-completion", name]).stdout;
    let line = told.lines().last().unwrap().trim_start_matches("[OK] ").to_owned();
    if name == "Zsh" { format!("autoload -Uz compinit; compinit -u -D; {line}") } else { line }
}

/// A shell on a terminal, with completion turned on; the variables may name another `PATH`.
pub(crate) fn shell(kind: (&str, &str), variables: &str) -> Terminal {
    shell_after((kind.0, &activation(kind.1)), variables)
}

/// The same, with another line that turns completion on.
pub(crate) fn shell_after(shell: (&str, &str), variables: &str) -> Terminal {
    let path = format!("PATH={}:/usr/bin:/bin", binary().parent().unwrap().display());
    let terminal = Terminal::open_shell(Home::new(), &format!("LC_ALL=C.UTF-8 {path} {variables} {}", shell.0));
    terminal.type_line(&format!("{}; echo set''up", shell.1));
    terminal.wait_for("setup");
    terminal
}

/// What the line becomes at the press of a key, with what is typed after it. A busy machine may miss the time limit of an answer, so
/// it is tried more than once.
pub(crate) fn becomes(terminal: &Terminal, line: &str, expected: &str) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        terminal.tmux(&["send-keys", "C-u"]);
        terminal.tmux(&["send-keys", "-l", line]);
        terminal.tmux(&["send-keys", "Tab"]);
        terminal.tmux(&["send-keys", "-l", "END"]);
        let screen = terminal.wait_for("END");
        terminal.tmux(&["send-keys", "C-u"]);
        terminal.wait_for_none("END");
        if screen.contains(&format!("ready> {expected}END")) {
            return;
        }
        assert!(Instant::now() < deadline, "[{line}] does not become [{expected}]:\n{screen}");
    }
}

/// Everything that completes, on a platform, through the lines of real shells.
#[test]
fn real_shells_complete_commands_options_choices_and_names() {
    let platform = LocalPlatform::start();
    let run = |arguments: &[&str]| {
        let output = platform.run(arguments);
        assert_eq!(output.code, 0, "{arguments:?}: {output:?}");
        output.stdout.trim().to_owned()
    };
    std::fs::write(platform.home.path().join("a file"), "text").unwrap();
    run(&["obs", "mb", "obs://completed-bucket"]);
    run(&["obs-copy", "a file", "obs://completed-bucket/folder/"]);
    let job = ["ma-job", "submit", "--name", "completed-job", "--user-command", "true", "-q", "--query", "metadata.id"];
    let id = run(&[&job[..], &["--train-instance-type", "modelarts.vm.cpu.1u"]].concat());
    let other = run(&[
        "ma-job",
        "submit",
        "--name",
        "completed-too",
        "--user-command",
        "true",
        "-q",
        "--query",
        "metadata.id",
        "--train-instance-type",
        "modelarts.vm.cpu.1u",
    ]);
    let (log, log_of_job) = (format!("ma-cli ma-job get-log -i {}", &id[..8]), format!("ma-cli ma-job get-log -i {id} "));
    let rows = [
        // Commands, also those that are not shown.
        ("ma-cli auto", "ma-cli auto-completion "),
        ("ma-cli ma-job get-fl", "ma-cli ma-job get-flavor "),
        ("ma-cli help ma-job sub", "ma-cli help ma-job submit "),
        ("ma-cli help copyi", "ma-cli help copying "),
        ("ma-cli obs cp --disc", "ma-cli obs cp --discard-unfinished "),
        // Options: long ones, short ones of several letters, global ones.
        ("ma-cli configure --acce", "ma-cli configure --access-key "),
        ("ma-cli configure -aut", "ma-cli configure -auth "),
        ("ma-cli ma-job get-pool --page-s", "ma-cli ma-job get-pool --page-size "),
        ("ma-cli obs ls --no-ver", "ma-cli obs ls --no-verify-ssl "),
        // Choices, in any case, behind every form of an option, and the last of a list.
        ("ma-cli configure -auth aks", "ma-cli configure -auth AKSK "),
        ("ma-cli configure -auth=R", "ma-cli configure -auth=ROMA "),
        ("ma-cli configure --auth=P", "ma-cli configure --auth=PWD "),
        ("ma-cli -F y", "ma-cli -F yaml "),
        ("ma-cli ma-job get-job --state Failed,comp", "ma-cli ma-job get-job --state Failed,Completed "),
        ("ma-cli auto-completion z", "ma-cli auto-completion Zsh "),
        // Names of this machine.
        ("ma-cli -P dev", "ma-cli -P development "),
        ("ma-cli configure show --profile=dev", "ma-cli configure show --profile=development "),
        ("ma-cli configure -r na-", "ma-cli configure -r na-mexico-1 "),
        ("ma-cli ma-job validate tra", "ma-cli ma-job validate train.yaml "),
        // Names that the services know.
        (log.as_str(), log_of_job.as_str()),
        ("ma-cli ma-job get-job --job-name completed-j", "ma-cli ma-job get-job --job-name completed-job "),
        ("ma-cli ma-job submit --pool-id pool", "ma-cli ma-job submit --pool-id pool-local "),
        ("ma-cli ma-job submit --framework-type Ten", "ma-cli ma-job submit --framework-type TensorFlow "),
        ("ma-cli ma-job submit --framework-version ray", "ma-cli ma-job submit --framework-version ray-cp36-0.7.4 "),
        (
            "ma-cli ma-job submit --train-instance-type=modelarts.vm.cpu.2",
            "ma-cli ma-job submit --train-instance-type=modelarts.vm.cpu.2u ",
        ),
        ("ma-cli obs rb obs://comp", "ma-cli obs rb obs://completed-bucket "),
        ("ma-cli obs ls obs://comp", "ma-cli obs ls obs://completed-bucket/"),
        ("ma-cli obs cp obs://completed-bucket/fo", "ma-cli obs cp obs://completed-bucket/folder/"),
        ("ma-cli obs cat obs://completed-bucket/folder/a", r"ma-cli obs cat obs://completed-bucket/folder/a\ file "),
    ];
    let folder = platform.home.path().join(".modelarts/platform");
    for kind in SHELLS {
        let terminal = shell(kind, &format!("MA_CLI_PROFILE=local MA_CLI_PLATFORM_DIR={}", folder.display()));
        std::fs::create_dir_all(terminal.home.path().join(".modelarts")).unwrap();
        std::fs::write(terminal.home.profile_file(), "development: {}\n").unwrap();
        std::fs::write(terminal.home.path().join("train.yaml"), "").unwrap();
        for (line, expected) in rows {
            becomes(&terminal, line, expected);
        }
        // Two that are found by name, and no word that could become both; Fish shows only what begins with the word.
        if kind.1 != "Fish" {
            let line = "ma-cli ma-job get-log -i completed";
            terminal.tmux(&["send-keys", "-l", line]);
            terminal.tmux(&["send-keys", "Tab", "Tab"]);
            let screen = terminal.wait_for("completed-job (");
            assert!(screen.contains(&id) && screen.contains(&other), "{screen}");
            terminal.tmux(&["send-keys", "-l", "END"]);
            terminal.wait_for(&format!("ready> {line}END"));
            terminal.tmux(&["send-keys", "C-u"]);
        }
    }
}

/// What the script for Bash makes of the records.
#[test]
fn bash_shows_descriptions_only_where_nothing_is_inserted() {
    let answer = |records: &str, kind: u32| {
        let line = format!(
            "source completions/ma-cli.bash; records() {{ printf '{records}'; }}; COMP_TYPE={kind}; _ma_cli_completion records; \
             printf '[%s]' \"${{COMPREPLY[@]}}\""
        );
        let output = std::process::Command::new("bash").args(["-c", &line]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let two = r"plain,3e4d\tjob-one (Running)\nplain,4f00\tjob (Failed)\n";
    assert_eq!(answer(two, 9), "[3e4d  job-one (Running)][4f00  job (Failed)]");
    assert_eq!(answer(two, 37), "[3e4d][4f00]");
    assert_eq!(answer(r"plain,3e4d\tjob-one (Running)\n", 9), "[3e4d]");
    assert_eq!(answer(&two.replace("plain", "named"), 9), "[3e4d  job-one (Running)][4f00  job (Failed)][ ]");
}

/// Files come in their order, not in that of the folder.
#[test]
fn bash_sorts_files() {
    let terminal = shell(SHELLS[0], "");
    for name in ["q7", "q3", "q9", "q1", "q8", "q2", "q6", "q4", "q5"] {
        std::fs::write(terminal.home.path().join(name), "").unwrap();
    }
    terminal.tmux(&["send-keys", "-l", "ma-cli ma-job validate q"]);
    terminal.tmux(&["send-keys", "Tab", "Tab"]);
    let screen = terminal.wait_for("q5");
    let listed = screen.lines().find(|line| line.contains("q5")).unwrap();
    assert_eq!(listed.split_whitespace().collect::<Vec<_>>().concat(), "q1q2q3q4q5q6q7q8q9", "{screen}");
}

/// Identity services lock an account after a few failures.
#[test]
fn a_password_that_was_refused_is_not_tried_at_every_key() {
    let (home, service) = (Home::new(), FakeService::start(&[], |_, _| {}));
    service.state.lock().unwrap().canned =
        Some(|_, _| Some(reply(401, "", br#"{"error": {"code": 401, "message": "The username or password is wrong."}}"#)));
    let configured = home.run(&["configure", "-auth", "PWD", "-r", "cn-north-4", "-a", "acc", "-u", "ann", "-p", "wrong-1"]);
    assert_eq!(configured.code, 0, "{configured:?}");
    let press = |words: &str| {
        let variables = [
            ("_MA_CLI_COMPLETE", "bash_complete"),
            ("COMP_WORDS", words),
            ("COMP_CWORD", "4"),
            ("MA_CLI_IAM_ENDPOINT", &service.endpoint),
            ("MA_CLI_MODELARTS_ENDPOINT", &service.endpoint),
            ("MA_CLI_OBS_ENDPOINT", &service.endpoint),
        ];
        let output = home.run_with(&[], &variables, "");
        assert_eq!((output.stdout.as_str(), output.stderr.as_str(), output.code), ("", "", 0));
    };
    let press_all = || {
        for words in ["ma-cli ma-job get-job -i j", "ma-cli ma-job get-job -i k", "ma-cli ma-job stop --pool p"].repeat(4) {
            press(words);
        }
    };
    press_all();
    // One of its own, and one that went on when time was up.
    let logins = || service.requests("POST /v3/auth/tokens");
    assert!((1..=2).contains(&logins()), "{} logins", logins());
    // Another password is tried.
    let before = logins();
    let configured = home.run(&["configure", "-auth", "PWD", "-r", "cn-north-4", "-a", "acc", "-u", "ann", "-p", "wrong-2"]);
    assert_eq!(configured.code, 0, "{configured:?}");
    press_all();
    assert!((before + 1..=before + 2).contains(&logins()), "{before} logins, then {}", logins());
}

#[test]
fn scripts_of_all_shells_are_the_committed_ones() {
    let home = Home::new();
    for (shell, file) in [
        ("bash", "ma-cli.bash"),
        ("zsh", "_ma-cli"),
        ("fish", "ma-cli.fish"),
        ("powershell", "ma-cli.ps1"),
        ("elvish", "ma-cli.elv"),
    ] {
        let printed = home.run_with(&[], &[("_MA_CLI_COMPLETE", &format!("{shell}_source"))], "");
        assert_eq!(printed.stdout, std::fs::read_to_string(format!("completions/{file}")).unwrap());
        assert_eq!((printed.code, printed.stderr.as_str()), (0, ""));
    }
}

/// What no shell may evaluate, and the letter that each begins with.
const HOSTILE: [&str; 6] =
    ["a$(touch PWNED)b", "b`touch PWNED`", "c;touch PWNED;'", "d \"e\" \\f", "e*!?[x]{y,z}", "f&|<>#~ PWNED\u{e9}"];

/// Every name goes the whole way: from a listing through the shell's line, quoted by the shell, back to the store as the same key.
#[test]
fn d3_3_hostile_names_complete_in_real_shells_and_are_only_data() {
    let service = Service::start(Duration::ZERO);
    for kind in SHELLS {
        let terminal = shell(kind, &service.variables());
        for key in HOSTILE {
            let wanted = format!("HEAD /names/{}", encoded(key));
            service.complete(&terminal, &format!("ma-cli obs stat obs://names/{}", &key[..1]), &wanted);
        }
        service.complete(
            &terminal,
            "ma-cli ma-job get-event -i=j",
            &format!("GET /v2/p1/training-jobs/{}", encoded("j$(touch PWNED)")),
        );
        assert!(!terminal.home.path().join("PWNED").exists(), "{}", kind.0);
        // One that would move the cursor is no candidate.
        terminal.tmux(&["send-keys", "C-u"]);
        terminal.tmux(&["send-keys", "-l", "ma-cli obs stat obs://names/z"]);
        terminal.tmux(&["send-keys", "Tab"]);
        terminal.tmux(&["send-keys", "-l", "END"]);
        let screen = terminal.wait_for("obs://names/zEND");
        assert!(!screen.contains("zred"), "{screen}");
    }
}

#[test]
fn without_service_or_credentials_completion_is_silent_and_quick() {
    let home = Home::new();
    // Takes connections and never answers.
    let deaf = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", deaf.local_addr().unwrap());
    let asked = |variables: &[(&str, &str)]| {
        let question =
            [("_MA_CLI_COMPLETE", "bash_complete"), ("COMP_WORDS", "ma-cli ma-job get-job -i j"), ("COMP_CWORD", "4")];
        let started = Instant::now();
        let output = home.run_with(&[], &[&question, variables].concat(), "");
        (output, started.elapsed())
    };
    let with = [
        ("MA_CLI_MODELARTS_ENDPOINT", endpoint.as_str()),
        ("HUAWEICLOUD_SDK_AK", "ak"),
        ("HUAWEICLOUD_SDK_SK", "sk"),
        ("PROJECT_ID", "p1"),
    ];
    for variables in [&with[..], &[], &[("MA_CLI_PROFILE", "nobody")]] {
        let (output, took) = asked(variables);
        assert_eq!((output.stdout.as_str(), output.stderr.as_str(), output.code), ("", "", 0));
        // 0.3 s, and what a busy machine takes to start a process.
        assert!(took < Duration::from_secs(3), "{took:?}");
    }
}

/// A question that took too long goes on behind the shell's back, and the next one has its answer.
#[test]
fn what_a_slow_service_says_is_there_the_next_time() {
    let (home, service) = (Home::new(), Service::start(Duration::from_millis(500)));
    let question = [("_MA_CLI_COMPLETE", "bash_complete"), ("COMP_WORDS", "ma-cli ma-job get-job -i j"), ("COMP_CWORD", "4")];
    let surroundings = service.variables();
    let variables: Vec<_> = surroundings.split(' ').filter_map(|pair| pair.split_once('=')).chain(question).collect();
    let ask = || home.run_with(&[], &variables, "").stdout;
    assert_eq!(ask(), "");
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let answer = ask();
        if !answer.is_empty() {
            assert_eq!(answer, "plain,j\\$\\(touch\\ PWNED\\)\tn (Failed)\n");
            break;
        }
        assert!(Instant::now() < deadline, "no answer, and these requests: {:?}", service.seen.lock().unwrap());
    }
    let kept = home.path().join(".modelarts/cache/completion");
    // The mark of the refill may go meanwhile.
    for data in std::fs::read_dir(&kept).unwrap().filter_map(|entry| entry.unwrap().metadata().ok()) {
        assert_eq!(data.permissions().mode() & 0o077, 0);
    }
    assert_eq!(std::fs::metadata(&kept).unwrap().permissions().mode() & 0o077, 0);
}

/// A control plane and a store with hostile names. It believes every signature and remembers the first lines of requests.
struct Service {
    endpoint: String,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Service {
    /// Each answer takes that long.
    fn start(delay: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&seen);
        // Ends with the process of the test.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || serve(stream, &shared, delay));
            }
        });
        Self { endpoint, seen }
    }

    fn variables(&self) -> String {
        let endpoint = &self.endpoint;
        format!(
            "MA_CLI_MODELARTS_ENDPOINT={endpoint} MA_CLI_OBS_ENDPOINT={endpoint} HUAWEICLOUD_SDK_AK=ak HUAWEICLOUD_SDK_SK=sk PROJECT_ID=p1"
        )
    }

    /// Types the line, completes it and runs it, until that request was made: a busy machine may miss the time limit.
    fn complete(&self, terminal: &Terminal, line: &str, wanted: &str) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while Instant::now() < deadline {
            terminal.tmux(&["send-keys", "-l", line]);
            terminal.tmux(&["send-keys", "Tab"]);
            terminal.type_line("");
            let patience = Instant::now() + Duration::from_secs(3);
            while Instant::now() < patience {
                if self.seen.lock().unwrap().iter().any(|seen| seen.starts_with(wanted)) {
                    self.seen.lock().unwrap().clear();
                    return;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        panic!("no [{wanted}] but {:?}\n{}", self.seen.lock().unwrap(), terminal.screen());
    }
}

fn serve(stream: TcpStream, seen: &Mutex<Vec<String>>, delay: Duration) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    loop {
        let mut first = String::new();
        reader.read_line(&mut first).ok().filter(|&length| length > 0)?;
        let mut length = 0;
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).ok()?;
            if header.trim().is_empty() {
                break;
            }
            if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
        }
        reader.read_exact(&mut vec![0; length]).ok()?;
        let (kind, body) = if first.starts_with("POST /v2/p1/training-job-searches") {
            let job = |id: &str| serde_json::json!({"metadata": {"id": id, "name": "n"}, "status": {"phase": "Failed"}});
            ("application/json", serde_json::json!({"items": [job("j$(touch PWNED)"), job("k\u{1b}[31m")]}).to_string())
        } else if first.starts_with("GET /names") {
            let names = HOSTILE.iter().chain(&["z\u{1b}[31mred"]);
            let entries: String =
                names.map(|name| format!("<Contents><Key>{}</Key><Size>1</Size></Contents>", encoded(name))).collect();
            let head = "<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>";
            ("application/xml", format!("{head}{entries}</ListBucketResult>"))
        } else {
            ("text/plain", String::new())
        };
        let status = if first.starts_with("HEAD") { "404 Not Found" } else { "200 OK" };
        seen.lock().unwrap().push(first);
        std::thread::sleep(delay);
        let length = body.len();
        let answer = format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}");
        (&stream).write_all(answer.as_bytes()).ok()?;
    }
}

/// Percent-encoded as in an address.
fn encoded(text: &str) -> String {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if unreserved(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
