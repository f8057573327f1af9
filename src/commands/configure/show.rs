//! `configure show`.

use std::fmt::Display;
use std::time::Duration;

use serde_json::{Value, json};

use crate::auth::CredentialReport;
use crate::auth::secret::MASK;
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
    if let Some(Sourced { value, origin }) = &settings.identity {
        match value {
            Identity::Keys { access_key, security_token, .. } => {
                row("access_key", &masked(access_key), origin);
                row("secret_key", &MASK, origin);
                if security_token.is_some() {
                    row("security_token", &MASK, origin);
                }
            }
            Identity::Password { account, username, .. } => {
                row("account", account, origin);
                row("username", username, origin);
                row("password", &MASK, origin);
            }
        }
        if matches!(origin, Origin::Profile { .. }) {
            row("store", &settings.store.name(), origin);
        }
    }
    if let Some(agency) = &settings.agency {
        row("agency_name", &agency.value.name, &agency.origin);
        row("agency_domain", &agency.value.domain, &agency.origin);
    }
    for service in Service::ALL {
        if let Ok(endpoint) = settings.endpoint(service) {
            row(&format!("{}_endpoint", service.name()), &endpoint.value, &endpoint.origin);
        }
    }
    let network = &settings.network;
    for (name, proxy) in [("https_proxy", &network.https_proxy), ("http_proxy", &network.http_proxy)] {
        if let Some(proxy) = proxy {
            row(name, &without_password(&proxy.value), &proxy.origin);
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

/// The first four characters, by which people know their keys.
fn masked(access_key: &str) -> String {
    format!("{}{MASK}", access_key.chars().take(if access_key.len() > 8 { 4 } else { 0 }).collect::<String>())
}

/// The address of a proxy may hold a password.
fn without_password(address: &str) -> String {
    match address.rsplit_once('@') {
        Some((before, host)) => {
            format!("{}{MASK}@{host}", before.split_once("://").map_or("", |(scheme, _)| scheme_of(scheme)))
        }
        None => address.to_owned(),
    }
}

fn scheme_of(scheme: &str) -> &'static str {
    if scheme.eq_ignore_ascii_case("https") { "https://" } else { "http://" }
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
