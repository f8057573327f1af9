//! `ma-cli platform reset`.

use serde_json::json;

use super::{ResetArgs, failure};
use crate::ctx::Ctx;
use crate::error::{Error, Kind};
use crate::platform::{self, reset};

/// Deletes what the platform has stored, after a question; refused while it runs.
pub(super) fn run(ctx: &Ctx, args: ResetArgs) -> Result<(), Error> {
    let data_dir = args.place.resolve(ctx);
    if !reset::is_platform(&data_dir) {
        let message = format!("Nothing to delete: there is no platform in [{}]", data_dir.display());
        return ctx.ui.done(&message, json!({"data_dir": data_dir.display().to_string(), "deleted": false}));
    }
    let explain = |error| match error {
        platform::Error::Running { .. } => Error::new(Kind::Conflict, "the platform is running").hint("ma-cli platform stop"),
        other => failure::explain(other),
    };
    let reset = reset::Reset::prepare(&data_dir).map_err(explain)?;
    let question = format!("Delete all buckets, jobs and keys of the platform in [{}]?", data_dir.display());
    if !args.yes {
        ctx.ui.confirm(&question, "-y/--yes")?;
    }
    reset.carry_out().map_err(explain)?;
    if data_dir == ctx.env.platform_directory() {
        ctx.forget_choice("local");
    }
    let message = format!("The platform in [{}] is deleted", data_dir.display());
    ctx.ui.done(&message, json!({"data_dir": data_dir.display().to_string(), "deleted": true}))
}
