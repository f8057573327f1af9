//! Completion in the real shells.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::support::{Home, binary};
use crate::terminal::Terminal;

/// Runs a script in a shell that finds the binary by its name; a shell that is missing fails the test.
fn shell(program: &str, script: &str) -> String {
    let home = Home::new();
    let folder = binary().parent().unwrap().to_owned();
    let mut child = Command::new(program)
        .env_clear()
        .env("HOME", home.path())
        .env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", folder.display()))
        .env("TERM", "dumb")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program} is needed for this test (scripts/test installs it): {error}"));
    child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn bash(words: &[&str]) -> Vec<String> {
    let script = format!(
        "eval \"$(_MA_CLI_COMPLETE=bash_source ma-cli)\"\nCOMP_WORDS=({})\nCOMP_CWORD={}\n_ma_cli_completion ma-cli\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"\n",
        words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" "),
        words.len() - 1
    );
    shell("bash", &script).lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_options_and_choices() {
    assert_eq!(bash(&["ma-cli", "auto"]), ["auto-completion"]);
    assert!(bash(&["ma-cli", "configure", "-a"]).contains(&"-auth".to_owned()));
    assert_eq!(bash(&["ma-cli", "configure", "--reg"]), ["--region-profile", "--region"]);
    assert_eq!(bash(&["ma-cli", "configure", "-auth", ""]), ["PWD", "AKSK", "ROMA"]);
    assert_eq!(bash(&["ma-cli", "auto-completion", "z"]), ["Zsh"]);
}

#[test]
fn fish_completes_commands_options_and_choices() {
    let complete = |line: &str| shell("fish", &format!("_MA_CLI_COMPLETE=fish_source ma-cli | source\ncomplete -C '{line}'\n"));
    assert!(complete("ma-cli auto").starts_with("auto-completion\t"));
    assert!(complete("ma-cli configure --acc").contains("--access-key\t"));
    assert_eq!(complete("ma-cli configure -auth A").trim(), "AKSK");
}

/// Zsh's completion needs a terminal of its own: `zpty` gives it one.
#[test]
fn zsh_completes_commands_options_and_choices() {
    let complete = |line: &str| {
        let script = format!(
            r#"
zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z 'PS1=; autoload -Uz compinit; compinit -u -D; eval "$(_MA_CLI_COMPLETE=zsh_source ma-cli)"; bindkey "^I" complete-word; echo R""EADY'
zpty -r -m z out '*READY*'
zpty -n -w z $'{line}\t'
typeset -F SECONDS=0
all=""
while (( SECONDS < 10 )); do
    if zpty -r -t z chunk; then all+=$chunk; else sleep 0.05; fi
    [[ $all == *$'\e[?2004h'* ]] && (( SECONDS > 1 )) && break
done
print -r -- "$all"
zpty -d z
"#
        );
        // Zle rings the bell where the completion is not unique yet.
        shell("zsh", &script).replace('\u{7}', "")
    };
    assert!(complete("ma-cli auto").contains("ma-cli auto-completion"));
    assert!(complete("ma-cli configure --acce").contains("--access-key"));
    assert!(complete("ma-cli configure -auth A").contains("AKSK"));
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
    let path = format!("PATH={}:/usr/bin:/bin", binary().parent().unwrap().display());
    for (shell, setup) in [
        ("PS1='ready> ' bash --norc --noprofile", "eval \"$(_MA_CLI_COMPLETE=bash_source ma-cli)\""),
        ("PS1='ready> ' zsh -f", "autoload -Uz compinit; compinit -u -D; eval \"$(_MA_CLI_COMPLETE=zsh_source ma-cli)\""),
        (
            "fish --no-config -C 'function fish_prompt; echo \"ready> \"; end; set fish_greeting'",
            "_MA_CLI_COMPLETE=fish_source ma-cli | source",
        ),
    ] {
        let terminal = Terminal::open_shell(Home::new(), &format!("LC_ALL=C.UTF-8 {path} {} {shell}", service.variables()));
        terminal.type_line(&format!("{setup}; echo set''up"));
        terminal.wait_for("setup");
        for key in HOSTILE {
            let wanted = format!("HEAD /names/{}", encoded(key));
            service.complete(&terminal, &format!("ma-cli obs stat obs://names/{}", &key[..1]), &wanted);
        }
        service.complete(
            &terminal,
            "ma-cli ma-job get-event -i=j",
            &format!("GET /v2/p1/training-jobs/{}", encoded("j$(touch PWNED)")),
        );
        assert!(!terminal.home.path().join("PWNED").exists(), "{shell}");
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
            assert_eq!(answer, "plain,j\\$\\(touch\\ PWNED\\)\n");
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
