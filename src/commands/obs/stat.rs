//! `ma-cli obs stat`.

use serde_json::{Map, Value, json};

use super::{local, object, time};
use crate::ctx::Ctx;
use crate::error::Error;
use crate::obs::control::ObjectInfo;
use crate::ui::{Present, Table, Zone};

/// Show what the store knows of an object
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ma-cli obs stat obs://bucket/data/train.csv
  ma-cli obs stat obs://bucket/data/train.csv --query size")]
pub struct StatArgs {
    /// The object
    #[arg(value_name = "URL")]
    pub(super) url: String,
}

/// Shows the object's properties.
///
/// # Errors
/// There is no such object; the store refused.
pub async fn run(ctx: &Ctx, args: StatArgs) -> Result<(), Error> {
    let url = object(&args.url)?;
    let info = ctx.obs()?.head(&url).await?;
    ctx.ui.emit(&Stat { url: url.to_string(), info, zone: ctx.ui.zone() })
}

struct Stat {
    pub(super) url: String,
    info: ObjectInfo,
    zone: Zone,
}

impl Present for Stat {
    fn table(&self) -> Table {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let mut document = self.document();
        document["modified"] = local(self.info.modified, self.zone).into();
        let fields = document.as_object().into_iter().flatten();
        let rows = fields.filter(|(_, value)| !value.is_null()).map(|(name, value)| vec![name.clone(), text(value)]);
        Table { rows: rows.collect(), ..Table::of_properties(["field", "value"]) }
    }

    fn document(&self) -> Value {
        let info = &self.info;
        let metadata: Map<String, Value> =
            info.metadata.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
        json!({
            "url": self.url,
            "size": info.size,
            "etag": info.etag,
            "modified": time(info.modified),
            "content_type": info.content_type,
            "storage_class": info.storage_class,
            "metadata": metadata,
        })
    }
}
