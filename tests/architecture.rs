//! The rules that keep the crate's shape: who may import whom, how long a file may be, what every command owes its user.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Which modules of this crate a module may name. A name with `::` allows that part only; a row with a longer path replaces the
/// row of the folder around it.
const LAYERS: &[(&str, &[&str])] = &[
    ("http", &[]),
    ("catalogue", &[]),
    ("auth", &["http"]),
    ("api", &["http", "auth"]),
    ("obs", &["http", "auth"]),
    ("copy", &["obs", "http::retry"]),
    ("settings", &["auth::secret", "auth::report"]),
    ("error", &["http", "auth", "api", "obs", "copy", "settings"]),
    ("ui", &["error", "auth::secret", "copy::event", "copy::summary", "copy::Event", "copy::Summary"]),
    ("ctx", &["http", "auth", "api", "obs", "copy", "settings", "error", "ui"]),
    ("commands", &["ctx", "ui", "error", "api", "obs", "copy"]),
    ("commands/api", &["ctx", "ui", "error", "api", "catalogue"]),
    ("commands/auth", &["ctx", "ui", "error", "settings", "auth", "http"]),
    ("commands/configure", &["ctx", "ui", "error", "settings", "auth", "http", "api", "obs"]),
    ("commands/doctor", &["ctx", "ui", "error", "settings", "auth", "http", "api", "obs"]),
    ("commands/ma_job", &["ctx", "ui", "error", "api", "obs", "copy", "settings::yaml"]),
    ("commands/version", &["ctx", "ui", "error", "settings::region"]),
    ("commands/platform", &["ctx", "ui", "error", "platform"]),
    ("cli", &["commands", "ctx", "ui", "error", "settings"]),
    // Asks the services for names.
    ("cli/complete", &["commands", "ctx", "ui", "error", "settings", "api", "obs", "auth::Cache", "catalogue"]),
    // Values without behaviour; the platform has signers and wire types of its own.
    ("platform", &["catalogue", "auth::secret", "auth::Secret", "auth::credential", "auth::Credential"]),
    ("platform/runner", &["copy", "obs", "http", "auth"]),
];

/// Longest file under `src/`, in lines.
const LONGEST_FILE: usize = 400;
/// Longest file of a verb, in lines: its arguments and the glue. What is more goes into a named file beside it.
const LONGEST_VERB: usize = 150;

#[test]
fn modules_import_only_what_their_layer_allows() {
    let mut wrong = Vec::new();
    for file in source_files() {
        let name = module_name(&file);
        if name == "lib" || name == "main" {
            continue;
        }
        let Some((layer, allowed)) = LAYERS
            .iter()
            .filter(|(layer, _)| name == *layer || name.starts_with(&format!("{layer}/")))
            .max_by_key(|(layer, _)| layer.len())
        else {
            wrong.push(format!("{name}: no row in the layer table"));
            continue;
        };
        let own = layer.split('/').next().unwrap_or(layer);
        for path in crate_paths(&fs::read_to_string(&file).unwrap()) {
            let is_own = path.split("::").next() == Some(own);
            if is_own && own == "commands" && is_other_noun(&name, &path) {
                wrong.push(format!("{name} uses crate::{path}: another noun's folder"));
            }
            let is_allowed = is_own || allowed.iter().any(|part| path == *part || path.starts_with(&format!("{part}::")));
            if !is_allowed {
                wrong.push(format!("{name} uses crate::{path}"));
            }
        }
    }
    assert!(wrong.is_empty(), "these imports break the layers (see CONTRIBUTING.md):\n{}", wrong.join("\n"));
}

#[test]
fn files_stay_small() {
    let listed = fs::read_to_string("tests/data/long-files.txt").unwrap();
    let excused: BTreeMap<&str, usize> = listed
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| {
            let (path, lines) = line.split_once(' ').expect("path and number of lines");
            (path, lines.parse().unwrap())
        })
        .collect();
    let verbs = verbs(&ma_cli::cli::command());
    let mut wrong = Vec::new();
    let mut needed = BTreeSet::new();
    for file in source_files() {
        let path = file.to_string_lossy().into_owned();
        let lines = fs::read_to_string(&file).unwrap().lines().count();
        let is_verb = path.starts_with("src/commands/") && verbs.contains(&file_stem(&file).replace('_', "-"));
        let limit = if is_verb { LONGEST_VERB } else { LONGEST_FILE };
        if lines <= limit {
            continue;
        }
        needed.insert(path.clone());
        match excused.get(path.as_str()) {
            Some(&allowed) if lines <= allowed => {}
            Some(&allowed) => wrong.push(format!("{path}: {lines} lines, {allowed} were excused")),
            None => wrong.push(format!("{path}: {lines} lines, {limit} are allowed")),
        }
    }
    wrong.extend(excused.keys().filter(|path| !needed.contains(**path)).map(|path| format!("{path} needs no excuse any more")));
    assert!(wrong.is_empty(), "tests/data/long-files.txt may only shrink:\n{}", wrong.join("\n"));
}

#[test]
fn every_command_has_help_and_an_example_and_every_option_a_long_name() {
    let mut root = ma_cli::cli::command();
    root.build();
    let mut wrong = Vec::new();
    visit(&root, root.get_name(), &mut wrong);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn visit(command: &clap::Command, path: &str, wrong: &mut Vec<String>) {
    if command.is_hide_set() {
        return;
    }
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    if about.is_empty() || about.ends_with('.') {
        wrong.push(format!("{path}: the help's first line is missing or ends with a full stop"));
    }
    let is_leaf = !command.has_subcommands();
    let example = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    if is_leaf && !(example.contains("Examples:") && example.contains("ma-cli ")) {
        wrong.push(format!("{path}: no example"));
    }
    for argument in command.get_arguments() {
        if argument.get_help().is_none() {
            wrong.push(format!("{path}: {} has no help", argument.get_id()));
        }
        if !argument.is_positional() && argument.get_long().is_none() {
            wrong.push(format!("{path}: {} has no long name", argument.get_id()));
        }
    }
    for child in command.get_subcommands() {
        visit(child, &format!("{path} {}", child.get_name()), wrong);
    }
}

/// The names of all commands.
fn verbs(command: &clap::Command) -> BTreeSet<String> {
    let children = command.get_subcommands();
    children.flat_map(|child| verbs(child).into_iter().chain([child.get_name().to_owned()])).collect()
}

/// The name of the file, or of its folder when it is a `mod.rs`.
fn file_stem(file: &Path) -> String {
    let name = module_name(file);
    name.rsplit('/').next().unwrap_or(&name).to_owned()
}

/// Every file under `src/`, as a relative path.
fn source_files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![PathBuf::from("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    assert!(files.len() > 30, "the test runs in the package's folder");
    files.sort();
    files
}

/// `src/copy/mod.rs` → `copy`, `src/copy/plan.rs` → `copy/plan`.
fn module_name(file: &Path) -> String {
    let name = file.strip_prefix("src").unwrap().with_extension("").to_string_lossy().into_owned();
    name.strip_suffix("/mod").unwrap_or(&name).to_owned()
}

/// Whether a command's file names the folder of another noun.
fn is_other_noun(file: &str, path: &str) -> bool {
    let noun = |text: &str, separator: &str| text.split(separator).nth(1).map(str::to_owned);
    let (own, other) = (noun(file, "/"), noun(path, "::"));
    own.is_some() && other.is_some() && own != other
}

/// Every `crate::…` path in the text, groups expanded, without the leading `crate::`.
fn crate_paths(text: &str) -> Vec<String> {
    let code: String = text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n");
    let mut paths = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let is_word_start = !code[..at].ends_with(|character: char| character.is_alphanumeric() || character == '_');
        if is_word_start {
            expand(&code[at + "crate::".len()..], "", &mut paths);
        }
    }
    paths
}

/// Reads one path or group; returns what follows it.
fn expand<'a>(text: &'a str, prefix: &str, paths: &mut Vec<String>) -> &'a str {
    let text = text.trim_start();
    if let Some(mut rest) = text.strip_prefix('{') {
        loop {
            rest = expand(rest, prefix, paths).trim_start();
            match rest.chars().next() {
                Some(',') => rest = rest[1..].trim_start(),
                Some('}') => return &rest[1..],
                _ => return rest,
            }
            if let Some(after) = rest.strip_prefix('}') {
                return after;
            }
        }
    }
    let end = text.find(|character: char| !(character.is_alphanumeric() || character == '_')).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    let path = if prefix.is_empty() { word.to_owned() } else { format!("{prefix}::{word}") };
    if let Some(rest) = rest.strip_prefix("::") {
        let is_path = rest.starts_with(|character: char| character.is_alphabetic() || matches!(character, '_' | '{'));
        if is_path {
            return expand(rest, &path, paths);
        }
    }
    paths.push(if word == "self" { prefix.to_owned() } else { path });
    let rest = rest.trim_start();
    match rest.strip_prefix("as ") {
        Some(renamed) => {
            renamed.trim_start().trim_start_matches(|character: char| character.is_alphanumeric() || character == '_')
        }
        None => rest,
    }
}

#[test]
fn the_reader_of_paths_sees_groups_and_inline_paths() {
    let text = "use crate::a::{self, b::C, d as e};\nlet x = crate::f::g(); // crate::no\nuse other_crate::z;";
    assert_eq!(crate_paths(text), ["a", "a::b::C", "a::d", "f::g"]);
}
