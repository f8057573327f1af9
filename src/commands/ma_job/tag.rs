//! `ma-job tag`.

use serde_json::{Map, Value, json};

use crate::api::modelarts::{training_check, training_tags};
use crate::commands::ma_job::lists;
use crate::commands::ma_job::named;
use crate::ctx::Ctx;
use crate::error::{Error, Kind};
use crate::ui::{Present, Table};

/// Show, set and remove tags of a training job
///
/// Without tags and --remove: the tags it has. A key that is there already gets the new value.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ma-cli ma-job tag 494b55e1-f2b8-4932-bbb1-c9768b0000aa
  ma-cli ma-job tag 494b55e1-f2b8-4932-bbb1-c9768b0000aa team=vision stage=final
  ma-cli ma-job tag 494b55e1-f2b8-4932-bbb1-c9768b0000aa --remove stage")]
pub struct TagArgs {
    /// Id of the job (unless it is given with -i), then KEY=VALUE of each tag
    #[arg(value_name = "ID_AND_TAGS", required_unless_present = "job_id")]
    words: Vec<String>,
    /// Id of the job
    #[arg(short = 'i', long, value_name = "TEXT")]
    job_id: Option<String>,
    /// Key of a tag to remove
    #[arg(long, value_name = "KEY")]
    remove: Vec<String>,
}

/// Shows or changes tags.
///
/// # Errors
/// There is no such job; a tag is malformed; the service refuses.
pub async fn run(ctx: &Ctx, args: TagArgs) -> Result<(), Error> {
    let mut words = args.words.into_iter();
    let id = args.job_id.or_else(|| words.next()).unwrap_or_default();
    let tags = words.map(|word| lists::variable(&word)).collect::<Result<Vec<_>, _>>();
    let tags = tags.map_err(|(_, message)| Error::new(Kind::Usage, format!("a tag is KEY=VALUE: {message}")))?;
    if let Some(problem) = training_check::tag_problems(&tags).into_iter().next() {
        return Err(Error::new(Kind::Usage, problem));
    }
    let api = ctx.modelarts()?;
    if tags.is_empty() && args.remove.is_empty() {
        let (tags, document) = named::found(&api, &id, training_tags::list(&api, &id).await).await?;
        return ctx.ui.emit(&TagList { tags, document });
    }
    named::found(&api, &id, training_tags::remove(&api, &id, &args.remove).await).await?;
    named::found(&api, &id, training_tags::add(&api, &id, &tags).await).await?;
    let set: Map<String, Value> = tags.into_iter().map(|(key, value)| (key, Value::from(value))).collect();
    let document = json!({"id": id, "set": set, "removed": args.remove});
    ctx.ui.done(&format!("Successfully change the tags of training job [{id}]"), document)
}

#[derive(Debug)]
struct TagList {
    tags: Vec<(String, String)>,
    document: Value,
}

impl Present for TagList {
    fn table(&self) -> Table {
        let mut table = Table::new(["key", "value"]);
        table.rows = self.tags.iter().map(|(key, value)| vec![key.clone(), value.clone()]).collect();
        table
    }

    fn document(&self) -> Value {
        self.document.get("tags").cloned().unwrap_or_else(|| json!([]))
    }
}
