//! `configure list`.

use serde_json::{Map, Value, json};

use crate::ctx::Ctx;
use crate::error::Error;
use crate::settings::profile::ProfileFile;
use crate::settings::{LOCAL_PROFILE, Settings};
use crate::ui::{Present, Table};

/// List the profiles
///
/// The one that is used when none is named is marked.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ma-cli configure list
  ma-cli configure list -F json --query '[?current].name'")]
pub struct ListArgs {}

/// Shows the list.
///
/// # Errors
/// The profile file cannot be read.
pub fn run(ctx: &Ctx, _args: &ListArgs) -> Result<(), Error> {
    let path = Settings::profile_file(ctx.flags(), &ctx.env);
    let current = Settings::current_profile(ctx.flags(), &ctx.env).value;
    let file = ProfileFile::read(&path)?;
    if let Some(warning) = file.warning(&ctx.flags().options()) {
        ctx.ui.warn(&warning);
    }
    let mut profiles: Vec<Value> = file.names().map(|name| document(name, file.get(name), &path, name == current)).collect();
    let local = ctx.env.platform_directory().join("client.yaml");
    if ctx.flags().config_file.is_none() && local.exists() {
        let file = ProfileFile::read(&local)?;
        profiles.push(document(LOCAL_PROFILE, file.get(LOCAL_PROFILE), &local, current == LOCAL_PROFILE));
    }
    ctx.ui.emit(&List(profiles))
}

fn document(name: &str, entry: Option<&Map<String, Value>>, path: &std::path::Path, is_current: bool) -> Value {
    let text = |key: &str| entry.and_then(|entry| entry.get(key)).and_then(Value::as_str);
    json!({
        "name": name,
        "current": is_current,
        "auth": text("auth"),
        "region": text("region"),
        "store": text("store").unwrap_or("file"),
        "file": path.display().to_string(),
    })
}

#[derive(Debug)]
struct List(Vec<Value>);

impl Present for List {
    fn table(&self) -> Table {
        let mut table = Table::new(["name", "current", "auth", "region", "store", "file"]);
        for profile in &self.0 {
            let text = |key: &str| profile[key].as_str().unwrap_or_default().to_owned();
            let current = if profile["current"] == true { "*".to_owned() } else { String::new() };
            table.rows.push(vec![text("name"), current, text("auth"), text("region"), text("store"), text("file")]);
        }
        table
    }

    fn document(&self) -> Value {
        Value::from(self.0.clone())
    }
}
