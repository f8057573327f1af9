//! The command line against the reference: every option row, both ways, and every spelling parsed.

use std::collections::BTreeSet;
use std::ffi::OsString;

use clap::{Arg, ArgAction, Command};
use ma_cli::cli::{argv, help};

use crate::support::Home;

/// One row of `tests/data/options.tsv` or `options-added.tsv`.
#[derive(Debug)]
struct Row {
    command: String,
    long: String,
    shorts: Vec<String>,
    kind: String,
    choices: Vec<String>,
}

fn rows(file: &str) -> Vec<Row> {
    let text = std::fs::read_to_string(format!("tests/data/{file}")).unwrap();
    let list = |cell: &str| cell.split(',').filter(|word| !word.is_empty()).map(str::to_owned).collect();
    text.lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| {
            let cells: Vec<_> = line.split('\t').collect();
            Row {
                command: cells[0].to_owned(),
                long: cells[1].to_owned(),
                shorts: list(cells[2]),
                kind: cells[3].to_owned(),
                choices: list(cells.get(4).unwrap_or(&"")),
            }
        })
        .collect()
}

fn tree() -> Command {
    let mut root = ma_cli::cli::command();
    root.build();
    root
}

fn path(command: &str) -> Vec<String> {
    command.split(' ').filter(|name| *name != "ma-cli").map(str::to_owned).collect()
}

fn find<'a>(root: &'a Command, row: &Row) -> Option<&'a Arg> {
    let command = help::find(root, &path(&row.command));
    let matches = |argument: &&Arg| match row.kind.as_str() {
        "positional" => argument.is_positional(),
        _ => argument.get_long() == Some(row.long.as_str()),
    };
    command
        .get_arguments()
        .find(matches)
        .or_else(|| root.get_arguments().filter(|argument| argument.is_global_set()).find(matches))
}

/// Options that are read before clap: they have no entry in its tree.
fn is_eager(row: &Row) -> bool {
    matches!(row.long.as_str(), "help" | "version")
}

#[test]
fn every_documented_option_exists_with_its_spellings_and_kind() {
    let root = tree();
    let mut wrong = Vec::new();
    let added = rows("options-added.tsv");
    for row in rows("options.tsv").iter().filter(|row| !is_eager(row)) {
        let Some(argument) = find(&root, row) else {
            wrong.push(format!("{} --{}: missing", row.command, row.long));
            continue;
        };
        let kind = match argument.get_action() {
            _ if argument.is_positional() => "positional",
            ArgAction::SetTrue => "flag",
            ArgAction::Append => "multi",
            _ => "value",
        };
        if kind != row.kind {
            wrong.push(format!("{} --{}: is a {kind}, documented as {}", row.command, row.long, row.kind));
        }
        let mut shorts: BTreeSet<String> = argument.get_short().map(String::from).into_iter().collect();
        shorts.extend(argv::short_names(argument).map(str::to_owned));
        if shorts != row.shorts.iter().cloned().collect() {
            wrong.push(format!("{} --{}: short names {shorts:?}, documented {:?}", row.command, row.long, row.shorts));
        }
        // Those of the original come first.
        let more = added.iter().filter(|other| (&other.command, &other.long) == (&row.command, &row.long));
        let documented: Vec<_> = row.choices.iter().chain(more.flat_map(|other| &other.choices)).cloned().collect();
        if !row.choices.is_empty() && help::choices(argument) != documented {
            wrong.push(format!(
                "{} --{}: choices {:?}, documented {:?}",
                row.command,
                row.long,
                help::choices(argument),
                documented
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_option_is_documented_or_listed_as_an_addition() {
    let root = tree();
    let known: Vec<Row> = rows("options.tsv").into_iter().chain(rows("options-added.tsv")).collect();
    let commands: BTreeSet<&str> = known.iter().map(|row| row.command.as_str()).collect();
    let mut wrong = Vec::new();
    for command in commands {
        for argument in help::find(&root, &path(command)).get_arguments().filter(|argument| !argument.is_positional()) {
            let long = argument.get_long().unwrap_or_default();
            if !argument.is_global_set() && !known.iter().any(|row| row.command == command && row.long == long) {
                wrong.push(format!("{command} --{long}"));
            }
        }
    }
    for row in rows("options-added.tsv") {
        if find(&root, &row).is_none() {
            wrong.push(format!("{} --{} is listed as added and does not exist", row.command, row.long));
        }
    }
    assert!(wrong.is_empty(), "neither in options.tsv nor in options-added.tsv:\n{}", wrong.join("\n"));
}

#[test]
fn every_spelling_parses_to_the_same_option() {
    let root = tree();
    for row in rows("options.tsv").iter().filter(|row| row.kind != "positional" && !is_eager(row)) {
        let argument = find(&root, row).unwrap_or_else(|| panic!("{row:?}"));
        let value = row.choices.first().cloned().unwrap_or_else(|| "-1x".to_owned());
        let spellings = row.shorts.iter().map(|short| format!("-{short}")).chain([format!("--{}", row.long)]);
        for spelling in spellings {
            let mut forms = vec![vec![spelling.clone()]];
            if row.kind != "flag" {
                forms = vec![vec![spelling.clone(), value.clone()], vec![format!("{spelling}={value}")]];
            }
            for form in forms {
                let line = std::iter::once("ma-cli".to_owned()).chain(path(&row.command)).chain(form.clone());
                let arguments: Vec<OsString> = line.map(OsString::from).collect();
                let long = argument.get_long().unwrap();
                let expected = if row.kind == "flag" { format!("--{long}") } else { format!("--{long}={value}") };
                let argv::Parsed::Run(rewritten) = argv::rewrite(&root, &arguments) else {
                    panic!("{} {form:?} is refused", row.command);
                };
                assert_eq!(rewritten.last(), Some(&OsString::from(expected)), "{} {form:?}", row.command);
            }
        }
    }
}

#[test]
fn help_of_every_command_shows_usage_spellings_and_an_example() {
    let root = tree();
    let home = Home::new();
    let all = rows("options.tsv");
    let commands: BTreeSet<&str> = all.iter().map(|row| row.command.as_str()).collect();
    for command in commands {
        let arguments: Vec<String> = path(command).into_iter().chain(["-H".to_owned()]).collect();
        let output = home.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(output.code, 0, "{command}: {output:?}");
        assert!(output.stdout.starts_with("Usage: ma-cli"), "{command}: {}", output.stdout);
        if !help::find(&root, &path(command)).has_subcommands() {
            assert!(output.stdout.contains("Examples:\n"), "{command}: {}", output.stdout);
        }
        for row in all.iter().filter(|row| row.command == command && row.kind != "positional") {
            for spelling in row.shorts.iter().map(|short| format!("-{short}")).chain([format!("--{}", row.long)]) {
                assert!(
                    output.stdout.contains(&format!("{spelling}, ")) || output.stdout.contains(&format!("{spelling} ")),
                    "{command}: {spelling} is not in\n{}",
                    output.stdout
                );
            }
        }
    }
}

#[test]
fn misuse_looks_as_the_original_and_exits_2() {
    let home = Home::new();
    let output = home.run(&["configure", "--regin", "x"]);
    assert_eq!(output.code, 2);
    assert_eq!(
        output.stderr,
        "Usage: ma-cli configure [OPTIONS]\nTry 'ma-cli configure -h' for help.\n\nError: No such option: --regin Did you mean --region?\n"
    );
    let output = home.run(&["configure", "--auth", "aksk2"]);
    assert!(
        output.stderr.ends_with(
            "Error: Invalid value for '-auth' / '--auth': 'aksk2' is not one of 'PWD', 'AKSK', 'ROMA'. Did you mean AKSK?\n"
        ),
        "{output:?}"
    );
    let output = home.run(&["nothing"]);
    assert!(output.stderr.ends_with("Error: No such command 'nothing'.\n"), "{output:?}");
    let output = home.run(&["image", "list"]);
    assert!(output.code == 1 && output.stderr.contains("No such command 'image'. This version does not have it"), "{output:?}");
    // Nothing that a shell would evaluate.
    let output = home.run_with(&[], &[("_MA_CLI_COMPLETE", "tcsh_source")], "");
    assert!(output.code == 2 && output.stdout.is_empty() && output.stderr.contains("fish_source"), "{output:?}");
    let output = home.run_with(&["obs", "ls"], &[("MA_CLI_FORMAT", "josn")], "");
    assert!(output.code == 2 && output.stderr.contains("did you mean [json]?"), "{output:?}");
    for (words, meant) in [
        (&["help", "ma-job", "get-jbo"][..], "did you mean: ma-cli help ma-job get-job"),
        (&["help", "copyign"], "did you mean: ma-cli help copying"),
        (&["help", "ma-jbo"], "did you mean: ma-cli help ma-job"),
    ] {
        let output = home.run(words);
        assert!(output.code == 2 && output.stderr.contains(meant), "{output:?}");
    }
    let topics = home.run(&["help", "topics"]).stdout;
    assert!(topics.lines().last().unwrap().starts_with("  profiles "), "{topics}");
}

#[test]
fn the_last_of_a_repeated_option_wins_and_choices_match_in_any_case() {
    let home = Home::new();
    let output = home.run(&[
        "-P",
        "a",
        "configure",
        "-auth",
        "pwd",
        "-auth",
        "aksk",
        "-ak",
        "1",
        "-ak",
        "2",
        "-sk",
        "s",
        "-r",
        "cn-north-4",
        "-P",
        "b",
    ]);
    assert_eq!(output.code, 0, "{output:?}");
    let text = std::fs::read_to_string(home.profile_file()).unwrap();
    assert_eq!(text, "b:\n  auth: AKSK\n  access_key: \"2\"\n  secret_key: s\n  region: cn-north-4\n");
}

#[test]
fn version_and_topics() {
    let home = Home::new();
    for option in ["-v", "-V", "--version"] {
        assert_eq!(home.run(&[option]).stdout, concat!("ma-cli, version ", env!("CARGO_PKG_VERSION"), "\n"));
    }
    assert!(home.run(&["help", "exit-codes"]).stdout.contains("  130  interrupted"));
    assert_eq!(home.run(&["help", "configure"]).stdout, home.run(&["configure", "-h"]).stdout);
    assert_eq!(home.run(&["help", "nonsense"]).code, 2);
}
