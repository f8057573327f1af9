//! `--dry-run`: what would be done, as lines while it is found or as one document.

use std::fmt::Write as _;
use std::ops::ControlFlow;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::copy::preview::Action;
use crate::copy::{self, Plan, Summary, mirror};
use crate::ctx::Ctx;
use crate::error::{Error, Kind};
use crate::obs::Client;
use crate::ui::{Format, Present, Table, text};

/// Text that is printed together.
const CHUNK: usize = 64 * 1024;

/// Prints what a copy would do, and what would be deleted after it.
///
/// # Errors
/// What keeps from looking; [`Kind::Partial`] when some files would fail.
pub(super) async fn run(
    ctx: &Ctx,
    client: &Client,
    plan: &Plan,
    options: &copy::Options,
    cancel: &CancellationToken,
) -> Result<(), Error> {
    let mut printer = Printer::new(ctx);
    let summary = copy::preview(client, plan, options, cancel, &mut |action| printer.action(action)).await?;
    let mut deleted = 0;
    if options.selection.seen.is_some() && summary.failed == 0 {
        let mut extras = mirror::find(client, plan, options, cancel).await?;
        deleted = extras.files + extras.folders;
        extras.tell(&mut |action| printer.action(action))?;
    }
    printer.finish()?;
    ctx.ui.note(&sentence(&summary, deleted));
    for failure in &summary.failures {
        ctx.ui.note(&format!("would fail: [{}]: {}", failure.name, failure.error));
    }
    match summary.failed {
        0 => Ok(()),
        failed => Err(Error::new(
            Kind::Partial,
            format!("{failed} of {} would not be copied", text::count(summary.files + failed, "file")),
        )),
    }
}

fn sentence(summary: &Summary, deleted: u64) -> String {
    let Summary { files, bytes, skipped, failed, .. } = summary;
    let mut sentence = format!("dry run: {}, {}, would be copied", text::count(*files, "file"), text::bytes(*bytes));
    for (count, what) in [(*skipped, "skipped"), (deleted, "would be deleted"), (*failed, "would fail")] {
        if count > 0 {
            let _ = write!(sentence, "; {count} {what}");
        }
    }
    sentence
}

struct Printer<'a> {
    ctx: &'a Ctx,
    buffer: String,
    // For the documents that are printed as a whole.
    collected: Option<Actions>,
    is_json: bool,
    error: Option<Error>,
}

impl<'a> Printer<'a> {
    fn new(ctx: &'a Ctx) -> Self {
        let format = ctx.ui.format();
        let streams = matches!(format, Format::Table | Format::Jsonl) && !ctx.ui.has_query();
        let collected = (!streams).then(Actions::default);
        Self { ctx, buffer: String::with_capacity(CHUNK + 4096), collected, is_json: format == Format::Jsonl, error: None }
    }

    fn action(&mut self, action: &Action<'_>) -> ControlFlow<()> {
        if let Some(collected) = &mut self.collected {
            collected.0.push(row(action));
            return ControlFlow::Continue(());
        }
        if self.is_json {
            json_line(&mut self.buffer, action);
        } else {
            text_line(&mut self.buffer, action);
        }
        if self.buffer.len() < CHUNK {
            return ControlFlow::Continue(());
        }
        match self.flush() {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                self.error = Some(error);
                ControlFlow::Break(())
            }
        }
    }

    fn flush(&mut self) -> Result<(), Error> {
        let printed = self.ctx.ui.remote_text(&self.buffer);
        self.buffer.clear();
        printed
    }

    fn finish(mut self) -> Result<(), Error> {
        match (self.error.take(), &self.collected) {
            (Some(error), _) => Err(error),
            (None, Some(collected)) => self.ctx.ui.emit(collected),
            (None, None) => self.flush(),
        }
    }
}

fn text_line(buffer: &mut String, action: &Action<'_>) {
    let [base, name] = action.destination;
    let _ = write!(buffer, "{:<12}{:>10}  ", action.action, text::bytes(action.bytes));
    if let Some([base, name]) = action.source {
        push_printable(buffer, base);
        push_printable(buffer, name);
        buffer.push_str(" -> ");
    }
    push_printable(buffer, base);
    push_printable(buffer, name);
    let _ = writeln!(buffer, "  ({})", action.reason);
}

/// One line an object, whatever its name.
fn push_printable(buffer: &mut String, text: &str) {
    if text.chars().any(char::is_control) { buffer.push_str(&text::escaped(text)) } else { buffer.push_str(text) }
}

fn json_line(buffer: &mut String, action: &Action<'_>) {
    buffer.push_str("{\"action\":\"");
    buffer.push_str(action.action);
    buffer.push_str("\",\"source\":");
    match action.source {
        Some(parts) => push_json(buffer, parts),
        None => buffer.push_str("null"),
    }
    buffer.push_str(",\"destination\":");
    push_json(buffer, action.destination);
    let _ = write!(buffer, ",\"bytes\":{},\"reason\":\"", action.bytes);
    buffer.push_str(action.reason);
    buffer.push_str("\"}\n");
}

/// Both parts as one JSON string.
fn push_json(buffer: &mut String, parts: [&str; 2]) {
    buffer.push('"');
    for part in parts {
        let is_plain = part.bytes().all(|byte| byte >= 0x20 && !matches!(byte, b'"' | b'\\' | 0x7f));
        if is_plain {
            buffer.push_str(part);
        } else {
            let quoted = Value::from(part).to_string();
            buffer.push_str(&quoted[1..quoted.len() - 1]);
        }
    }
    buffer.push('"');
}

/// What would be done, as a whole.
#[derive(Default)]
struct Actions(Vec<Value>);

fn row(action: &Action<'_>) -> Value {
    json!({
        "action": action.action,
        "source": action.source.map(|parts| parts.concat()),
        "destination": action.destination.concat(),
        "bytes": action.bytes,
        "reason": action.reason,
    })
}

impl Present for Actions {
    fn table(&self) -> Table {
        let columns = vec!["action", "source", "destination", "bytes", "reason"];
        let cell = |row: &Value, column: &str| match &row[column] {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let rows = self.0.iter().map(|row| columns.iter().map(|column| cell(row, column)).collect()).collect();
        Table { rows, ..Table::new(columns) }
    }

    fn document(&self) -> Value {
        Value::Array(self.0.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::{json_line, row, text_line};
    use crate::copy::preview::Action;

    #[test]
    fn lines_are_json_whatever_the_names() {
        for name in ["plain", "quo\"te\\", "line\nend\u{7f}", "é😀"] {
            let source = Some(["/src/", name]);
            let action =
                Action { action: "upload", source, destination: ["obs://b/\"p\"/", name], bytes: 7, reason: "missing" };
            let mut line = String::new();
            json_line(&mut line, &action);
            assert_eq!(serde_json::from_str::<serde_json::Value>(&line).unwrap(), row(&action));
            assert_eq!(line.matches('\n').count(), 1);
            line.clear();
            text_line(&mut line, &action);
            assert_eq!(line.matches('\n').count(), 1);
        }
    }
}
