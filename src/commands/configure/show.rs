//! `configure show`.

use std::fmt::Display;
use std::time::Duration;

use serde_json::{Value, json};

use crate::auth::CredentialReport;
use crate::auth::secret::{MASK, masked, masked_address};
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
    let rows = rows(ctx.settings()?);
    ctx.ui.emit(&Shown { rows, report: ctx.credential_report().await? })
}

/// Name, value and origin of a setting.
type Row = (String, String, String);

fn rows(settings: &Settings) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut row = |name: &str, value: &dyn Display, origin: &Origin| {
        rows.push((name.to_owned(), value.to_string(), origin.to_string()));
    };
    row("profile", &settings.profile.value, &settings.profile.origin);
    row("config_file", &settings.config_file.value.display(), &settings.config_file.origin);
    for (name, text) in [("region", &settings.region), ("project_id", &settings.project_id)] {
        if let Some(text) = text {
            row(name, &text.value, &text.origin);
        }
    }
    for (name, value, origin) in identity(settings) {
        row(name, &value, origin);
    }
    if let Some(agency) = &settings.agency {
        row("agency_name", &agency.value.name, &agency.origin);
        row("agency_domain", &agency.value.domain, &agency.origin);
    }
    for service in Service::ALL {
        if let Ok(endpoint) = settings.endpoint(service) {
            row(&format!("{}_endpoint", service.name()), &masked_address(&endpoint.value), &endpoint.origin);
        }
    }
    let network = &settings.network;
    for (name, proxy) in [("https_proxy", &network.https_proxy), ("http_proxy", &network.http_proxy)] {
        if let Some(proxy) = proxy {
            row(name, &masked_address(&proxy.value), &proxy.origin);
        }
    }
    if let Some(hosts) = &network.no_proxy {
        row("no_proxy", &hosts.value, &hosts.origin);
    }
    if let Some(path) = &network.ca_bundle {
        row("ca_bundle", &path.value.display(), &path.origin);
    }
    let verify = if settings.verify_tls { Origin::Default } else { Origin::Flag("--no-verify-ssl") };
    row("verify_tls", &settings.verify_tls, &verify);
    let seconds = |time: Duration| time.as_secs_f64();
    row("connect_timeout", &seconds(network.connect_timeout.value), &network.connect_timeout.origin);
    row("read_timeout", &seconds(network.read_timeout.value), &network.read_timeout.origin);
    row("attempts", &network.attempts.value, &network.attempts.origin);
    rows
}

/// Who the user is, and where the secret is kept.
fn identity(settings: &Settings) -> Vec<(&'static str, String, &Origin)> {
    let Some(Sourced { value, origin }) = &settings.identity else { return Vec::new() };
    let hidden = || MASK.to_owned();
    let mut values = match value {
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
    if matches!(origin, Origin::Profile { .. }) {
        values.push(("store", settings.store.name().to_owned()));
    }
    values.into_iter().map(|(name, value)| (name, value, origin)).collect()
}

#[derive(Debug)]
struct Shown {
    rows: Vec<Row>,
    report: CredentialReport,
}

impl Present for Shown {
    fn table(&self) -> Table {
        let mut table = Table::of_properties(["setting", "value", "origin"]);
        table.rows = self.rows.iter().map(|(name, value, origin)| vec![name.clone(), value.clone(), origin.clone()]).collect();
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
