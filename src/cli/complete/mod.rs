//! Completion by click's protocol: `_MA_CLI_COMPLETE=<shell>_source` prints a script for the shell, which calls back with
//! `<shell>_complete` and the words in `COMP_WORDS` and `COMP_CWORD`.
//!
//! The candidates come from the clap tree by rules of our own: clap's completion engine knows neither multi-letter names with one
//! dash nor choices that match in any case, and writes no records of click's form. Names that only the services know are asked
//! for within `BUDGET`.
//!
//! Names are hostile: one with a control character is no candidate, and the scripts hand every other one to the shell as data,
//! which quotes it. Nothing of a name is ever evaluated.

mod cache;
mod names;
mod remote;
mod tree;
mod words;

use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use cache::Store;

use crate::settings::env::Env;
use crate::ui::text;
use words::Line;

/// How long an answer may take in all. Who waits longer than this for a key to do something presses it again.
const BUDGET: Duration = Duration::from_millis(270);
/// How long a refill may take: a slow service, the first connection, the project looked up.
const REFILL_BUDGET: Duration = Duration::from_secs(10);
/// Most candidates in an answer: what a shell can still show.
const MOST_CANDIDATES: usize = 1000;

/// The shells that can be completed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shell {
    /// GNU Bash, 4.4 or newer.
    Bash,
    /// Z shell.
    Zsh,
    /// Fish, 3.0 or newer.
    Fish,
    /// PowerShell, 5.0 or newer.
    PowerShell,
    /// Elvish, 0.18 or newer.
    Elvish,
}

/// What the variable `_MA_CLI_COMPLETE` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Print the script.
    Source(Shell),
    /// Print candidates.
    Complete(Shell),
    /// Print nothing: ask the service without hurry, for the next time. What a call-back starts when its time is up.
    Refill(Shell),
}

impl Request {
    /// What asks for the scripts.
    pub const SOURCES: &str = "bash_source, zsh_source, fish_source, powershell_source and elvish_source";

    /// Reads the variable's value.
    pub fn parse(value: &str) -> Option<Self> {
        let (shell, instruction) = value.split_once('_')?;
        let shell = match shell.to_ascii_lowercase().as_str() {
            "bash" => Shell::Bash,
            "zsh" => Shell::Zsh,
            "fish" => Shell::Fish,
            "powershell" => Shell::PowerShell,
            "elvish" => Shell::Elvish,
            _ => return None,
        };
        match instruction {
            "source" => Some(Self::Source(shell)),
            "complete" => Some(Self::Complete(shell)),
            "refill" => Some(Self::Refill(shell)),
            _ => None,
        }
    }
}

impl Shell {
    fn name(self) -> &'static str {
        match self {
            Self::Bash => "bash",
            Self::Zsh => "zsh",
            Self::Fish => "fish",
            Self::PowerShell => "powershell",
            Self::Elvish => "elvish",
        }
    }
}

/// The script that turns completion on.
pub fn script(shell: Shell) -> &'static str {
    match shell {
        Shell::Bash => include_str!("../../../completions/ma-cli.bash"),
        Shell::Zsh => include_str!("../../../completions/_ma-cli"),
        Shell::Fish => include_str!("../../../completions/ma-cli.fish"),
        Shell::PowerShell => include_str!("../../../completions/ma-cli.ps1"),
        Shell::Elvish => include_str!("../../../completions/ma-cli.elv"),
    }
}

/// What to print for a request. Never fails: what cannot be found out is no candidate.
pub fn respond(request: Request, env: &Env) -> String {
    match request {
        Request::Source(shell) => script(shell).to_owned(),
        Request::Complete(shell) => {
            let (text, is_late) = answer(shell, env, BUDGET);
            if is_late && Store::new(env).begin_refill() {
                refill(shell);
            }
            text
        }
        Request::Refill(shell) => {
            answer(shell, env, REFILL_BUDGET);
            Store::new(env).end_refill();
            String::new()
        }
    }
}

/// Starts this program once more, to ask the same without hurry and keep the answer for the next time.
fn refill(shell: Shell) {
    let Ok(program) = std::env::current_exe() else { return };
    let null = Stdio::null;
    let mut command = Command::new(program);
    command.env("_MA_CLI_COMPLETE", format!("{}_refill", shell.name()));
    // The shell waits for the end of our output, and sends its interrupts to our group.
    let _ = command.stdin(null()).stdout(null()).stderr(null()).process_group(0).spawn();
}

/// The answer to a call-back: one record a candidate, in the form the shell's script reads; and whether time was up before a
/// service had answered.
fn answer(shell: Shell, env: &Env, budget: Duration) -> (String, bool) {
    let deadline = Instant::now() + budget;
    let line = Line::read(shell, env);
    let mut root = crate::cli::command();
    root.build();
    let found = tree::candidates(&root, line.words.get(1..).unwrap_or_default(), &line.current);
    let mut candidates = found.candidates;
    let mut is_late = false;
    if let Some(wanted) = found.wanted {
        let names = names::resolve(wanted, env, deadline);
        is_late = names.is_late;
        candidates.extend(names.candidates);
    }
    let safe = candidates.into_iter().filter(|candidate| text::printable(&candidate.value) == candidate.value);
    (safe.take(MOST_CANDIDATES).map(|candidate| candidate.record(shell, &line)).collect(), is_late)
}

/// One thing the current word could become.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Candidate {
    /// `plain`, or `file`/`dir` to let the shell complete paths; `named` for one of several that do not begin with the word: the
    /// shell shows them and leaves the word as it is.
    kind: &'static str,
    /// The whole word.
    value: String,
    /// A short description, for shells that show one.
    help: String,
    /// Whether the value says nothing without its description: Bash shows that as well, though it has no place for it.
    is_described: bool,
}

impl Candidate {
    fn plain(value: impl Into<String>, help: &str) -> Self {
        // The records are lines: a description is cut at its first line end.
        let help = text::printable(help.lines().next().unwrap_or_default());
        Self { kind: "plain", value: value.into(), help, is_described: false }
    }

    fn path(kind: &'static str, value: String) -> Self {
        Self { kind, value, help: String::new(), is_described: false }
    }

    fn record(&self, shell: Shell, line: &Line) -> String {
        let (kind, value) = (self.kind, &self.value);
        match shell {
            Shell::Bash => {
                // Where two values are alike to Bash, it would put their common descriptions into the line, unquoted.
                let is_harmless = |character: char| character.is_alphanumeric() || " -_.()".contains(character);
                let harmless = |character| if is_harmless(character) { character } else { '_' };
                let help: String = self.help.chars().map(harmless).collect();
                let help = if self.is_described { format!("\t{help}") } else { String::new() };
                format!("{kind},{}{help}\n", line.replacement(value))
            }
            Shell::Zsh => format!("{kind}\n{value}\n{}\n", if self.help.is_empty() { "_" } else { &self.help }),
            _ if self.help.is_empty() => format!("{kind},{value}\n"),
            _ => format!("{kind},{value}\t{}\n", self.help),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Candidate, Line, Request, Shell, answer};
    use crate::settings::env::Env;
    use std::time::Duration;

    #[test]
    fn the_variable_is_read_as_click_reads_it() {
        assert_eq!(Request::parse("bash_source"), Some(Request::Source(Shell::Bash)));
        assert_eq!(Request::parse("zsh_complete"), Some(Request::Complete(Shell::Zsh)));
        assert_eq!(Request::parse("powershell_source"), Some(Request::Source(Shell::PowerShell)));
        assert_eq!(Request::parse("csh_source"), None);
        assert_eq!(Request::parse("1"), None);
        assert_eq!(asked(Shell::Bash, "ma-cli auto-completion ", "2").lines().count(), 5);
    }

    fn asked(shell: Shell, words: &str, index: &str) -> String {
        let home = tempfile::tempdir().unwrap();
        let env = Env::for_tests(&[("COMP_WORDS", words), ("COMP_CWORD", index)], home.path());
        answer(shell, &env, Duration::from_secs(5)).0
    }

    #[test]
    fn a_description_holds_nothing_that_bash_would_evaluate() {
        let job = Candidate { is_described: true, ..Candidate::plain("j1", "a$(id) `b`;c (Failed)") };
        assert_eq!(job.record(Shell::Bash, &Line::default()), "plain,j1\ta_(id) _b__c (Failed)\n");
    }

    #[test]
    fn commands_options_and_choices_complete() {
        assert_eq!(asked(Shell::Bash, "ma-cli conf", "1"), "plain,configure\n");
        let options = asked(Shell::Bash, "ma-cli configure --acc", "2");
        assert_eq!(options, "plain,--account\nplain,--access-key\n");
        let short = asked(Shell::Bash, "ma-cli configure -a", "2");
        assert_eq!(short, "plain,-auth\nplain,-a\nplain,-ak\n");
        assert_eq!(asked(Shell::Fish, "ma-cli configure -auth p", "p"), "plain,PWD\n");
        assert_eq!(asked(Shell::Bash, "ma-cli configure --auth=A", "2"), "plain,--auth=AKSK\n");
        assert_eq!(asked(Shell::Zsh, "ma-cli auto-completion F", "2"), "plain\nFish\n_\n");
        assert_eq!(asked(Shell::Bash, "ma-cli -C ./x", "2"), "file,./x\n");
        assert_eq!(asked(Shell::Bash, "ma-cli -P dev auto", "3"), "plain,auto-completion\n");
        assert_eq!(asked(Shell::Elvish, "ma-cli\nauto-completion\nb", "2"), "plain,Bash\n");
    }

    #[test]
    fn guessed_words_are_completed_as_what_they_stand_for() {
        for line in [
            "ma-cli obs-copy --disc",
            "ma-cli obs cp --disc",
            "ma-cli cp --disc",
            "ma-cli obs cp a --disc",
            "ma-cli -P p copy --disc",
        ] {
            let index = line.split(' ').count() - 1;
            assert_eq!(asked(Shell::Bash, line, &index.to_string()), "plain,--discard-unfinished\n", "{line}");
        }
        assert_eq!(asked(Shell::Bash, "ma-cli obs cp ob", "3"), asked(Shell::Bash, "ma-cli obs-copy ob", "2"));
    }

    #[test]
    fn nothing_follows_a_last_or_an_unknown_word() {
        for line in [
            "ma-cli obs cat obs://b/k ",
            "ma-cli image ",
            "ma-cli --region ",
            "ma-cli ma-job nothing ",
            "ma-cli ma-job nothing -",
        ] {
            let index = line.split(' ').count() - 1;
            assert_eq!(asked(Shell::Bash, line, &index.to_string()), "", "{line}");
        }
        assert_eq!(asked(Shell::Bash, "ma-cli ma-job validate a.yaml b", "4"), "file,b\n");
        assert_eq!(asked(Shell::Bash, "ma-cli obs cat ", "3"), "plain,obs://\n");
    }

    #[test]
    fn lists_complete_their_last_member() {
        assert_eq!(asked(Shell::Bash, "ma-cli ma-job get-job --state Failed,comp", "4"), "plain,Failed,Completed\n");
    }

    #[test]
    fn help_completes_commands_of_commands_and_topics() {
        assert_eq!(asked(Shell::Bash, "ma-cli help ma-job sub", "3"), "plain,submit\n");
        assert_eq!(asked(Shell::Bash, "ma-cli help copyi", "2"), "plain,copying\n");
    }

    #[test]
    fn paths_are_those_of_the_method() {
        let found = asked(Shell::Fish, "ma-cli api POST /v2/{project_id}/training-job-s", "");
        assert_eq!(found, "plain,/v2/{project_id}/training-job-searches\n");
        assert_eq!(asked(Shell::Fish, "ma-cli api DELETE /v2/{project_id}/training-job-s", ""), "");
    }

    #[test]
    fn regions_and_profiles_need_no_service() {
        assert_eq!(asked(Shell::Bash, "ma-cli configure -r cn-north-4", "3"), "plain,cn-north-4\n");
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("own.yaml");
        std::fs::write(&file, "dev: {}\n\"de\\e[31mv\": {}\n\"de\\nv\": {}\n\"de v; $(id)\": {}\n").unwrap();
        let env = Env::for_tests(&[("COMP_WORDS", "ma-cli -C own.yaml -P de"), ("COMP_CWORD", "4")], home.path());
        assert_eq!(answer(Shell::Bash, &env, Duration::from_secs(5)).0, "plain,dev\nplain,de\\ v\\;\\ \\$\\(id\\)\n");
    }
}
