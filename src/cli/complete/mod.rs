//! Completion by click's protocol: `_MA_CLI_COMPLETE=<shell>_source` prints a script for the shell, which calls back with
//! `<shell>_complete` and the words in `COMP_WORDS` and `COMP_CWORD`.
//!
//! The candidates come from the clap tree by rules of our own: clap's completion engine knows neither multi-letter names with one
//! dash nor choices that match in any case, and writes no records of click's form.

use clap::{Arg, Command, ValueHint};

use crate::cli::{argv, help};

/// The shells that can be completed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shell {
    /// GNU Bash, 4.4 or newer.
    Bash,
    /// Z shell.
    Zsh,
    /// Fish, 3.0 or newer.
    Fish,
}

/// What the variable `_MA_CLI_COMPLETE` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Print the script.
    Source(Shell),
    /// Print candidates.
    Complete(Shell),
}

impl Request {
    /// Reads the variable's value; anything else is no request, as with click.
    pub fn parse(value: &str) -> Option<Self> {
        let (shell, instruction) = value.split_once('_')?;
        let shell = match shell.to_ascii_lowercase().as_str() {
            "bash" => Shell::Bash,
            "zsh" => Shell::Zsh,
            "fish" => Shell::Fish,
            _ => return None,
        };
        match instruction {
            "source" => Some(Self::Source(shell)),
            "complete" => Some(Self::Complete(shell)),
            _ => None,
        }
    }
}

/// The script that turns completion on.
pub fn script(shell: Shell) -> &'static str {
    match shell {
        Shell::Bash => include_str!("../../completions/ma-cli.bash"),
        Shell::Zsh => include_str!("../../completions/_ma-cli"),
        Shell::Fish => include_str!("../../completions/ma-cli.fish"),
    }
}

/// The answer to a call-back: one record a candidate, in the form the shell's script reads.
pub fn answer(shell: Shell, comp_words: &str, comp_cword: &str) -> String {
    let (words, current) = match shell {
        // Fish hands over the line up to the cursor and, apart, the current word, with which that line ends unless it is empty.
        Shell::Fish => {
            let mut words = split_words(comp_words);
            if !comp_cword.is_empty() && words.last().is_some_and(|last| last == comp_cword) {
                words.pop();
            }
            (words, comp_cword.to_owned())
        }
        Shell::Bash | Shell::Zsh => {
            let mut words = split_words(comp_words);
            let index = comp_cword.parse::<usize>().unwrap_or(0);
            let current = words.get(index).cloned().unwrap_or_default();
            words.truncate(index);
            (words, current)
        }
    };
    let mut root = crate::cli::command();
    root.build();
    let candidates = candidates(&root, words.get(1..).unwrap_or_default(), &current);
    candidates.iter().map(|candidate| candidate.record(shell)).collect()
}

/// One thing the current word could become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// `plain`, or `file`/`dir` to let the shell complete paths.
    kind: &'static str,
    /// The whole word.
    value: String,
    /// A short description, for shells that show one.
    help: String,
}

impl Candidate {
    fn record(&self, shell: Shell) -> String {
        match shell {
            Shell::Bash => format!("{},{}\n", self.kind, self.value),
            Shell::Zsh => format!("{}\n{}\n{}\n", self.kind, self.value, if self.help.is_empty() { "_" } else { &self.help }),
            Shell::Fish if self.help.is_empty() => format!("{},{}\n", self.kind, self.value),
            Shell::Fish => format!("{},{}\t{}\n", self.kind, self.value, self.help),
        }
    }
}

/// What the current word could become after the words before it (the program's name left out).
pub fn candidates(root: &Command, words: &[String], current: &str) -> Vec<Candidate> {
    let place = Place::after(root, words);
    if let Some(argument) = place.awaited {
        return values(argument, "", current);
    }
    if current.starts_with('-') && !place.is_options_ended {
        if let Some((name, typed)) = current.split_once('=')
            && let Some(argument) = place.option(name)
        {
            return values(argument, &format!("{name}="), typed);
        }
        return place.options(current);
    }
    let commands = place.command.get_subcommands().filter(|child| !child.is_hide_set());
    let names = commands.flat_map(|child| {
        let help = child.get_about().map(ToString::to_string).unwrap_or_default();
        std::iter::once(child.get_name())
            .chain(child.get_visible_aliases())
            .map(move |name| plain(name, &help))
            .collect::<Vec<_>>()
    });
    let mut found: Vec<_> = names.filter(|candidate| candidate.value.starts_with(current)).collect();
    let positional = place.command.get_positionals().nth(place.positionals).or_else(|| place.command.get_positionals().last());
    if let Some(argument) = positional {
        found.extend(values(argument, "", current));
    }
    found
}

/// Where in the command tree the cursor is.
struct Place<'a> {
    root: &'a Command,
    command: &'a Command,
    /// The value option whose value comes next.
    awaited: Option<&'a Arg>,
    /// How many positional words the command has already.
    positionals: usize,
    is_options_ended: bool,
}

impl<'a> Place<'a> {
    fn after(root: &'a Command, words: &[String]) -> Self {
        let mut place = Self { root, command: root, awaited: None, positionals: 0, is_options_ended: false };
        for word in words {
            if place.awaited.take().is_some() {
                continue;
            }
            if place.is_options_ended || !word.starts_with('-') || word.len() < 2 {
                match place.command.find_subcommand(word) {
                    Some(child) => place.command = child,
                    None => place.positionals += 1,
                }
            } else if word == "--" {
                place.is_options_ended = true;
            } else if !word.contains('=') {
                place.awaited = place.option(word).filter(|argument| !argv::is_flag(argument));
            }
        }
        place
    }

    fn arguments(&self) -> impl Iterator<Item = &'a Arg> {
        let own = self
            .command
            .get_arguments()
            .filter(|argument| !argument.is_positional() && !argument.is_hide_set() && !argument.is_global_set());
        own.chain(self.root.get_arguments().filter(|argument| argument.is_global_set()))
    }

    fn option(&self, name: &str) -> Option<&'a Arg> {
        self.arguments().find(|argument| spellings(argument).iter().any(|spelling| spelling == name))
    }

    fn options(&self, current: &str) -> Vec<Candidate> {
        let mut found = Vec::new();
        for argument in self.arguments() {
            let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
            found.extend(
                spellings(argument)
                    .iter()
                    .filter(|spelling| spelling.starts_with(current))
                    .map(|spelling| plain(spelling, &help)),
            );
        }
        found.extend(
            ["-h", "-H", "--help"].iter().filter(|name| name.starts_with(current)).map(|name| plain(name, "Show help")),
        );
        found
    }
}

fn spellings(argument: &Arg) -> Vec<String> {
    let mut all: Vec<_> =
        argument.get_long_and_visible_aliases().unwrap_or_default().iter().map(|long| format!("--{long}")).collect();
    all.extend(argv::short_names(argument).map(|short| format!("-{short}")));
    all.extend(argument.get_short().map(|short| format!("-{short}")));
    all
}

/// Values of an option: its choices, or the shell's own path completion. Choices match in any case.
fn values(argument: &Arg, prefix: &str, typed: &str) -> Vec<Candidate> {
    let choices = help::choices(argument);
    if !choices.is_empty() {
        let matching = choices.iter().filter(|choice| choice.to_ascii_lowercase().starts_with(&typed.to_ascii_lowercase()));
        return matching.map(|choice| plain(&format!("{prefix}{choice}"), "")).collect();
    }
    let is_path = matches!(argument.get_value_hint(), ValueHint::AnyPath | ValueHint::FilePath)
        || argument
            .get_value_names()
            .is_some_and(|names| names.iter().any(|name| matches!(name.as_str(), "PATH" | "FILE" | "YAML_FILE")));
    match argument.get_value_hint() {
        ValueHint::DirPath => vec![Candidate { kind: "dir", value: format!("{prefix}{typed}"), help: String::new() }],
        _ if is_path => vec![Candidate { kind: "file", value: format!("{prefix}{typed}"), help: String::new() }],
        _ => Vec::new(),
    }
}

fn plain(value: &str, help: &str) -> Candidate {
    // The records are lines: a description is cut at its first line end.
    Candidate { kind: "plain", value: value.to_owned(), help: help.lines().next().unwrap_or_default().to_owned() }
}

/// Splits a command line as a shell would, forgiving a quote that is still open.
fn split_words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = None::<String>;
    let mut quote = None::<char>;
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (Some(open), _) if character == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (None | Some('"'), '\\') => word.get_or_insert_default().extend(characters.next()),
            (None, blank) if blank.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(character),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::{Request, Shell, answer, split_words};

    #[test]
    fn the_variable_is_read_as_click_reads_it() {
        assert_eq!(Request::parse("bash_source"), Some(Request::Source(Shell::Bash)));
        assert_eq!(Request::parse("zsh_complete"), Some(Request::Complete(Shell::Zsh)));
        assert_eq!(Request::parse("powershell_source"), None);
        assert_eq!(Request::parse("1"), None);
    }

    #[test]
    fn words_are_split_as_by_a_shell() {
        assert_eq!(split_words(r#"ma-cli 'a b' "c \" d" e\ f '' "open q"#), ["ma-cli", "a b", "c \" d", "e f", "", "open q"]);
    }

    #[test]
    fn commands_options_and_choices_complete() {
        assert_eq!(answer(Shell::Bash, "ma-cli conf", "1"), "plain,configure\n");
        let options = answer(Shell::Bash, "ma-cli configure --acc", "2");
        assert_eq!(options, "plain,--account\nplain,--access-key\n");
        let short = answer(Shell::Bash, "ma-cli configure -a", "2");
        assert_eq!(short, "plain,-auth\nplain,-a\nplain,-ak\n");
        assert_eq!(answer(Shell::Fish, "ma-cli configure -auth p", "p"), "plain,PWD\n");
        assert_eq!(answer(Shell::Bash, "ma-cli configure --auth=A", "2"), "plain,--auth=AKSK\n");
        assert_eq!(answer(Shell::Zsh, "ma-cli auto-completion F", "2"), "plain\nFish\n_\n");
        assert_eq!(answer(Shell::Bash, "ma-cli -C ./x", "2"), "file,./x\n");
        assert_eq!(answer(Shell::Bash, "ma-cli -P dev auto", "3"), "plain,auto-completion\n");
    }
}
