//! `ma-cli platform status`, and the views of a platform that other commands show, too.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{StatusArgs, failure};
use crate::ctx::Ctx;
use crate::error::Error;
use crate::platform::identity::Account;
use crate::platform::installation::Installation;
use crate::platform::instance::{self, Record, Status};
use crate::ui::{Present, Table};

/// Pause between two looks at a platform that is starting or ending.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Shows the platform's state; a stopped platform is no error.
pub(super) fn run(ctx: &Ctx, args: StatusArgs) -> Result<(), Error> {
    let data_dir = args.place.resolve(ctx);
    let status = instance::status(&data_dir).map_err(failure::explain)?;
    let account = match status {
        Status::Running(_) => Installation::read(&data_dir).map_err(failure::explain)?.map(|found| found.account),
        _ => None,
    };
    ctx.ui.emit(&Whole { status, account, data_dir })
}

/// The status once the platform is neither starting nor ending, or what it is after `patience`.
pub(super) async fn settled(data_dir: &Path, patience: Duration) -> Result<Status, Error> {
    let deadline = Instant::now() + patience;
    loop {
        let status = instance::status(data_dir).map_err(failure::explain)?;
        if status != Status::Busy || Instant::now() >= deadline {
            return Ok(status);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Where a running platform is; without secrets.
pub(super) struct Brief {
    /// What the server says about itself.
    pub record: Record,
    /// Where it keeps everything.
    pub data_dir: PathBuf,
}

/// Everything about a platform, secrets included.
struct Whole {
    status: Status,
    account: Option<Account>,
    data_dir: PathBuf,
}

impl Present for Brief {
    fn table(&self) -> Table {
        properties(&self.document())
    }

    fn document(&self) -> Value {
        json!({
            "state": "running",
            "pid": self.record.pid,
            "endpoint": self.record.endpoint,
            "obs_endpoint": self.record.obs_endpoint,
            "data_dir": self.data_dir.to_string_lossy(),
        })
    }
}

impl Present for Whole {
    fn table(&self) -> Table {
        let mut document = self.document();
        if let Some(account) = &self.account {
            // A secret as text is its mask.
            document["secret_key"] = json!(account.secret_key.to_string());
            document["password"] = json!(account.password.to_string());
        }
        properties(&document)
    }

    fn document(&self) -> Value {
        let (state, record) = match &self.status {
            Status::Stopped => ("stopped", None),
            Status::Busy => ("busy", None),
            Status::Running(record) => ("running", Some(record)),
        };
        let account = self.account.as_ref();
        json!({
            "state": state,
            "pid": record.map(|record| record.pid),
            "endpoint": record.map(|record| &record.endpoint),
            "obs_endpoint": record.map(|record| &record.obs_endpoint),
            "region": account.map(|account| &account.region),
            "project_id": account.map(|account| &account.project_id),
            "access_key": account.map(|account| &account.access_key),
            "secret_key": account.map(|account| account.secret_key.expose()),
            "account": account.map(|account| &account.domain_name),
            "username": account.map(|account| &account.user_name),
            "password": account.map(|account| account.password.expose()),
            "slots": record.map(|record| record.slots),
            "data_dir": self.data_dir.to_string_lossy(),
        })
    }
}

/// One row a property that has a value.
fn properties(document: &Value) -> Table {
    let mut table = Table::of_properties(["property", "value"]);
    for (name, value) in document.as_object().into_iter().flatten() {
        let cell = match value {
            Value::Null => continue,
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        table.rows.push(vec![name.clone(), cell]);
    }
    table
}
