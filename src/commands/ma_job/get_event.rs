//! `ma-job get-event`.

use futures_util::TryStreamExt as _;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::api::modelarts::training_job;
use crate::commands::ma_job::columns;
use crate::commands::ma_job::job_id::JobIdArgs;
use crate::commands::ma_job::named;
use crate::ctx::Ctx;
use crate::error::Error;
use crate::ui::{Present, Table, Zone};

/// List the events of a training job
///
/// All of them, oldest first.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ma-cli ma-job get-event -i 494b55e1-f2b8-4932-bbb1-c9768b0000aa
  ma-cli ma-job get-event -i 494b55e1-f2b8-4932-bbb1-c9768b0000aa -F jsonl")]
pub struct GetEventArgs {
    #[command(flatten)]
    job: JobIdArgs,
}

/// Shows the events.
///
/// # Errors
/// There is no such job; the service refuses.
pub async fn run(ctx: &Ctx, args: GetEventArgs) -> Result<(), Error> {
    let api = ctx.modelarts()?;
    let id = args.job.id()?;
    let events: Vec<Value> = named::found(&api, id, training_job::events(&api, id).try_collect().await).await?;
    ctx.ui.emit(&EventList { events, zone: ctx.ui.zone() })
}

#[derive(Debug)]
struct EventList {
    events: Vec<Value>,
    zone: Zone,
}

impl Present for EventList {
    fn table(&self) -> Table {
        let mut table = Table::new(["index", "time", "level", "message"]);
        for (index, event) in self.events.iter().enumerate() {
            let text = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
            table.rows.push(vec![(index + 1).to_string(), self.time(&event["time"]), text("level"), text("message")]);
        }
        table
    }

    fn document(&self) -> Value {
        Value::Array(self.events.clone())
    }
}

impl EventList {
    /// The service writes milliseconds, as a number or in a text, or a date; one without time zone is shown as it is.
    fn time(&self, time: &Value) -> String {
        let read = |text: &str| {
            let date = OffsetDateTime::parse(text, &Rfc3339).map(|date| date.unix_timestamp().saturating_mul(1000));
            text.parse().ok().or(date.ok())
        };
        let milliseconds = time.as_i64().or_else(|| read(time.as_str()?));
        match (milliseconds, time.as_str()) {
            (None, Some(text)) => text.to_owned(),
            (milliseconds, _) => columns::time(milliseconds, self.zone),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{EventList, Zone};
    use crate::ui::Present as _;

    #[test]
    fn times_are_read_in_every_form() {
        let events = vec![
            json!({"time": "1680061287500", "level": "Info", "message": "Training job is running."}),
            json!({"time": 1_680_061_287_500_i64}),
            json!({"time": "2023-03-29T11:41:27+08:00"}),
            json!({"time": "2023-03-29 11:41:27"}),
            json!({}),
        ];
        let table = EventList { events, zone: Zone::default() }.table();
        assert_eq!(table.rows[0], ["1", "2023-03-29 03:41:27", "Info", "Training job is running."]);
        let times: Vec<_> = table.rows.iter().map(|row| row[1].as_str()).collect();
        assert_eq!(times[1..], ["2023-03-29 03:41:27", "2023-03-29 03:41:27", "2023-03-29 11:41:27", "N/A"]);
    }
}
