//! `--delete`, after the copy.

use tokio_util::sync::CancellationToken;

use crate::copy::{self, Plan, Summary, mirror};
use crate::ctx::Ctx;
use crate::error::{Error, Kind};
use crate::obs::Client;
use crate::ui::text;

/// Deletes what the destination has and the source has not, if the copy had no failures and the user agrees. Gives the number
/// of files deleted; what could not be deleted is in the summary.
///
/// # Errors
/// The destination cannot be listed, nobody agrees, or the source is empty and nobody was sure.
pub(super) async fn run(
    ctx: &Ctx,
    client: &Client,
    plan: &Plan,
    options: &copy::Options,
    (summary, is_sure): (&mut Summary, bool),
    cancel: &CancellationToken,
) -> Result<u64, Error> {
    if summary.failed > 0 {
        ctx.ui.warn("nothing was deleted, because not everything was copied");
        return Ok(0);
    }
    let extras = mirror::find(client, plan, options, cancel).await?;
    if extras.is_empty() {
        return Ok(0);
    }
    let place = extras.place();
    if !is_sure && extras.source_is_empty {
        let message = format!("nothing was deleted: the source is empty, and so everything in [{place}] would go");
        return Err(Error::new(Kind::Declined, message).hint("give -y if that is what you want"));
    }
    if !is_sure {
        let folders = if extras.folders > 0 { format!(" and {} folders", extras.folders) } else { String::new() };
        let amount = format!("{} ({}){folders}", text::count(extras.files, "file"), text::bytes(extras.bytes));
        ctx.confirm(&format!("Delete {amount} in [{place}] that the source does not have?"), "-y/--yes").await?;
    }
    let deleted = extras.delete(client, options, cancel).await?;
    for failure in deleted.failures {
        summary.fail_deletion(failure.name, failure.error);
    }
    Ok(deleted.files)
}
