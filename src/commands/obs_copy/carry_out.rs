//! The copy itself, watched, and what comes after it.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{ObsCopyArgs, mirror};
use crate::commands::obs_copy::watch::Watch;
use crate::copy::report::Recording;
use crate::copy::{self, Plan};
use crate::ctx::Ctx;
use crate::error::{Error, Kind};
use crate::obs;

/// Copies, with progress and report; then deletes, if that was asked for.
pub(super) async fn carry_out(
    ctx: &Ctx,
    client: &obs::Client,
    plan: Plan,
    options: &copy::Options,
    args: &ObsCopyArgs,
    cancel: &CancellationToken,
) -> Result<(copy::Summary, u64, Option<String>), Error> {
    let watch = Watch::new(Arc::new(ctx.ui.copy_progress(args.progress.choice())));
    let mut events: Arc<dyn copy::EventSink> = Arc::clone(&watch) as Arc<dyn copy::EventSink>;
    if let Some(report) = &options.selection.report {
        events = Arc::new(Recording { watcher: events, report: Arc::clone(report) });
    }
    let copied = copy::copy(client, plan.clone(), options, events, cancel).await;
    let heard = watch.take();
    // The progress line goes before anything is said.
    drop(watch);
    let way_on = heard.tell(ctx);
    let failed = |error: copy::Error| match (&way_on, Error::from(error)) {
        (Some(way_on), error) => error.hint(way_on),
        (None, error) if error.kind == Kind::Interrupted => {
            error.hint("run the same command again; with --update, what has arrived is not copied twice")
        }
        (None, error) => error,
    };
    let mut summary = copied.map_err(failed)?;
    let deleted = match options.selection.seen {
        Some(_) => mirror::run(ctx, client, &plan, options, (&mut summary, args.yes), cancel).await?,
        None => 0,
    };
    Ok((summary, deleted, way_on))
}
