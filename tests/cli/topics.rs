//! Topics of `ma-cli help`, and that they speak of the options there are.

use std::collections::BTreeSet;

use ma_cli::cli::help;
use ma_cli::commands::help::topics;

use crate::support::Home;

#[test]
fn every_topic_prints_and_is_named() {
    let home = Home::new();
    let listed = home.run(&["help", "-h"]).stdout;
    let unknown = home.run(&["help", "nonsense"]).stderr;
    for (name, page) in topics() {
        assert_eq!(home.run(&["help", name]).stdout, page);
        assert!(listed.contains(name) && unknown.contains(name), "{name}");
        assert!(page.ends_with('\n') && !page.contains('\t'), "{name}");
        insta::assert_snapshot!(format!("topic_{name}"), page);
    }
}

#[test]
fn a_program_that_asks_for_documents_gets_no_page() {
    let home = Home::new();
    for words in [&["exit-codes"][..], &["ma-job", "get-job"]] {
        let page = home.run(&[&["help"], words].concat()).stdout;
        let output = home.run(&[&["help", "-F", "json"], words].concat());
        let document: serde_json::Value = serde_json::from_str(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
        assert_eq!(document, serde_json::json!({"topic": words.join(" "), "text": page}));
        assert_eq!(home.run(&[&["help", "--query", "text"], words].concat()).stdout.trim_end(), page.trim_end());
    }
    for arguments in [&["ma-job", "-F", "json"][..], &["-Fyaml", "obs"], &["--query", "x"]] {
        let output = home.run(arguments);
        assert_eq!((output.code, output.stdout.as_str()), (2, ""), "{output:?}");
        assert!(output.stderr.contains("\"message\":\"Missing command.\""), "{output:?}");
    }
    // What is a habit of the user's is no question of a program's.
    let output = home.run_with(&["ma-job"], &[("MA_CLI_FORMAT", "json")], "");
    assert!(output.code == 0 && output.stdout.starts_with("Usage: "), "{output:?}");
}

#[test]
fn copying_describes_every_option_of_obs_copy_and_no_other() {
    let mut root = ma_cli::cli::command();
    root.build();
    let command = help::find(&root, &["obs-copy".to_owned()]);
    let visible = command.get_arguments().filter(|argument| !argument.is_hide_set());
    let (global, own): (Vec<_>, Vec<_>) = visible.partition(|argument| argument.is_global_set());
    let topics = topics();
    let page = &topics.iter().find(|(name, _)| *name == "copying").unwrap().1;
    let named: BTreeSet<&str> = page
        .split(|character: char| !(character.is_ascii_alphanumeric() || character == '-'))
        .filter_map(|word| word.strip_prefix("--"))
        .collect();
    for argument in &own {
        let Some(long) = argument.get_long().filter(|long| *long != "help") else { continue };
        let is_short = argument
            .get_short()
            .is_some_and(|short| page.contains(&format!(" -{short} ")) || page.contains(&format!(" -{short};")));
        assert!(named.contains(long) || is_short, "`ma-cli help copying` is silent about --{long}");
    }
    let known: BTreeSet<&str> = own.iter().chain(&global).filter_map(|argument| argument.get_long()).collect();
    for name in named {
        assert!(known.contains(name), "`ma-cli help copying` speaks of --{name}, which does not exist");
    }
}

#[test]
fn exit_codes_names_every_kind_of_error() {
    let topics = topics();
    let page = &topics.iter().find(|(name, _)| *name == "exit-codes").unwrap().1;
    for kind in ma_cli::error::Kind::ALL {
        let line = page
            .lines()
            .find(|line| line.split(|end: char| !(end.is_alphanumeric() || end == '_')).any(|word| word == kind.name()));
        // The reader that went away is told nothing.
        let is_silent = kind == ma_cli::error::Kind::BrokenPipe;
        assert_eq!(line.is_none(), is_silent, "{}", kind.name());
        assert!(is_silent || line.unwrap().trim_start().starts_with(&kind.exit_code().to_string()), "{line:?}");
    }
}

#[test]
fn environment_names_every_variable_that_is_read() {
    let topics = topics();
    let page = &topics.iter().find(|(name, _)| *name == "environment").unwrap().1;
    let named: BTreeSet<&str> = page.split(|end: char| !(end.is_ascii_alphanumeric() || end == '_')).collect();
    let read = regex::Regex::new(
        r#"env\s*\.get\("([A-Za-z_]+)"\)|"((?:HUAWEICLOUD|MA_CLI|HC|OBS_[AS])[A-Z_]*[A-Z]|REGION_NAME|PROJECT_ID)""#,
    )
    .unwrap();
    let mut folders = vec![std::path::PathBuf::from("src")];
    let mut found = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                // What the platform gives to jobs is documented with the jobs.
                if !path.ends_with("platform") {
                    folders.push(path);
                }
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            // What is read when the program is built is no variable of a user.
            let code = text.split("#[cfg(test)]").next().unwrap_or_default().replace("env!(\"", "");
            for captures in read.captures_iter(&code) {
                let name = captures.get(1).or(captures.get(2)).unwrap().as_str();
                found += 1;
                assert!(
                    named.contains(name),
                    "`ma-cli help environment` is silent about {name}, which {} reads",
                    path.display()
                );
            }
        }
    }
    assert!(found > 20, "{found}");
}

#[test]
fn command_lines_of_the_readme_are_understood() {
    let readme = std::fs::read_to_string("README.md").unwrap();
    let is_code = |line: &&str| ["    ma-cli ", "$ ma-cli ", "ma-cli "].iter().any(|start| line.starts_with(start));
    let mut count = 0;
    for line in readme.lines().filter(is_code) {
        let line = line.trim_start_matches(['$', ' ']);
        let words = shell_words::split(line.split(" # ").next().unwrap()).unwrap();
        let arguments: Vec<std::ffi::OsString> = words.into_iter().map(Into::into).collect();
        if let ma_cli::cli::Invocation::Misuse(misuse) = ma_cli::cli::parse(&arguments) {
            panic!("{line}\n{}", misuse.text);
        }
        count += 1;
    }
    assert!(count > 20, "the README's command lines are no longer found");
}
