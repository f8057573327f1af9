//! `configure export`.

use serde_json::{Map, Value};
use time::format_description::well_known::Rfc3339;

use crate::commands::configure::shell::Shell;
use crate::ctx::Ctx;
use crate::error::{Error, Kind};
use crate::settings::{Origin, Service};
use crate::ui::{Format, Present, Table};

/// Print the environment that does what the profile does
///
/// Access keys, project, region and endpoints as lines for a shell; what the profile does not set is unset. Those who log in with a
/// password get temporary keys, and with -F json the document says when they end. A terminal shows them only with --reveal.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  eval \"$(ma-cli configure export -P work)\"
  ma-cli configure export -P work --shell fish | source
  ma-cli configure export --reveal
  ma-cli configure export -F json > credentials.json")]
pub struct ExportArgs {
    /// Print secrets even onto a terminal
    #[arg(long)]
    reveal: bool,
    /// Shell that is to read the lines
    #[arg(long, value_enum, value_name = "SHELL", default_value = "posix")]
    shell: Shell,
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
    // Beside the keys of a profile that was named, the environment may hold what an earlier export of another one left there.
    let is_named = ctx.flags().profile.is_some() || ctx.flags().config_file.is_some();
    let is_of_profile = settings.identity.as_ref().is_some_and(|identity| matches!(identity.origin, Origin::Profile { .. }));
    let is_left_over = |origin: &Origin| is_named && is_of_profile && matches!(origin, Origin::Environment(_));
    let project = settings.project_id.as_ref().filter(|project| !is_left_over(&project.origin));
    let mut variables = vec![
        ("HUAWEICLOUD_SDK_AK", Some(credential.access_key.clone())),
        ("HUAWEICLOUD_SDK_SK", Some(credential.secret_key.expose().to_owned())),
        ("HUAWEICLOUD_SDK_SECURITY_TOKEN", credential.security_token.as_ref().map(|token| token.expose().to_owned())),
        ("REGION_NAME", settings.region.as_ref().map(|region| region.value.clone())),
        ("HUAWEICLOUD_SDK_PROJECT_ID", project.map(|project| project.value.clone())),
        // Says the same as the one above, and would go on saying another.
        ("PROJECT_ID", None),
    ];
    for service in Service::ALL {
        let endpoint = settings.endpoint(service).ok();
        let endpoint = endpoint.filter(|endpoint| endpoint.origin != Origin::Region && !is_left_over(&endpoint.origin));
        variables.push((service.variable(), endpoint.map(|endpoint| endpoint.value.clone())));
    }
    if let Some(end) = credential.expires_at {
        let local = end.to_offset(ctx.ui.zone().offset_at(end)).replace_nanosecond(0).unwrap_or(end);
        ctx.ui.note(&format!("The access key is temporary and ends at {}", local.format(&Rfc3339).unwrap_or_default()));
    }
    let exported = Exported { variables, end: credential.expires_at.and_then(|end| end.format(&Rfc3339).ok()) };
    match ctx.ui.format() {
        Format::Table => ctx.ui.write(exported.lines(args.shell).as_bytes()),
        _ => ctx.ui.emit(&exported),
    }
}

/// The variables that say who the user is and where the services are, which of them are not to be set, and when the keys end.
struct Exported {
    variables: Vec<(&'static str, Option<String>)>,
    end: Option<String>,
}

impl Exported {
    fn set(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.variables.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?)))
    }

    /// Nothing in a value is expanded by the shell that reads it, and nothing of another account stays.
    fn lines(&self, shell: Shell) -> String {
        self.variables.iter().map(|(name, value)| shell.line(name, value.as_deref())).collect()
    }
}

impl Present for Exported {
    fn table(&self) -> Table {
        let mut table = Table::new(["name", "value"]);
        table.rows = self.set().map(|(name, value)| vec![name.to_owned(), value.to_owned()]).collect();
        table
    }

    fn document(&self) -> Value {
        let end = self.end.as_deref().map(|end| ("expires_at", end));
        self.set().chain(end).map(|(name, value)| (name.to_owned(), Value::from(value))).collect::<Map<_, _>>().into()
    }
}
