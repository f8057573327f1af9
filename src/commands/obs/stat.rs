//! `ma-cli obs stat`.

use ::time::UtcOffset;
use serde_json::{Map, Value, json};

use super::{local, object, time};
use crate::ctx::Ctx;
use crate::error::Error;
use crate::obs::control::ObjectInfo;
use crate::ui::{Present, Table};

/// Show what the store knows of an object
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ma-cli obs stat obs://bucket/data/train.csv
  ma-cli obs stat obs://bucket/data/train.csv --query size")]
pub struct StatArgs {
    /// The object
    #[arg(value_name = "URL")]
    url: String,
}

/// Shows the object's properties.
///
/// # Errors
/// There is no such object; the store refused.
pub async fn run(ctx: &Ctx, args: StatArgs) -> Result<(), Error> {
    let url = object(&args.url)?;
    let info = ctx.obs()?.head(&url).await?;
    ctx.ui.emit(&Stat { url: url.to_string(), info, offset: ctx.env.local_offset.unwrap_or(UtcOffset::UTC) })
}

struct Stat {
    url: String,
    info: ObjectInfo,
    offset: UtcOffset,
}

impl Present for Stat {
    fn table(&self) -> Table {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let mut document = self.document();
        document["modified"] = local(self.info.modified, self.offset).into();
        let fields = document.as_object().into_iter().flatten();
        let rows = fields.filter(|(_, value)| !value.is_null()).map(|(name, value)| vec![name.clone(), text(value)]);
        Table { columns: vec!["field", "value"], rows: rows.collect() }
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
