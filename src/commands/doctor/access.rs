//! Whether the services accept who asks.

use std::time::Duration;

use futures_util::future;
use tokio::time::timeout;

use super::finding::{Finding, State};
use crate::api::modelarts::training_search::{self, SearchRequest};
use crate::auth;
use crate::ctx::Ctx;
use crate::error::{Error, Kind};
use crate::obs::ObsUrl;
use crate::settings::{Identity, Service};

/// Name of the check.
const CREDENTIALS: &str = "credentials";

/// Whether there are credentials, and from where; the surroundings are asked too, unless told not to use the network. The secret
/// part is not shown.
pub(super) async fn credentials(ctx: &Ctx, is_offline: bool) -> Finding {
    let Ok(settings) = ctx.settings() else {
        return Finding::new(CREDENTIALS, State::Warn, "not checked: the profile cannot be read");
    };
    let Some(identity) = &settings.identity else {
        let report = if is_offline {
            auth::CredentialReport { steps: settings.identity_steps.clone() }
        } else {
            ctx.credential_report().await.unwrap_or_default()
        };
        return match report.used() {
            Some(step) => Finding::new(CREDENTIALS, State::Ok, step.to_string()),
            None => Finding::failed(CREDENTIALS, &Error::from(auth::Error::NothingConfigured(report))),
        };
    };
    match &identity.value {
        Identity::LoggedOut { missing, .. } => Finding::failed(CREDENTIALS, &ctx.logged_out(&identity.origin, missing)),
        Identity::Broken(broken) => Finding::failed(CREDENTIALS, &ctx.broken(broken)),
        known => {
            let agency = settings.agency.as_ref().map(|agency| &agency.value);
            let agency = agency.map(|agency| format!(", for the agency [{}] of account [{}]", agency.name, agency.domain));
            let agency = agency.unwrap_or_default();
            Finding::new(CREDENTIALS, State::Ok, format!("{known} from {}{agency}", identity.origin))
        }
    }
}

/// Asks each service that was reached for something that is harmless.
pub(super) async fn check(ctx: &Ctx, reached: &[Service], bucket: Option<&str>, limit: Duration) -> Vec<Finding> {
    let unreached = |check: &str| Finding::new(check, State::Warn, "not checked: the service was not reached");
    let training = async {
        if !reached.contains(&Service::ModelArts) {
            return unreached("access to ModelArts");
        }
        finding("access to ModelArts", limit, modelarts(ctx)).await
    };
    let store = async {
        if !reached.contains(&Service::Obs) {
            return unreached("access to OBS");
        }
        finding("access to OBS", limit, obs(ctx, bucket)).await
    };
    let (training, store) = future::join(training, store).await;
    vec![training, store]
}

async fn finding(check: &str, limit: Duration, asking: impl Future<Output = Result<String, Error>>) -> Finding {
    let late =
        || Error::new(Kind::Timeout, format!("no answer within {} s", limit.as_secs())).hint("wait longer with --timeout");
    match timeout(limit, asking).await.unwrap_or_else(|_| Err(late())) {
        Ok(message) => Finding::new(check, State::Ok, message),
        Err(error) => Finding::failed(check, &error),
    }
}

async fn modelarts(ctx: &Ctx) -> Result<String, Error> {
    let api = ctx.modelarts()?;
    let project = api.project_id().await?;
    training_search::search(&api, &SearchRequest { limit: 1, ..SearchRequest::default() }).await?;
    Ok(format!("training jobs of project [{project}] can be listed"))
}

async fn obs(ctx: &Ctx, bucket: Option<&str>) -> Result<String, Error> {
    let client = ctx.obs()?;
    let Some(bucket) = bucket else {
        return Ok(format!("{} buckets", client.list_buckets().await?.len()));
    };
    let address = if ObsUrl::looks_like(bucket) { bucket.to_owned() } else { format!("{}{bucket}", ObsUrl::SCHEME) };
    let url: ObsUrl = address.parse()?;
    client.head_bucket(&url.bucket).await?;
    client.any(&url).await?;
    Ok(format!("bucket [{}] can be listed", url.bucket))
}
