//! `configure export`.

use serde_json::{Map, Value};

use crate::ctx::Ctx;
use crate::error::{Error, Kind};
use crate::settings::{Origin, Service};
use crate::ui::{Format, Present, Table};

/// Print the environment that does what the profile does
///
/// Access keys, project, region and endpoints as lines for a shell. Those who log in with a password get temporary keys. A terminal
/// shows them only with --reveal.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  eval \"$(ma-cli configure export -P work)\"
  ma-cli configure export --reveal
  ma-cli configure export -F json > credentials.json")]
pub struct ExportArgs {
    /// Print secrets even onto a terminal
    #[arg(long)]
    reveal: bool,
}

/// Prints it.
///
/// # Errors
/// Standard output is a terminal and `--reveal` was not given; no credentials can be had.
pub async fn run(ctx: &Ctx, args: &ExportArgs) -> Result<(), Error> {
    if ctx.ui.is_on_terminal() && !args.reveal {
        return Err(Error::new(Kind::Usage, "secrets are not printed onto a terminal")
            .hint("send them to a file or program, or give --reveal"));
    }
    let settings = ctx.settings()?;
    let credential = ctx.credentials()?.credential().await?;
    let mut variables = Map::new();
    let mut set = |name: &str, value: &str| {
        variables.insert(name.to_owned(), Value::from(value));
    };
    set("HUAWEICLOUD_SDK_AK", &credential.access_key);
    set("HUAWEICLOUD_SDK_SK", credential.secret_key.expose());
    if let Some(token) = &credential.security_token {
        set("HUAWEICLOUD_SDK_SECURITY_TOKEN", token.expose());
    }
    if let Some(region) = &settings.region {
        set("REGION_NAME", &region.value);
    }
    if let Some(project) = &settings.project_id {
        set("HUAWEICLOUD_SDK_PROJECT_ID", &project.value);
    }
    for service in Service::ALL {
        if let Ok(endpoint) = settings.endpoint(service)
            && endpoint.origin != Origin::Region
        {
            set(service.variable(), &endpoint.value);
        }
    }
    if let Some(end) = credential.expires_at {
        let offset = ctx.ui.zone().offset_at(end);
        ctx.ui.note(&format!(
            "The access key is temporary and ends at {}",
            end.to_offset(offset).replace_nanosecond(0).unwrap_or(end)
        ));
    }
    let exported = Exported(variables);
    match ctx.ui.format() {
        Format::Table => ctx.ui.write(exported.lines().as_bytes()),
        _ => ctx.ui.emit(&exported),
    }
}

#[derive(Debug)]
struct Exported(Map<String, Value>);

impl Exported {
    fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap_or_default()))
    }

    /// Nothing in a value is expanded by the shell that reads it.
    fn lines(&self) -> String {
        self.pairs().map(|(name, value)| format!("export {name}={}\n", shell_words::quote(value))).collect()
    }
}

impl Present for Exported {
    fn table(&self) -> Table {
        let mut table = Table::new(["name", "value"]);
        table.rows = self.pairs().map(|(name, value)| vec![name.to_owned(), value.to_owned()]).collect();
        table
    }

    fn document(&self) -> Value {
        Value::Object(self.0.clone())
    }
}
