//! `--list-unfinished` and `--discard-unfinished`.

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::commands::obs_copy::resume_args::{Instead, journals};
use crate::copy::journal::{Discarded, Identity, Unfinished, Way, discard, unfinished};
use crate::ctx::Ctx;
use crate::error::{Error, Kind};
use crate::ui::{Present, Table, text};

/// Lists or discards; `id` names one transfer.
pub(super) async fn run(ctx: &Ctx, instead: Instead, id: Option<&str>, is_agreed: bool) -> Result<(), Error> {
    let folder = journals(ctx);
    let found = unfinished(&folder)?;
    if instead == Instead::List {
        return ctx.ui.emit(&Transfers(found));
    }
    let client = ctx.obs()?;
    let is_wanted = |transfer: &Unfinished| match id {
        Some(id) => transfer.id == id,
        None => transfer.head.identity.endpoint == client.endpoint(),
    };
    let wanted: Vec<Unfinished> = found.into_iter().filter(is_wanted).collect();
    if wanted.is_empty() {
        return match id {
            Some(id) => Err(Error::new(Kind::NotFound, format!("there is no unfinished copy [{id}]"))
                .hint("see: ma-cli obs-copy --list-unfinished")),
            None => ctx.ui.done("nothing is unfinished", json!({"given_up": 0})),
        };
    }
    if !is_agreed {
        let bytes = text::bytes(wanted.iter().map(|transfer| transfer.done).sum());
        ctx.confirm(&format!("Give up {} unfinished copies, {bytes} of which are done?", wanted.len()), "-y/--yes").await?;
    }
    let mut left = 0;
    for transfer in &wanted {
        let reason = match discard(&client, &folder, transfer).await {
            Ok(Discarded::Gone) => None,
            Ok(Discarded::Running) => Some("it is being copied".to_owned()),
            Ok(Discarded::Elsewhere) => Some(format!("it belongs to [{}]", transfer.head.identity.endpoint)),
            Err(error) => Some(error.to_string()),
        };
        if let Some(reason) = reason {
            left += 1;
            ctx.ui.note(&format!("left: [{}] {}: {reason}", transfer.id, ends(transfer).1));
        }
    }
    let gone = wanted.len() - left;
    if left > 0 {
        return Err(Error::new(Kind::Partial, format!("{gone} unfinished copies were given up, {left} were left")));
    }
    ctx.ui.done(&format!("given up: [{gone}] unfinished copies"), json!({"given_up": gone}))
}

struct Transfers(Vec<Unfinished>);

/// Source and destination.
fn ends(transfer: &Unfinished) -> (String, String) {
    let Identity { way, bucket, key, path, .. } = &transfer.head.identity;
    let (object, file) = (crate::obs::ObsUrl::new(bucket.clone(), key.clone()).to_string(), path.display().to_string());
    match way {
        Way::Upload => (file, object),
        Way::Download => (object, file),
    }
}

fn since(transfer: &Unfinished) -> String {
    let since = OffsetDateTime::from_unix_timestamp(transfer.head.created).ok();
    since.and_then(|since| since.format(&Rfc3339).ok()).unwrap_or_default()
}

impl Present for Transfers {
    fn table(&self) -> Table {
        let row = |transfer: &Unfinished| {
            let (source, destination) = ends(transfer);
            let done = format!("{} of {}", text::bytes(transfer.done), text::bytes(transfer.head.size));
            let state = if transfer.is_running { "running" } else { "stopped" };
            vec![transfer.id.clone(), source, destination, done, since(transfer), state.to_owned()]
        };
        let columns = ["id", "source", "destination", "done", "since", "state"];
        Table { rows: self.0.iter().map(row).collect(), ..Table::new(columns) }
    }

    fn document(&self) -> Value {
        let document = |transfer: &Unfinished| {
            let (source, destination) = ends(transfer);
            json!({
                "id": transfer.id,
                "direction": transfer.head.identity.way.name(),
                "source": source,
                "destination": destination,
                "endpoint": transfer.head.identity.endpoint,
                "done": transfer.done,
                "size": transfer.head.size,
                "since": since(transfer),
                "running": transfer.is_running,
            })
        };
        self.0.iter().map(document).collect()
    }
}
