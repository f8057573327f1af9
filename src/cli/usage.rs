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

/// Options of other tools, and what they are here.
const ELSEWHERE: [(&str, &str); 7] = [
    ("--json", "-F json"),
    ("--output", "-F"),
    ("-o", "-F"),
    ("--jq", "--query"),
    ("--no-headers", "--no-header"),
    ("--sort-by", "--sort"),
    ("--region", "REGION_NAME, or a profile of that region (-P)"),
];

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
    let candidates = command.get_arguments().chain(root.get_arguments().filter(|argument| argument.is_global_set()));
    let nearest = candidates
        .flat_map(|argument| {
            let longs = argument.get_long_and_visible_aliases().unwrap_or_default();
            let shorts = argv::short_names(argument).map(|short| format!("-{short}"));
            longs.into_iter().map(|long| format!("--{long}")).chain(shorts).collect::<Vec<_>>()
        })
        .map(|candidate| (strsim::jaro_winkler(&candidate, name), candidate))
        .filter(|(likeness, _)| *likeness > 0.85)
        .max_by(|left, right| left.0.total_cmp(&right.0));
    let elsewhere = ELSEWHERE.iter().find(|(other, _)| *other == name).map(|(_, here)| (*here).to_owned());
    // What somebody knows from another tool is no slip of the keyboard.
    let advice = elsewhere.or(nearest.map(|(_, candidate)| candidate));
    let advice = advice.map(|candidate| format!(" Did you mean {candidate}?")).unwrap_or_default();
    message(root, path, &format!("No such option: {name}{advice}"))
}

/// A value too many or too few.
pub fn wrong_arity(root: &Command, path: &[String], option: &str, is_missing: bool) -> Misuse {
    let name = option.split('=').next().unwrap_or(option);
    let text = if is_missing { "requires an argument." } else { "does not take a value." };
    message(root, path, &format!("Option '{name}' {text}"))
}

/// What clap found wrong, in click's words; a group without a sub-command is a call for help.
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
            return Invocation::Print(help::command_page(root, &path));
        }
        ErrorKind::InvalidSubcommand => {
            let written = text(ContextKind::InvalidSubcommand);
            let advice = meant(root, &path, &written).map(|name| format!(" Did you mean {name}?")).unwrap_or_default();
            format!("No such command '{written}'.{advice}")
        }
        ErrorKind::MissingRequiredArgument => {
            let names = text(ContextKind::InvalidArg);
            let name = names.split(" --").next().unwrap_or(&names).split('=').next().unwrap_or(&names).trim().to_owned();
            if name.starts_with('-') {
                format!("Missing option '{}'.", spelled(root, &path, &name))
            } else {
                format!("Missing argument '{}'.", plain(&name))
            }
        }
        ErrorKind::UnknownArgument => format!("Got unexpected extra argument ({})", text(ContextKind::InvalidArg)),
        ErrorKind::InvalidValue => {
            let option = text(ContextKind::InvalidArg);
            let choices = match error.get(ContextKind::ValidValue) {
                Some(ContextValue::Strings(values)) => {
                    values.iter().map(|value| format!("'{value}'")).collect::<Vec<_>>().join(", ")
                }
                _ => String::new(),
            };
            let value = text(ContextKind::InvalidValue);
            let name = option.split(" <").next().unwrap_or(&option).to_owned();
            if choices.is_empty() {
                format!("Invalid value for '{}': '{value}'", spelled(root, &path, &name))
            } else {
                format!("Invalid value for '{}': '{value}' is not one of {choices}.", spelled(root, &path, &name))
            }
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

/// The command that was mistyped: a name that is shown, else what a word that is not shown stands for.
fn meant<'a>(root: &'a Command, path: &[String], written: &str) -> Option<&'a str> {
    let command = help::find(root, path);
    let known = || command.get_subcommands().filter(|child| !child.is_hide_set());
    let shown = known().flat_map(|child| std::iter::once(child.get_name()).chain(child.get_visible_aliases()));
    let guessed = known().flat_map(|child| child.get_all_aliases().map(|word| (word, child.get_name())));
    let moved = path.last().into_iter().flat_map(|group| aliases::moved_from(group));
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

    fn advice(line: &str) -> String {
        match parse(&line.split(' ').map(Into::into).collect::<Vec<std::ffi::OsString>>()) {
            Invocation::Misuse(misuse) => {
                misuse.error.to_string().split_once("Did you mean ").map(|(_, advice)| advice.to_owned()).unwrap_or_default()
            }
            other => panic!("{line}: {other:?}"),
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
        ] {
            assert_eq!(advice(line), expected, "{line}");
        }
    }
}
