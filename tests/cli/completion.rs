//! Completion in the real shells.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::support::{Home, binary};

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
