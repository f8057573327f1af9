//! Usage errors in the original's words: `Usage: …`, `Try '… -h' for help.`, `Error: …`.

use std::ffi::OsString;

use clap::Command;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::cli::{GlobalArgs, Invocation, aliases, argv, help};
use crate::error::{Error, Kind, nearest};

/// A command line that cannot be understood.
#[derive(Debug)]
pub struct Misuse {
    /// For people: usage, the way to help, the reason.
    pub text: String,
    /// For programs.
    pub error: Error,
}

/// Options of other tools, and what they are here: where the first word is an option, it has to be one of the command.
const ELSEWHERE: [(&str, &str); 12] = [
    ("--json", "-F json"),
    ("-ojson", "-F json"),
    ("-oyaml", "-F yaml"),
    ("--output", "-F"),
    ("-o", "-F"),
    ("--jq", "--query"),
    ("--no-headers", "--no-header"),
    ("--sort-by", "--sort"),
    ("--limit", "--page-size"),
    ("--max-items", "--page-size"),
    ("--force", "--yes"),
    ("--region", "REGION_NAME, or a profile of that region (-P)"),
];

/// Groups of the original that this version does not have, and the word that people use for one.
const UNSUPPORTED: [&str; 3] = ["image", "dli-job", "dli"];

/// The format and query that the arguments ask for, as far as that can be told of arguments that cannot be parsed.
pub fn output(arguments: &[OsString]) -> GlobalArgs {
    let mut globals = GlobalArgs::default();
    let mut rest = arguments.iter().map(|argument| argument.to_string_lossy());
    while let Some(argument) = rest.next() {
        let value = |prefix: &str| argument.strip_prefix(prefix).map(|value| value.trim_start_matches('=').to_owned());
        match &*argument {
            "--" => break,
            "-F" | "--format" => globals.format = rest.next().map(Into::into),
            "--query" => globals.query = rest.next().map(Into::into),
            _ => {
                globals.format = value("--format=").or_else(|| value("-F")).or(globals.format);
                globals.query = value("--query=").or(globals.query);
            }
        }
    }
    globals
}

/// An option that does not exist, with the nearest one that does.
pub fn no_such_option(root: &Command, path: &[String], option: &str) -> Misuse {
    let name = option.split('=').next().unwrap_or(option);
    let command = help::find(root, path);
    let arguments = command.get_arguments().chain(root.get_arguments().filter(|argument| argument.is_global_set()));
    let mut known: Vec<String> = arguments
        .flat_map(|argument| {
            let longs = argument.get_long_and_visible_aliases().unwrap_or_default();
            let shorts = argv::short_names(argument).map(|short| format!("-{short}"));
            longs.into_iter().map(|long| format!("--{long}")).chain(shorts).collect::<Vec<_>>()
        })
        .collect();
    // These two are read before clap.
    known.push("--help".to_owned());
    known.extend(path.is_empty().then(|| "--version".to_owned()));
    let is_here = |here: &str| !here.starts_with("--") || known.iter().any(|known| known == here);
    let elsewhere = ELSEWHERE.iter().find(|(other, here)| *other == name && is_here(here)).map(|(_, here)| *here);
    // What somebody knows from another tool is no slip of the keyboard.
    let meant = elsewhere.or_else(|| nearest(name, known.iter().map(String::as_str)));
    message(root, path, &format!("No such option: {name}{}", advice(meant)))
}

fn advice(meant: Option<&str>) -> String {
    meant.map(|meant| format!(" Did you mean {meant}?")).unwrap_or_default()
}

/// A value too many or too few.
pub fn wrong_arity(root: &Command, path: &[String], option: &str, is_missing: bool) -> Misuse {
    let name = option.split('=').next().unwrap_or(option);
    let text = if is_missing { "requires an argument." } else { "does not take a value." };
    message(root, path, &format!("Option '{name}' {text}"))
}

/// What clap found wrong, in click's words; a group without a sub-command is a call for help, unless a document is asked for.
pub fn explain(root: &Command, arguments: &[OsString], error: &clap::Error) -> Invocation {
    let path = command_path(root, arguments);
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(texts)) => texts.join(" "),
        Some(other) => other.to_string(),
        None => String::new(),
    };
    let reason = match error.kind() {
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let asked = output(arguments);
            // A program that asks for a document cannot read a page.
            if asked.query.is_none() && asked.format.is_none_or(|format| format.eq_ignore_ascii_case("table")) {
                return Invocation::Print(help::command_page(root, &path));
            }
            "Missing command.".to_owned()
        }
        ErrorKind::InvalidSubcommand => {
            return Invocation::Misuse(no_such_command(root, &path, &text(ContextKind::InvalidSubcommand)));
        }
        ErrorKind::MissingRequiredArgument => {
            // One after the other, as click.
            let name = match error.get(ContextKind::InvalidArg) {
                Some(ContextValue::Strings(names)) => names.first().cloned().unwrap_or_default(),
                _ => text(ContextKind::InvalidArg),
            };
            let name = name.split(" --").next().unwrap_or(&name).split('=').next().unwrap_or(&name).trim();
            if name.starts_with('-') {
                format!("Missing option '{}'.", spelled(root, &path, name))
            } else {
                format!("Missing argument '{}'.", plain(name))
            }
        }
        ErrorKind::UnknownArgument => {
            let word = text(ContextKind::InvalidArg);
            let meant = aliases::option_for(&path, &word);
            format!("Got unexpected extra argument ({word}){}", advice(meant.as_deref()))
        }
        ErrorKind::InvalidValue => {
            let option = text(ContextKind::InvalidArg);
            let name = spelled(root, &path, option.split(" <").next().unwrap_or(&option));
            let choices = match error.get(ContextKind::ValidValue) {
                Some(ContextValue::Strings(choices)) => choices.as_slice(),
                _ => &[],
            };
            format!("Invalid value for '{name}': {}", no_such_choice(&text(ContextKind::InvalidValue), choices))
        }
        ErrorKind::ValueValidation => {
            let option = text(ContextKind::InvalidArg);
            let name = option.split(" <").next().unwrap_or(&option).to_owned();
            let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
            format!("Invalid value for '{}': '{}': {cause}", spelled(root, &path, &name), text(ContextKind::InvalidValue))
        }
        _ => error.to_string().lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned(),
    };
    Invocation::Misuse(message(root, &path, &reason))
}

/// A value that is not among the choices, if there are any, with the one that was meant.
fn no_such_choice(value: &str, choices: &[String]) -> String {
    if choices.is_empty() {
        return format!("'{value}'");
    }
    let listed = choices.iter().map(|choice| format!("'{choice}'")).collect::<Vec<_>>().join(", ");
    format!("'{value}' is not one of {listed}.{}", advice(nearest(value, choices.iter().map(String::as_str))))
}

/// A command that does not exist: one of the original that this version lacks, a word of other tools, or a slip.
fn no_such_command(root: &Command, path: &[String], written: &str) -> Misuse {
    let reason = format!("No such command '{written}'.");
    if path.is_empty() && UNSUPPORTED.contains(&written) {
        let mut misuse =
            message(root, path, &format!("{reason} This version does not have it; `ma-cli api` reaches its operations."));
        misuse.error.kind = Kind::Unsupported;
        misuse.error.hints = vec!["see: ma-cli api -h".to_owned()];
        return misuse;
    }
    let known = aliases::elsewhere(path.last().map_or("", String::as_str), written);
    message(root, path, &format!("{reason}{}", advice(known.or_else(|| meant(root, path, written)))))
}

/// The names of the command whose page was meant, if the words are like them.
pub fn meant_page(root: &Command, words: &[String]) -> Option<String> {
    let mut path: Vec<String> = Vec::new();
    for word in words {
        let command = help::find(root, &path);
        let name = command.find_subcommand(word).map(Command::get_name).or_else(|| meant(root, &path, word))?;
        path.push(name.to_owned());
    }
    Some(path.join(" "))
}

/// The command that was mistyped: a name that is shown, else what a word that is not shown stands for.
fn meant<'a>(root: &'a Command, path: &[String], written: &str) -> Option<&'a str> {
    let command = help::find(root, path);
    let known = || command.get_subcommands().filter(|child| !child.is_hide_set());
    let shown = known().flat_map(|child| std::iter::once(child.get_name()).chain(child.get_visible_aliases()));
    let guessed = known().flat_map(|child| child.get_all_aliases().map(|word| (word, child.get_name())));
    let moved = aliases::moved_from(path.last().map_or("", String::as_str));
    let guessed: Vec<_> = guessed.chain(moved).collect();
    let stands_for = |word| guessed.iter().find(|row| row.0 == word).map(|row| row.1);
    nearest(written, shown).or_else(|| nearest(written, guessed.iter().map(|row| row.0)).and_then(stands_for))
}

/// The usage line of the command, the way to its help, and what is wrong.
pub fn message(root: &Command, path: &[String], reason: &str) -> Misuse {
    let names = std::iter::once(root.get_name()).chain(path.iter().map(String::as_str)).collect::<Vec<_>>().join(" ");
    let text = format!("{}\nTry '{names} -h' for help.\n\nError: {reason}\n", help::usage_line(root, path));
    Misuse { text, error: Error::new(Kind::Usage, reason).hint(format!("see: {names} -h")) }
}

/// All spellings of the option with that long name, as click prints them: `-i' / '--job-id`.
fn spelled(root: &Command, path: &[String], long: &str) -> String {
    let name = long.trim_start_matches('-').split([' ', '=']).next().unwrap_or_default();
    let argument =
        help::find(root, path).get_arguments().chain(root.get_arguments()).find(|argument| argument.get_long() == Some(name));
    match argument {
        Some(argument) => {
            let mut spellings: Vec<_> = argument.get_short().map(|short| format!("-{short}")).into_iter().collect();
            spellings.extend(argv::short_names(argument).map(|short| format!("-{short}")));
            spellings.push(format!("--{name}"));
            spellings.join("' / '")
        }
        None => plain(long),
    }
}

fn plain(name: &str) -> String {
    name.trim_matches(['<', '>', '.']).to_owned()
}

fn command_path(root: &Command, arguments: &[OsString]) -> Vec<String> {
    let mut path = Vec::new();
    let mut command = root;
    for token in arguments.iter().skip(1).filter_map(|token| token.to_str()) {
        if token == "--" {
            break;
        }
        if let Some(child) = command.find_subcommand(token) {
            path.push(child.get_name().to_owned());
            command = child;
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use crate::cli::{Invocation, parse};
    use crate::error::Kind;

    fn advice(line: &str) -> String {
        match parse(&line.split(' ').map(Into::into).collect::<Vec<std::ffi::OsString>>()) {
            Invocation::Misuse(misuse) => {
                misuse.error.to_string().split_once("Did you mean ").map(|(_, advice)| advice.to_owned()).unwrap_or_default()
            }
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn the_first_missing_argument_is_named() {
        for (line, expected) in [("ma-cli obs-copy", "Missing argument 'SRC'."), ("ma-cli api", "Missing argument 'METHOD'.")] {
            let Invocation::Misuse(misuse) = parse(&line.split(' ').map(Into::into).collect::<Vec<_>>()) else {
                panic!("{line}")
            };
            assert_eq!(misuse.error.message, expected);
            assert!(misuse.text.ends_with(&format!("Error: {expected}\n")), "{}", misuse.text);
        }
    }

    /// What was the original's is told apart from what nobody knows, whatever follows it.
    #[test]
    fn groups_of_the_original_are_known_and_unsupported() {
        for line in ["ma-cli image list --type X", "ma-cli dli-job -h", "ma-cli -P p image gi"] {
            let Invocation::Misuse(misuse) = parse(&line.split(' ').map(Into::into).collect::<Vec<_>>()) else {
                panic!("{line}")
            };
            assert_eq!(misuse.error.kind, Kind::Unsupported, "{line}");
            assert!(misuse.text.contains("ma-cli api"), "{}", misuse.text);
        }
    }

    #[test]
    fn advice_says_what_works_here() {
        for (line, expected) in [
            // Options of other tools, though some are like one of ours.
            ("ma-cli obs-copy --json a b", "-F json?"),
            ("ma-cli ma-job get-job --sort-by name", "--sort?"),
            ("ma-cli ma-job get-job --no-headers", "--no-header?"),
            ("ma-cli obs-copy --jbos 3 a b", "--jobs?"),
            // Words that work and are not shown, mistyped.
            ("ma-cli ma-job lst", "get-job?"),
            ("ma-cli ma-job cancle j1", "stop?"),
            ("ma-cli algoritms list", "algorithm?"),
            ("ma-cli obs cop a b", "obs-copy?"),
            // Names that are shown come first.
            ("ma-cli ma-job get-jbo", "get-job?"),
            ("ma-cli ma-job frobnicate", ""),
            ("ma-cli ma-job frobnicate --jbos 3", ""),
            ("ma-cli --verison", "--version?"),
            ("ma-cli obs ls --hlep", "--help?"),
            ("ma-cli obs ls -F josn", "json?"),
            ("ma-cli configure --auth AKSKK", "AKSK?"),
            ("ma-cli obs ls -ojson", "-F json?"),
            ("ma-cli ma-job get-job --limit 3", "--page-size?"),
            ("ma-cli obs ls --limit 3", ""),
            // Verbs of other tools.
            ("ma-cli obs sync a b", "obs-copy --update --delete?"),
            ("ma-cli platform strat", "start?"),
            ("ma-cli ma-job set-priority j1 2", "--priority 2?"),
            ("ma-cli configure get region", "--query settings.region.value?"),
            ("ma-cli lgoin", "login?"),
        ] {
            assert_eq!(advice(line), expected, "{line}");
        }
    }
}
