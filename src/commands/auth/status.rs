//! `auth status`.

use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;

use crate::auth::caller::Caller;
use crate::ctx::Ctx;
use crate::error::Error;
use crate::ui::{Present, Table, Zone};

/// Show who the credentials belong to
///
/// Asks the identity service, so it fails with exit code 4 when they are not valid.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ma-cli auth status
  ma-cli auth status -P work -F json")]
pub struct StatusArgs {}

/// Asks and shows.
///
/// # Errors
/// No credentials, or none that the service accepts.
pub async fn run(ctx: &Ctx) -> Result<(), Error> {
    ctx.ui.emit(&ask(ctx).await?)
}

/// Asks the identity service who the credentials belong to.
pub(super) async fn ask(ctx: &Ctx) -> Result<Status, Error> {
    let caller = ctx.caller().await?;
    let report = ctx.credential_report().await?;
    let source = report.used().map(|step| step.reason.clone()).unwrap_or_default();
    let profile = ctx.settings()?.profile.value.clone();
    Ok(Status { caller, profile, source, zone: ctx.ui.zone() })
}

/// Whoever is logged in.
#[derive(Debug)]
pub(super) struct Status {
    caller: Caller,
    profile: String,
    source: String,
    zone: Zone,
}

impl Status {
    fn end(&self, zone: Zone) -> Option<String> {
        let end = self.caller.expires_at?;
        end.to_offset(zone.offset_at(end)).replace_nanosecond(0).ok()?.format(&Rfc3339).ok()
    }
}

impl Present for Status {
    fn table(&self) -> Table {
        let mut table = Table::new(["profile", "account", "project_id", "source", "expires_at"]);
        let caller = &self.caller;
        let end = self.end(self.zone).unwrap_or_else(|| "N/A".to_owned());
        let cells = [&self.profile, &caller.account, &caller.project_id, &self.source, &end];
        table.rows.push(cells.map(Clone::clone).to_vec());
        table
    }

    fn document(&self) -> Value {
        json!({
            "profile": self.profile,
            "account": self.caller.account,
            "account_id": self.caller.account_id,
            "project_id": self.caller.project_id,
            "source": self.source,
            "expires_at": self.end(Zone::default()),
        })
    }
}
