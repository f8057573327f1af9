//! The spellings that people guess: each works, none is shown.

use std::collections::BTreeSet;

use clap::Command;

/// Words for the verbs that every noun may have: a noun that has the verb and no verb of that name answers to the words too.
const VERBS: &[(&str, &[&str])] = &[
    ("list", &["ls"]),
    ("show", &["get", "describe", "info", "view"]),
    ("create", &["new", "add"]),
    ("update", &["edit", "modify"]),
    ("delete", &["rm", "remove", "del"]),
    ("stop", &["cancel", "kill", "terminate", "down"]),
    ("logs", &["log"]),
    ("ls", &["list"]),
    ("rm", &["delete", "remove", "del"]),
    ("stat", &["head", "show", "info"]),
    ("get-image", &["list", "ls", "images", "show", "get"]),
    ("get-template", &["templates"]),
    ("get-queue", &["queues"]),
    ("get-resource", &["resources"]),
    ("get-job", &["get-jobs", "list", "ls", "show", "get", "describe", "status", "jobs"]),
    ("get-log", &["get-logs", "logs", "log", "tail"]),
    ("get-event", &["get-events", "events"]),
    ("get-engine", &["get-engines", "engines"]),
    ("get-flavor", &["get-flavors", "flavors"]),
    ("get-pool", &["get-pools", "pools"]),
    ("submit", &["create", "run", "new"]),
    ("rerun", &["retry", "resubmit"]),
    ("shell", &["exec", "ssh", "attach"]),
    ("mb", &["make-bucket", "create-bucket"]),
    ("rb", &["remove-bucket", "delete-bucket"]),
    ("start", &["up"]),
    ("status", &["ps", "whoami"]),
];

/// Words for the commands of the root.
const ROOT: &[(&str, &[&str])] = &[
    ("configure", &["config", "configuration"]),
    ("auto-completion", &["completion", "completions", "autocompletion"]),
    ("ma-job", &["job", "jobs", "training-job", "training-jobs"]),
    ("algorithm", &["algorithms"]),
    ("obs-copy", &["cp", "copy"]),
    ("doctor", &["diagnose"]),
    ("image", &["images"]),
    ("notebook", &["notebooks"]),
    ("dli-job", &["dli"]),
];

/// Words that are looked for in a group, or in the root (no name), and are commands elsewhere: their names from the root on.
const MOVED: &[(&str, &str, &[&str])] = &[
    ("obs", "cp", &["obs-copy"]),
    ("obs", "copy", &["obs-copy"]),
    ("", "ls", &["obs", "ls"]),
    ("", "rm", &["obs", "rm"]),
    ("", "mb", &["obs", "mb"]),
    ("", "rb", &["obs", "rb"]),
    ("", "cat", &["obs", "cat"]),
    ("", "stat", &["obs", "stat"]),
    ("", "login", &["auth", "login"]),
    ("", "logout", &["auth", "logout"]),
    ("", "whoami", &["auth", "status"]),
];

/// Verbs of other tools that take more than another word here; the first name is that of the group, of the root none.
const ELSEWHERE: &[(&str, &str, &str)] = &[
    ("obs", "sync", "obs-copy --update --delete"),
    ("obs", "mirror", "obs-copy --update --delete"),
    ("obs", "mv", "obs-copy, then obs rm"),
    ("obs", "move", "obs-copy, then obs rm"),
    ("obs", "du", "obs ls -r"),
    ("", "sync", "obs-copy --update --delete"),
    ("", "mv", "obs-copy, then obs rm"),
    ("", "du", "obs ls -r"),
];

/// The option of a command that a word too many may have been meant for.
const OPTIONS: &[(&[&str], &str)] =
    &[(&["ma-job", "set-priority"], "--priority {}"), (&["configure", "show"], "--query settings.{}.value")];

/// The tree with the guessed words as hidden aliases.
pub(super) fn add(root: Command) -> Command {
    with(root, ROOT).mut_subcommands(|noun| with(noun, VERBS))
}

/// The names, from the root on, of the command that somebody means with this word below the command with these names.
pub(super) fn moved(path: &[impl AsRef<str>], word: &str) -> Option<&'static [&'static str]> {
    let group = match path {
        [] => "",
        [group] => group.as_ref(),
        _ => return None,
    };
    MOVED.iter().find(|row| (row.0, row.1) == (group, word)).map(|row| row.2)
}

/// The words below a group that stand for commands elsewhere, with the last of their names.
pub(super) fn moved_from<'a>(group: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
    MOVED.iter().filter(move |row| row.0 == group).filter_map(|row| Some((row.1, *row.2.last()?)))
}

/// What serves here for a verb of another tool that somebody looks for in a group, or, with no name, in the root.
pub(super) fn elsewhere(group: &str, word: &str) -> Option<&'static str> {
    ELSEWHERE.iter().find(|row| (row.0, row.1) == (group, word)).map(|row| row.2)
}

/// The option with that value that was meant by a word too many.
pub(super) fn option_for(path: &[String], word: &str) -> Option<String> {
    let row = OPTIONS.iter().find(|row| path.iter().map(String::as_str).eq(row.0.iter().copied()))?;
    let is_plain = word.chars().all(|character| character.is_ascii_alphanumeric() || character == '_');
    is_plain.then(|| row.1.replace("{}", word))
}

/// Adds the words in place, so that the order of the commands stays.
fn with(command: Command, words: &[(&'static str, &[&'static str])]) -> Command {
    let names = |child: &Command| child.get_name_and_visible_aliases().into_iter().map(str::to_owned).collect::<Vec<_>>();
    let mut taken: BTreeSet<String> = command.get_subcommands().flat_map(names).collect();
    command.mut_subcommands(|child| match words.iter().find(|row| row.0 == child.get_name()) {
        Some((_, guesses)) => {
            let free: Vec<_> = guesses.iter().copied().filter(|guess| taken.insert((*guess).to_owned())).collect();
            child.aliases(free)
        }
        None => child,
    })
}
