//! How an error looks.

use std::error::Error as _;
use std::fmt::Write as _;

use serde_json::json;

use crate::error::Error;
use crate::ui::text::{escaped, printable_json, printable_lines};

/// For people: the message, its code and request id, causes, hints.
pub(super) fn text(error: &Error, label: &str, is_debug: bool) -> String {
    let mut output = format!("{label} {}", escaped(&error.message));
    match (&error.code, &error.request_id) {
        (Some(code), Some(id)) => push(&mut output, format_args!(" ({}, request {})", escaped(code), escaped(id))),
        (Some(code), None) => push(&mut output, format_args!(" ({})", escaped(code))),
        (None, Some(id)) => push(&mut output, format_args!(" (request {})", escaped(id))),
        (None, None) => {}
    }
    output.push('\n');
    let mut cause = error.source();
    let mut last = error.message.clone();
    while let Some(current) = cause {
        let message = current.to_string();
        // Wrappers that only repeat what was said are left out, unless traces are wanted.
        if is_debug || !last.contains(&message) {
            push(&mut output, format_args!("Caused by: {}\n", indented(&message)));
        }
        last = message;
        cause = current.source();
    }
    for hint in &error.hints {
        push(&mut output, format_args!("hint: {}\n", escaped(hint)));
    }
    output
}

/// For programs: one line of JSON.
pub(super) fn json(error: &Error) -> String {
    let mut causes = Vec::new();
    let mut cause = error.source();
    while let Some(current) = cause {
        causes.push(current.to_string());
        cause = current.source();
    }
    let body = json!({"error": {
        "kind": error.kind.name(),
        "code": error.code,
        "message": error.message,
        "request_id": error.request_id,
        "causes": causes,
        "hints": error.hints,
    }});
    printable_json(format!("{body}\n"))
}

/// Causes of libraries may have several lines; none of them looks like a line of ours.
fn indented(message: &str) -> String {
    printable_lines(message.trim_end()).replace('\n', "\n    ")
}

fn push(output: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = output.write_fmt(arguments);
}

#[cfg(test)]
mod tests {
    use super::{json, text};
    use crate::error::{Error, Kind};

    fn error() -> Error {
        let mut error =
            Error::new(Kind::NotFound, "there is no training job [a\x1b[2J]").hint("list them with: ma-cli ma-job get-job");
        error.code = Some("ModelArts.2763".to_owned());
        error.request_id = Some("f00d".to_owned());
        error.caused_by(std::io::Error::other("the cause"))
    }

    #[test]
    fn text_names_code_request_cause_and_hint() {
        assert_eq!(
            text(&error(), "[ERROR]", false),
            "[ERROR] there is no training job [a\\u{1b}[2J] (ModelArts.2763, request f00d)\nCaused by: the cause\nhint: list them with: ma-cli ma-job get-job\n"
        );
    }

    #[test]
    fn d3_1_a_name_forges_no_line() {
        let error = Error::new(Kind::NotFound, "[x\n[OK] fine]").hint("see [y\n[OK] fine]");
        let error = error.caused_by(std::io::Error::other("z\n[OK] fine"));
        let text = text(&error, "[ERROR]", false);
        assert!(!text.lines().any(|line| line.starts_with("[OK]")), "{text}");
        assert!(text.contains("[x\\n[OK] fine]"), "{text}");
    }

    #[test]
    fn json_is_one_line() {
        let line = json(&error());
        assert_eq!(line.lines().count(), 1);
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["error"]["kind"], "not_found");
        assert_eq!(value["error"]["causes"][0], "the cause");
    }
}
