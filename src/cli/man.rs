//! Manual pages, one a command and one a topic, made from the same tree as the help.

use clap::Command;

use crate::cli::{argv, help};

/// The date of the pages: that of the version in the changelog, once it has one.
const DATE: &str = "2026-11-22";

/// Every page: its file name (`ma-cli-ma-job-submit.1`, `ma-cli-copying.7`) and its roff text.
pub fn pages() -> Vec<(String, String)> {
    let mut root = crate::cli::command();
    root.build();
    let mut pages = Vec::new();
    collect(&root, &mut Vec::new(), &mut pages);
    pages.extend(crate::commands::help::topics().map(|(name, text)| (format!("ma-cli-{name}.7"), topic(name, &text))));
    pages
}

/// The page of a topic; its first line says what it is about.
fn topic(name: &str, text: &str) -> String {
    let (about, text) = text.split_once('\n').unwrap_or((text, ""));
    let name = format!("ma-cli-{name}");
    let head = head(&name, 7);
    let about = about.trim_end_matches(['.', ':']);
    format!("{head}.SH NAME\n{} \\- {}\n.SH DESCRIPTION\n.nf\n{}\n.fi\n", roff(&name), roff(about), roff(text.trim()))
}

fn head(name: &str, section: u8) -> String {
    format!(".TH {} {section} \"{DATE}\" \"ma-cli {}\"\n", name.to_uppercase(), env!("CARGO_PKG_VERSION"))
}

fn collect(root: &Command, path: &mut Vec<String>, pages: &mut Vec<(String, String)>) {
    let command = help::find(root, path);
    if command.is_hide_set() {
        return;
    }
    let name = std::iter::once("ma-cli").chain(path.iter().map(String::as_str)).collect::<Vec<_>>().join("-");
    pages.push((format!("{name}.1"), page(root, path, &name)));
    for child in command.get_subcommands() {
        path.push(child.get_name().to_owned());
        collect(root, path, pages);
        path.pop();
    }
}

fn page(root: &Command, path: &[String], name: &str) -> String {
    let command = help::find(root, path);
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let mut text = head(name, 1);
    text.push_str(&format!(".SH NAME\n{} \\- {}\n", roff(name), roff(&about)));
    let usage = help::usage_line(root, path);
    text.push_str(&format!(".SH SYNOPSIS\n{}\n", roff(usage.trim_start_matches("Usage: "))));
    if let Some(long) = command.get_long_about() {
        text.push_str(".SH DESCRIPTION\n");
        for (index, paragraph) in long.to_string().split("\n\n").enumerate() {
            text.push_str(if index == 0 { "" } else { ".PP\n" });
            text.push_str(&format!("{}\n", roff(&paragraph.replace('\n', " "))));
        }
    }
    text.push_str(".SH OPTIONS\n");
    for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
        let names = if argument.is_positional() {
            argument.get_value_names().map(|names| names.join(" ")).unwrap_or_default()
        } else {
            help::names(argument)
        };
        let about = argument.get_help().map(ToString::to_string).unwrap_or_default();
        text.push_str(&format!(".TP\n{}\n{}", roff(&names), roff(&about)));
        let choices = if argv::is_flag(argument) { Vec::new() } else { help::choices(argument) };
        if !choices.is_empty() {
            let end = if about.is_empty() || about.ends_with(['.', ':', '?']) { "" } else { "." };
            text.push_str(&format!("{end}\nOne of: {}.", roff(&choices.join(", "))));
        }
        text.push('\n');
    }
    if let Some(examples) = command.get_after_help() {
        let lines = examples.to_string();
        let lines = lines.strip_prefix("Examples:\n").unwrap_or(&lines);
        text.push_str(&format!(".SH EXAMPLES\n.nf\n{}\n.fi\n", roff(lines)));
    }
    let children: Vec<_> = command.get_subcommands().filter(|child| !child.is_hide_set()).collect();
    if !children.is_empty() {
        text.push_str(".SH COMMANDS\n");
        for child in children {
            let about = child.get_about().map(ToString::to_string).unwrap_or_default();
            text.push_str(&format!(".TP\n{}\n{}\n", roff(&format!("{name}-{}(1)", child.get_name())), roff(&about)));
        }
    }
    text
}

/// Escapes what roff would read as its own: backslashes, dashes, and dots and quotes at the start of a line; and what is not
/// ASCII, which it reads as Latin-1.
fn roff(text: &str) -> String {
    let escape = |character: char| match character {
        '\\' => "\\e".to_owned(),
        '-' => "\\-".to_owned(),
        _ if character.is_ascii() => character.to_string(),
        _ => format!("\\[u{:04X}]", u32::from(character)),
    };
    let escaped: String = text.chars().map(escape).collect();
    let guarded: Vec<_> = escaped
        .lines()
        .map(|line| if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line.to_owned() })
        .collect();
    guarded.join("\n")
}

#[cfg(test)]
mod tests {
    use super::{DATE, pages};

    #[test]
    fn pages_have_a_date_and_whole_sentences() {
        for (name, page) in pages() {
            assert!(page.starts_with(".TH ") && page.contains(&format!(" \"{DATE}\" ")), "{name}");
            let lines: Vec<&str> = page.lines().collect();
            for pair in lines.windows(2).filter(|pair| pair[1].starts_with("One of: ")) {
                assert!(pair[0].ends_with(['.', ':', '?']), "{name}: {pair:?}");
            }
        }
    }

    #[test]
    fn the_date_is_that_of_the_version() {
        let heading = format!("## {} - ", env!("CARGO_PKG_VERSION"));
        let dates = include_str!("../../CHANGELOG.md").lines().find_map(|line| line.strip_prefix(&heading));
        assert!(dates.is_none_or(|date| date == DATE), "the changelog dates this version {dates:?}");
    }
}
