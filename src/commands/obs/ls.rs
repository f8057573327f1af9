//! `ma-cli obs ls`.

use serde_json::{Value, json};

use super::{local, time};
use crate::ctx::Ctx;
use crate::error::Error;
use crate::obs::control::Bucket;
use crate::obs::list::Entry;
use crate::obs::{Client, ObsUrl};
use crate::ui::{Present, Table, Zone};

/// List buckets, or what is in one
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ma-cli obs ls
  ma-cli obs ls obs://bucket/data/
  ma-cli obs ls -r obs://bucket -F jsonl")]
pub struct LsArgs {
    /// Bucket or prefix; without it the buckets are listed
    #[arg(value_name = "URL")]
    pub(super) url: Option<String>,
    /// Go into folders
    #[arg(short, long)]
    recursive: bool,
}

/// Lists.
///
/// # Errors
/// No such bucket; the store refused.
pub async fn run(ctx: &Ctx, args: LsArgs) -> Result<(), Error> {
    let client = ctx.obs()?;
    let zone = ctx.ui.zone();
    match args.url {
        None => ctx.ui.emit(&Buckets { buckets: client.list_buckets().await?, zone }),
        Some(url) => {
            let objects = Objects { zone, ..list(&client, &url.parse()?, args.recursive).await? };
            ctx.ui.emit(&objects)
        }
    }
}

async fn list(client: &Client, url: &ObsUrl, recursive: bool) -> Result<Objects, Error> {
    let mut listing = client.list(url, recursive);
    let mut objects = Objects { folders: Vec::new(), entries: Vec::new(), zone: Zone::default() };
    while let Some(page) = listing.next_page().await? {
        objects.folders.extend(page.prefixes);
        objects.entries.extend(page.entries);
    }
    Ok(objects)
}

struct Buckets {
    buckets: Vec<Bucket>,
    zone: Zone,
}

impl Present for Buckets {
    fn table(&self) -> Table {
        let rows = self.buckets.iter().map(|bucket| vec![bucket.name.clone(), local(bucket.created, self.zone)]);
        Table { rows: rows.collect(), ..Table::new(["bucket", "created"]) }
    }

    fn document(&self) -> Value {
        self.buckets.iter().map(|bucket| json!({"bucket": bucket.name, "created": time(bucket.created)})).collect()
    }
}

struct Objects {
    folders: Vec<String>,
    entries: Vec<Entry>,
    zone: Zone,
}

impl Present for Objects {
    fn table(&self) -> Table {
        let folders = self.folders.iter().map(|folder| vec![folder.clone(), String::new(), String::new()]);
        let entries =
            self.entries.iter().map(|entry| vec![entry.key.clone(), entry.size.to_string(), local(entry.modified, self.zone)]);
        Table { rows: folders.chain(entries).collect(), ..Table::new(["key", "size", "modified"]) }
    }

    fn document(&self) -> Value {
        let folders = self.folders.iter().map(|folder| json!({"key": folder, "type": "folder"}));
        let entries = self.entries.iter().map(|entry| {
            json!({"key": entry.key, "type": "object", "size": entry.size, "etag": entry.etag, "modified": time(entry.modified)})
        });
        folders.chain(entries).collect()
    }
}
