//! `ma-cli obs ls`.

use serde_json::{Value, json};

use super::time;
use crate::ctx::Ctx;
use crate::error::Error;
use crate::obs::control::Bucket;
use crate::obs::list::Entry;
use crate::obs::{Client, ObsUrl};
use crate::ui::{Present, Table};

/// List buckets, or what is in one
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ma-cli obs ls
  ma-cli obs ls obs://bucket/data/
  ma-cli obs ls -r obs://bucket -F jsonl")]
pub struct LsArgs {
    /// Bucket or prefix; without it the buckets are listed
    #[arg(value_name = "URL")]
    url: Option<String>,
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
    match args.url {
        None => ctx.ui.emit(&Buckets(client.list_buckets().await?)),
        Some(url) => ctx.ui.emit(&list(&client, &url.parse()?, args.recursive).await?),
    }
}

async fn list(client: &Client, url: &ObsUrl, recursive: bool) -> Result<Objects, Error> {
    let mut listing = client.list(url, recursive);
    let mut objects = Objects::default();
    while let Some(page) = listing.next_page().await? {
        objects.folders.extend(page.prefixes);
        objects.entries.extend(page.entries);
    }
    Ok(objects)
}

struct Buckets(Vec<Bucket>);

impl Present for Buckets {
    fn table(&self) -> Table {
        let rows = self.0.iter().map(|bucket| vec![bucket.name.clone(), time(bucket.created)]);
        Table { columns: vec!["bucket", "created"], rows: rows.collect() }
    }

    fn document(&self) -> Value {
        self.0.iter().map(|bucket| json!({"bucket": bucket.name, "created": time(bucket.created)})).collect()
    }
}

#[derive(Default)]
struct Objects {
    folders: Vec<String>,
    entries: Vec<Entry>,
}

impl Present for Objects {
    fn table(&self) -> Table {
        let folders = self.folders.iter().map(|folder| vec![folder.clone(), String::new(), String::new()]);
        let entries = self.entries.iter().map(|entry| vec![entry.key.clone(), entry.size.to_string(), time(entry.modified)]);
        Table { columns: vec!["key", "size", "modified"], rows: folders.chain(entries).collect() }
    }

    fn document(&self) -> Value {
        let folders = self.folders.iter().map(|folder| json!({"key": folder, "type": "folder"}));
        let entries = self.entries.iter().map(|entry| {
            json!({"key": entry.key, "type": "object", "size": entry.size, "etag": entry.etag, "modified": time(entry.modified)})
        });
        folders.chain(entries).collect()
    }
}
