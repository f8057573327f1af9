//! Files made from the command tree are current. `MA_CLI_UPDATE=1 cargo nextest run generated` rewrites them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ma_cli::cli::{help, man};

#[test]
fn man_pages_are_current() {
    let is_update = std::env::var("MA_CLI_UPDATE").is_ok_and(|value| value == "1");
    let pages = man::pages();
    for (name, text) in &pages {
        let path = Path::new("man").join(name);
        if is_update {
            fs::write(&path, text).unwrap();
        }
        let current = fs::read_to_string(&path).unwrap_or_default();
        assert!(current == *text, "{} is not current; run: MA_CLI_UPDATE=1 cargo nextest run generated", path.display());
    }
    for entry in fs::read_dir("man").unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if !pages.iter().any(|(page, _)| *page == name) {
            assert!(is_update, "man/{name} belongs to no command");
            fs::remove_file(Path::new("man").join(name)).unwrap();
        }
    }
}

/// Every warning of the typesetter counts; it is one process for all pages.
#[test]
fn man_pages_are_clean_for_groff() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("groff");
    command.args(["-ww", "-man", "-Tutf8", "-z"]);
    for (name, text) in man::pages() {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        command.arg(path);
    }
    let output = command.output().expect("groff is needed for this test (scripts/test installs it)");
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && complaints.is_empty(), "{complaints}");
}

/// What the arguments of a command say of it is read by somebody: no comment of an enum may take its place.
#[test]
fn every_paragraph_about_a_command_stands_on_its_page() {
    let (mut root, mut pages) = (ma_cli::cli::command(), Vec::new());
    root.build();
    collect_pages(&root, &root, &mut Vec::new(), &mut pages);
    let mut found = 0;
    for path in sources(Path::new("src/commands")) {
        let text = fs::read_to_string(&path).unwrap();
        for about in abouts(&text).filter(|about| about.len() > 1) {
            let is_whole = |page: &String| about.iter().all(|paragraph| page.contains(paragraph.trim_end_matches('.')));
            assert!(pages.iter().any(is_whole), "{}: on no page: {about:?}", path.display());
            found += 1;
        }
    }
    assert!(found > 40, "only {found} commands have more than a line to say");
}

fn collect_pages(root: &clap::Command, command: &clap::Command, path: &mut Vec<String>, pages: &mut Vec<String>) {
    pages.push(in_one_line(&help::command_page(root, path)));
    for child in command.get_subcommands() {
        path.push(child.get_name().to_owned());
        collect_pages(root, child, path, pages);
        path.pop();
    }
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
}

/// The paragraphs of the comment of each `pub struct …Args`.
fn abouts(text: &str) -> impl Iterator<Item = Vec<String>> {
    let ends = text.match_indices("\npub struct ").filter(|(at, start)| {
        let name = text[at + start.len()..].split(['{', ' ']).next().unwrap_or_default();
        name.ends_with("Args")
    });
    ends.map(|(end, _)| {
        let comment: Vec<&str> = text[..end]
            .lines()
            .rev()
            .skip_while(|line| !line.starts_with("///"))
            .take_while(|line| line.starts_with("///"))
            .collect();
        let lines = comment.into_iter().rev().map(|line| line.trim_start_matches('/').trim());
        lines.collect::<Vec<_>>().split(|line| line.is_empty()).map(|lines| lines.join(" ")).collect()
    })
}

fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
