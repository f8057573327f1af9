//! Standard input or output as one side of the copy.

use std::io;
use std::sync::Arc;

use super::ObsCopyArgs;
use super::report::Report;
use crate::copy::{self, EventSink, pipe};
use crate::ctx::Ctx;
use crate::error::{Error, Kind};
use crate::obs::ObsUrl;
use crate::ui::Format;

/// Whether a side is `-`.
pub(super) fn is_pipe(src: &str, dst: &str) -> bool {
    src == pipe::NAME || dst == pipe::NAME
}

/// Copies from standard input, or to standard output, which then carries the bytes and nothing else.
///
/// # Errors
/// As those of a copy; [`Kind::BrokenPipe`] when the reader went away.
pub(super) async fn run(ctx: &Ctx, args: &ObsCopyArgs, src: String, dst: String) -> Result<(), Error> {
    // What would be ignored is refused: some of it is there to keep what exists.
    let dropped = args.drop_last_dir.then_some("--drop-last-dir");
    if let Some(option) = args.existing.about_destination().or(args.selection.about_names()).or(dropped) {
        return Err(Error::new(Kind::Usage, format!("{option} cannot be used with - (standard input or output)")));
    }
    let is_input = src == pipe::NAME;
    let other = if is_input { &dst } else { &src };
    if !ObsUrl::looks_like(other) {
        return Err(Error::new(Kind::Usage, "with - on one side, the other must be an obs:// path"));
    }
    let url: ObsUrl = other.parse()?;
    let client = ctx.obs_with_stall(args.transfer.stall())?.with_attributes(args.attributes.read()?)?;
    let cancel = ctx.cancel();
    let mut options = copy::Options::default();
    args.transfer.apply(&mut options);
    if is_input && options.part_size.is_some_and(|size| size > options.memory) {
        let message = "a part of standard input is held in memory, and --part-size is more than --max-memory allows";
        return Err(Error::new(Kind::Usage, message).hint("ask for smaller parts, or for more memory"));
    }
    let progress = Arc::new(ctx.ui.copy_progress(args.progress.choice()));
    let events = Arc::clone(&progress) as Arc<dyn EventSink>;
    let copied = if is_input {
        pipe::from_reader(&client, ctx.ui.raw_input()?, &url, &options, events, &cancel).await
    } else {
        pipe::to_writer(&client, &url, ctx.ui.raw_output()?, &options, events, &cancel).await
    };
    drop(progress);
    let summary = copied.map_err(broken_pipe)?;
    let report = Report { source: src, destination: dst, summary, deleted: 0 };
    if is_input {
        if ctx.ui.format() == Format::Table {
            ctx.ui.ok(&format!("local src path: [{}]", report.source))?;
            ctx.ui.ok(&format!("obs dst path: [{}]", report.destination))?;
        } else {
            ctx.ui.emit(&report)?;
        }
    }
    ctx.ui.note(&report.sentence());
    Ok(())
}

/// A reader that has enough ends the copy as it ends other tools: quietly.
fn broken_pipe(error: copy::Error) -> Error {
    match error {
        copy::Error::Local { ref source, .. } if source.kind() == io::ErrorKind::BrokenPipe => {
            Error::new(Kind::BrokenPipe, "the reader of standard output went away")
        }
        error => error.into(),
    }
}
