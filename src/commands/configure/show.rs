//! `configure show`.

use std::fmt::Display;

use serde_json::{Value, json};

use crate::auth::CredentialReport;
use crate::auth::secret::{MASK, masked, masked_address};
use crate::commands::configure::values;
use crate::ctx::Ctx;
use crate::error::Error;
use crate::settings::{Identity, Origin, Service, Settings, Sourced};
use crate::ui::{Present, Table};

/// Show each setting in effect and where it came from
///
/// An option, an environment variable, the profile, the region or a default; then each place where credentials were looked for.
/// Secrets are masked. No service is called, but the surroundings are asked for keys if nothing is configured.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ma-cli configure show
  ma-cli configure show -P work -F json --query 'settings.region'")]
pub struct ShowArgs {}

/// Shows them.
///
/// # Errors
/// A file that cannot be read, a profile that does not exist.
pub async fn run(ctx: &Ctx, _args: &ShowArgs) -> Result<(), Error> {
    let mut rows = rows(ctx.settings()?);
    let (found, report) = ctx.look_for_credentials().await?;
    if let (Some(keys), Some(used)) = (found, report.used()) {
        rows.extend(values::given(&keys, used.link.title()));
    }
    ctx.ui.emit(&Shown { rows, report })
}

/// Name, value and origin of a setting; null is not set, and comes from nowhere.
pub(super) type Row = (String, Value, String);

fn rows(settings: &Settings) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut row = |name: &str, value: Value, origin: &dyn Display| rows.push((name.to_owned(), value, origin.to_string()));
    row("profile", settings.profile.value.as_str().into(), &settings.profile.origin);
    row("config_file", settings.config_file.value.display().to_string().into(), &settings.config_file.origin);
    for (name, text) in [("region", &settings.region), ("project_id", &settings.project_id)] {
        match text {
            Some(text) => row(name, text.value.as_str().into(), &text.origin),
            None => row(name, Value::Null, &""),
        }
    }
    for (name, value, origin) in identity(settings) {
        row(name, value.into(), origin);
    }
    if let Some(agency) = &settings.agency {
        row("agency_name", agency.value.name.as_str().into(), &agency.origin);
        row("agency_domain", agency.value.domain.as_str().into(), &agency.origin);
    }
    for service in Service::ALL {
        if let Ok(endpoint) = settings.endpoint(service) {
            row(
                &format!("{}_endpoint", service.name()),
                masked_address(&endpoint.value).into(),
                &values::origin(settings, service, endpoint),
            );
        }
    }
    let network = &settings.network;
    for (name, proxy) in [("https_proxy", &network.https_proxy), ("http_proxy", &network.http_proxy)] {
        if let Some(proxy) = proxy {
            row(name, masked_address(&proxy.value).into(), &proxy.origin);
        }
    }
    if let Some(hosts) = &network.no_proxy {
        row("no_proxy", hosts.value.as_str().into(), &hosts.origin);
    }
    if let Some(path) = &network.ca_bundle {
        row("ca_bundle", path.value.display().to_string().into(), &path.origin);
    }
    let verify = if settings.verify_tls { Origin::Default } else { Origin::Flag("--no-verify-ssl") };
    row("verify_tls", settings.verify_tls.into(), &verify);
    for (name, time) in [("connect_timeout", &network.connect_timeout), ("read_timeout", &network.read_timeout)] {
        let is_whole = time.value.subsec_nanos() == 0;
        row(name, if is_whole { time.value.as_secs().into() } else { time.value.as_secs_f64().into() }, &time.origin);
    }
    row("attempts", network.attempts.value.into(), &network.attempts.origin);
    rows
}

/// Who the user is, and where the secret is kept.
fn identity(settings: &Settings) -> Vec<(&'static str, String, &Origin)> {
    let Some(Sourced { value, origin }) = &settings.identity else { return Vec::new() };
    let hidden = || MASK.to_owned();
    let values: Vec<(&str, String)> = match value {
        Identity::Keys { access_key, security_token, .. } => {
            let token = security_token.as_ref().map(|_| ("security_token", hidden()));
            [("access_key", masked(access_key)), ("secret_key", hidden())].into_iter().chain(token).collect()
        }
        Identity::Password { account, username, .. } => {
            vec![("account", account.clone()), ("username", username.clone()), ("password", hidden())]
        }
        // Why they cannot be used stands with the places that were looked at.
        Identity::Broken(_) => Vec::new(),
        Identity::LoggedOut { name, missing } => {
            let known = name.as_ref().map(|name| match *missing {
                "password" => ("username", name.clone()),
                _ => ("access_key", masked(name)),
            });
            known.into_iter().chain([(*missing, "(logged out)".to_owned())]).collect()
        }
    };
    let values = values.into_iter().map(|(name, value)| (name, value, origin));
    let store = matches!(origin, Origin::Profile { .. }).then_some(&settings.store);
    values.chain(store.map(|store| ("store", store.value.name().to_owned(), &store.origin))).collect()
}

#[derive(Debug)]
struct Shown {
    rows: Vec<Row>,
    report: CredentialReport,
}

impl Present for Shown {
    fn table(&self) -> Table {
        let mut table = Table::of_properties(["setting", "value", "origin"]);
        let shown = |value: &Value| match value {
            Value::Null => "not set".to_owned(),
            Value::String(text) => text.clone(),
            value => value.to_string(),
        };
        table.rows = self.rows.iter().map(|(name, value, origin)| vec![name.clone(), shown(value), origin.clone()]).collect();
        table.rows.extend(self.report.steps.iter().map(|step| {
            vec![format!("credentials: {}", step.link.title()), step.outcome.title().to_owned(), step.reason.clone()]
        }));
        table
    }

    fn document(&self) -> Value {
        let settings: serde_json::Map<String, Value> =
            self.rows.iter().map(|(name, value, origin)| (name.clone(), json!({"value": value, "origin": origin}))).collect();
        let steps = self.report.steps.iter();
        let steps = steps.map(|step| json!({"link": step.link.name(), "outcome": step.outcome.name(), "reason": step.reason}));
        json!({"settings": settings, "credentials": steps.collect::<Vec<_>>()})
    }
}
