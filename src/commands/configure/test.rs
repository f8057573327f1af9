//! `configure test`.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::api::modelarts::pool;
use crate::auth::secret::masked_address;
use crate::ctx::Ctx;
use crate::error::{Error, Kind};
use crate::settings::Service;
use crate::ui::{Present, Table, text};

/// Try the settings on each service
///
/// Logs in or looks the project up, lists resource pools, lists buckets. Changes nothing. Fails with the first error if any service
/// refuses.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ma-cli configure test
  ma-cli configure test -P work -F json")]
pub struct TestArgs {}

/// Calls each service once.
///
/// # Errors
/// The kind of the first call that failed, after all were made.
pub async fn run(ctx: &Ctx, _args: &TestArgs) -> Result<(), Error> {
    ctx.settings()?;
    let mut tried = Vec::new();
    for service in [Service::Iam, Service::ModelArts, Service::Obs] {
        let begun = Instant::now();
        let result = match service {
            Service::Iam => limited(identity(ctx)).await,
            Service::ModelArts => limited(pools(ctx)).await,
            _ => limited(buckets(ctx)).await,
        };
        tried.push(Tried { service, result, milliseconds: begun.elapsed().as_millis() });
    }
    let endpoints = tried.iter().map(|tried| endpoint(ctx, tried.service)).collect();
    let failed = tried.iter().filter(|tried| tried.result.is_err()).count();
    let kind = tried.iter().find_map(|tried| tried.result.as_ref().err().map(|error| error.kind));
    let hints = tried.iter().find_map(|tried| tried.result.as_ref().err().map(|error| error.hints.clone()));
    ctx.ui.emit(&Tests { tried, endpoints })?;
    let Some(kind) = kind else { return Ok(()) };
    let mut error = Error::new(kind, format!("{failed} of 3 services cannot be used with these settings"));
    error.hints = hints.unwrap_or_default();
    Err(error)
}

async fn identity(ctx: &Ctx) -> Result<String, Error> {
    let caller = ctx.caller().await?;
    Ok(format!("account [{}], project [{}]", caller.account, caller.project_id))
}

async fn pools(ctx: &Ctx) -> Result<String, Error> {
    let found = pool::list(&ctx.modelarts()?).await?;
    Ok(text::count(found.len() as u64, "resource pool"))
}

async fn buckets(ctx: &Ctx) -> Result<String, Error> {
    let found = ctx.obs()?.list_buckets().await?;
    Ok(text::count(found.len() as u64, "bucket"))
}

/// So long one service may take: whoever tries settings would rather hear of a fault than wait for it to pass.
const LIMIT: Duration = Duration::from_secs(15);

async fn limited(asking: impl Future<Output = Result<String, Error>>) -> Result<String, Error> {
    let late = || Error::new(Kind::Timeout, format!("no answer within {} s", LIMIT.as_secs())).hint("see: ma-cli doctor");
    tokio::time::timeout(LIMIT, asking).await.unwrap_or_else(|_| Err(late()))
}

fn endpoint(ctx: &Ctx, service: Service) -> String {
    let endpoint = ctx.settings().ok().and_then(|settings| settings.endpoint(service).ok());
    endpoint.map(|endpoint| masked_address(&endpoint.value)).unwrap_or_default()
}

#[derive(Debug)]
struct Tried {
    service: Service,
    result: Result<String, Error>,
    milliseconds: u128,
}

#[derive(Debug)]
struct Tests {
    tried: Vec<Tried>,
    endpoints: Vec<String>,
}

impl Present for Tests {
    fn table(&self) -> Table {
        let mut table = Table::new(["service", "endpoint", "result", "detail", "ms"]);
        for (tried, endpoint) in self.tried.iter().zip(&self.endpoints) {
            let (result, detail) = match &tried.result {
                Ok(detail) => ("ok", detail.clone()),
                Err(error) => ("failed", error.message.clone()),
            };
            let cells = [tried.service.name(), endpoint, result, &detail, &tried.milliseconds.to_string()];
            table.rows.push(cells.map(str::to_owned).to_vec());
        }
        table
    }

    fn document(&self) -> Value {
        let rows = self.tried.iter().zip(&self.endpoints).map(|(tried, endpoint)| {
            let milliseconds = u64::try_from(tried.milliseconds).unwrap_or(u64::MAX);
            let error = tried.result.as_ref().err();
            json!({
                "service": tried.service.name(),
                "endpoint": endpoint,
                "ok": tried.result.is_ok(),
                "detail": tried.result.as_ref().map_or_else(|error| error.message.clone(), Clone::clone),
                "kind": error.map(|error: &Error| Kind::name(error.kind)),
                "milliseconds": milliseconds,
            })
        });
        rows.collect()
    }
}
