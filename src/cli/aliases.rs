//! The spellings that people guess: each works, none is shown.

use std::collections::BTreeSet;

use clap::Command;

/// Words for the verbs that every noun may have: a noun that has the verb and no verb of that name answers to the words too.
const VERBS: &[(&str, &[&str])] = &[
    ("list", &["ls"]),
    ("show", &["get", "describe", "info"]),
    ("create", &["new", "add"]),
    ("update", &["edit", "modify"]),
    ("delete", &["rm", "remove", "del"]),
    ("stop", &["cancel", "kill", "terminate"]),
    ("logs", &["log"]),
    ("ls", &["list"]),
    ("rm", &["delete", "remove", "del"]),
    ("stat", &["head", "show", "info"]),
    ("get-image", &["list", "ls", "images", "show", "get"]),
    ("get-template", &["templates"]),
    ("get-queue", &["queues"]),
    ("get-resource", &["resources"]),
    ("get-job", &["list", "ls", "show", "get", "describe", "status", "jobs"]),
    ("get-log", &["logs", "log", "tail"]),
    ("get-event", &["events"]),
    ("get-engine", &["engines"]),
    ("get-flavor", &["flavors"]),
    ("get-pool", &["pools"]),
    ("submit", &["create", "run", "new"]),
    ("rerun", &["retry", "resubmit"]),
    ("shell", &["exec", "ssh", "attach"]),
    ("mb", &["make-bucket", "create-bucket"]),
    ("rb", &["remove-bucket", "delete-bucket"]),
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

/// Verbs that are looked for in a group and are commands of the root.
const MOVED: &[(&str, &str, &str)] = &[("obs", "cp", "obs-copy"), ("obs", "copy", "obs-copy")];

/// The tree with the guessed words as hidden aliases.
pub(super) fn add(root: Command) -> Command {
    with(root, ROOT).mut_subcommands(|noun| with(noun, VERBS))
}

/// The command of the root that somebody means with this verb of a group.
pub(super) fn moved(group: &str, verb: &str) -> Option<&'static str> {
    MOVED.iter().find(|row| (row.0, row.1) == (group, verb)).map(|row| row.2)
}

/// The verbs of a group that stand for commands of the root, with these.
pub(super) fn moved_from<'a>(group: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
    MOVED.iter().filter(move |row| row.0 == group).map(|row| (row.1, row.2))
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
