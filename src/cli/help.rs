//! Help pages in the layout of the original.

use std::fmt::Write as _;

use clap::{Arg, ArgAction, Command};

use crate::cli::argv;

/// Columns of a help page; the original wraps at 80.
const WIDTH: usize = 80;
/// Widest left column; longer option names push their text to the next line.
const LEFT: usize = 34;

/// The command reached by these names, from the root on.
pub fn find<'a>(root: &'a Command, path: &[String]) -> &'a Command {
    path.iter().fold(root, |command, name| command.find_subcommand(name).unwrap_or(command))
}

/// The help page of the command reached by these names.
pub fn command_page(root: &Command, path: &[String]) -> String {
    let command = find(root, path);
    let mut page = format!("{}\n", usage_line(root, path));
    if let Some(about) = command.get_long_about().or_else(|| command.get_about()) {
        page.push('\n');
        for paragraph in about.to_string().split("\n\n") {
            page.push_str(&wrap(paragraph, 2));
            page.push('\n');
        }
    }
    if let Some(examples) = command.get_after_help() {
        push(&mut page, format_args!("\n{examples}\n"));
    }
    positionals(&mut page, command);
    options(&mut page, root, command);
    commands(&mut page, command);
    page
}

/// `Usage: ma-cli ma-job get-job [OPTIONS]`
pub fn usage_line(root: &Command, path: &[String]) -> String {
    let command = find(root, path);
    let mut line = format!("Usage: {}", root.get_name());
    for name in path {
        push(&mut line, format_args!(" {name}"));
    }
    line.push_str(" [OPTIONS]");
    if command.has_subcommands() {
        line.push_str(" COMMAND [ARGS]...");
    }
    for argument in command.get_positionals() {
        let name = value_name(argument);
        let name = if argument.is_required_set() { name } else { format!("[{name}]") };
        let many = matches!(argument.get_action(), ArgAction::Append);
        push(&mut line, format_args!(" {name}{}", if many { "..." } else { "" }));
    }
    line
}

fn positionals(page: &mut String, command: &Command) {
    let rows: Vec<_> = command.get_positionals().map(|argument| (value_name(argument), description(argument))).collect();
    section(page, "Arguments", &rows);
}

fn options(page: &mut String, root: &Command, command: &Command) {
    let is_root = root.get_name() == command.get_name();
    let own = command
        .get_arguments()
        .filter(|argument| !argument.is_positional() && !argument.is_global_set() && !argument.is_hide_set());
    let mut rows: Vec<_> = own.map(|argument| (names(argument), description(argument))).collect();
    if is_root {
        rows.push(("-V, -v, --version".to_owned(), "Show the version and exit.".to_owned()));
    }
    let global = root.get_arguments().filter(|argument| argument.is_global_set());
    rows.extend(global.map(|argument| (names(argument), description(argument))));
    rows.push(("-h, -H, --help".to_owned(), "Show this message and exit.".to_owned()));
    section(page, "Options", &rows);
}

fn commands(page: &mut String, command: &Command) {
    let rows: Vec<_> = command
        .get_subcommands()
        .filter(|child| !child.is_hide_set())
        .map(|child| {
            let mut name = child.get_name().to_owned();
            for alias in child.get_visible_aliases() {
                push(&mut name, format_args!(", {alias}"));
            }
            (name, child.get_about().map(ToString::to_string).unwrap_or_default())
        })
        .collect();
    section(page, "Commands", &rows);
}

/// All spellings of an option and the form of its value: `-pn, --page-num INTEGER`.
pub fn names(argument: &Arg) -> String {
    let mut spellings: Vec<String> = argument.get_short().map(|short| format!("-{short}")).into_iter().collect();
    spellings.extend(argv::short_names(argument).map(|short| format!("-{short}")));
    spellings.extend(argument.get_long_and_visible_aliases().unwrap_or_default().into_iter().map(|long| format!("--{long}")));
    let mut text = spellings.join(", ");
    if !argv::is_flag(argument) {
        push(&mut text, format_args!(" {}", value_name(argument)));
    }
    text
}

fn value_name(argument: &Arg) -> String {
    let choices = choices(argument);
    if !choices.is_empty() && !argument.is_positional() && choices.len() <= 6 {
        return format!("[{}]", choices.join("|"));
    }
    match argument.get_value_names() {
        Some([first, ..]) => first.to_string(),
        _ => "TEXT".to_owned(),
    }
}

/// The documented values of an option, if they are a closed list.
pub fn choices(argument: &Arg) -> Vec<String> {
    if argv::is_flag(argument) {
        return Vec::new();
    }
    let values = argument.get_possible_values();
    values.iter().filter(|value| !value.is_hide_set()).map(|value| value.get_name().to_owned()).collect()
}

fn description(argument: &Arg) -> String {
    let mut text = argument.get_help().map(ToString::to_string).unwrap_or_default();
    if matches!(argument.get_action(), ArgAction::Append) && !argument.is_positional() {
        text.push_str(" (can be repeated)");
    }
    let defaults: Vec<_> = argument.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    if !defaults.is_empty() && !argv::is_flag(argument) {
        push(&mut text, format_args!(" [default: {}]", defaults.join(", ")));
    }
    if argument.is_required_set() && !argument.is_positional() {
        text.push_str(" [required]");
    }
    text
}

fn section(page: &mut String, title: &str, rows: &[(String, String)]) {
    if rows.is_empty() {
        return;
    }
    push(page, format_args!("\n{title}:\n"));
    let longest = rows.iter().map(|(left, _)| left.len()).filter(|&length| length <= LEFT).max().unwrap_or(LEFT);
    for (left, right) in rows {
        let text = wrap(right, longest + 4);
        let text = text.trim_start();
        if left.len() <= longest {
            push(page, format_args!("  {left:<longest$}  {text}\n"));
        } else {
            push(page, format_args!("  {left}\n{:indent$}{text}\n", "", indent = longest + 4));
        }
    }
}

/// Wraps at [`WIDTH`] columns with every line indented.
fn wrap(text: &str, indent: usize) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is always a line");
        if !line.is_empty() && indent + line.chars().count() + 1 + word.chars().count() > WIDTH {
            lines.push(word.to_owned());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    let margin = " ".repeat(indent);
    lines.iter().map(|line| format!("{margin}{line}")).collect::<Vec<_>>().join("\n")
}

fn push(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = text.write_fmt(arguments);
}
