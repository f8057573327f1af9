//! Names that a service has to be asked for.

use std::sync::mpsc::Sender;
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _};
use serde_json::Value;

use crate::api::modelarts::training_search::{SearchRequest, search};
use crate::api::modelarts::{algorithm, pool, training_job};
use crate::auth::Cache;
use crate::cli::complete::Request;
use crate::cli::complete::cache::{Item, Names, REFILL, Store, bounded};
use crate::cli::complete::names::{Source, Wanted};
use crate::ctx::Ctx;
use crate::error::{Error, Kind};
use crate::obs::ObsUrl;
use crate::settings::env::Env;
use crate::settings::{Identity, Service, Settings};
use crate::ui::{self, Ui};

/// Jobs and algorithms that are offered: the newest of them, one page.
const PAGE: u32 = 50;
/// For how long credentials that were refused are not tried again: a service may lock an account after five failures in a quarter
/// of an hour, and a key that completes is pressed faster than that.
const AFTER_REFUSAL: Duration = Duration::from_secs(900);
/// For how long a question that failed is not asked again.
const AFTER_FAILURE: Duration = Duration::from_secs(60);

/// Sends what is kept, if there is anything, then what the service says; nothing more when what is kept is fresh, or on any error.
/// What failed is not tried again for a while.
pub(super) fn look_up(wanted: &Wanted, env: &Env, found: &Sender<Names>) {
    let ui = Ui::new(ui::Options::default(), ui::Terminals::default());
    let ctx = Ctx::new(env.clone(), ui, wanted.flags.clone());
    let Ok(settings) = ctx.settings() else { return };
    let key = key("names", settings, wanted);
    let store = Store::new(env);
    if let Some(kept) = store.read(&key, freshness(wanted.source)) {
        let is_fresh = kept.is_fresh;
        if found.send(kept).is_err() || is_fresh {
            return;
        }
    }
    let rests = Rests::new(settings, wanted);
    if rests.forbid(&store, env) {
        return;
    }
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
    rests.begin(&store);
    let fetched = runtime.block_on(fetch(&ctx, wanted));
    rests.end(&store, fetched.as_ref().err());
    if let Ok(items) = fetched {
        let items = bounded(items);
        store.write(&key, &items);
        // Nobody listens any more when time is up.
        let _ = found.send(Names { items, is_fresh: true });
    }
}

/// What is not tried again for a while.
struct Rests {
    /// The question.
    question: String,
    /// Whoever asks, with these credentials.
    caller: Option<String>,
    /// A login that has begun. Where time was up before its answer came, nobody knows whether it was refused.
    login: Option<String>,
}

impl Rests {
    fn new(settings: &Settings, wanted: &Wanted) -> Self {
        let identity = settings.identity.as_ref().map(|identity| &identity.value);
        let whose = |kind| {
            let parts = caller(settings);
            Cache::key(kind, &parts.iter().map(String::as_str).collect::<Vec<_>>())
        };
        Self {
            question: key("failed", settings, wanted),
            // Those that the surroundings give may come at any time.
            caller: identity.map(|_| whose("refused")),
            login: matches!(identity, Some(Identity::Password { .. })).then(|| whose("login")),
        }
    }

    fn forbid(&self, store: &Store, env: &Env) -> bool {
        // A login that was cut short is left to the refill, which has the time for it.
        let is_refill = matches!(env.get("_MA_CLI_COMPLETE").and_then(Request::parse), Some(Request::Refill(_)));
        let login = self.login.as_ref().filter(|_| !is_refill);
        [Some(&self.question), self.caller.as_ref(), login].into_iter().flatten().any(|key| store.rests(key))
    }

    fn begin(&self, store: &Store) {
        if let Some(login) = &self.login {
            store.rest(login, REFILL);
        }
    }

    fn end(&self, store: &Store, error: Option<&Error>) {
        if let Some(login) = &self.login {
            store.wake(login);
        }
        match (error.map(|error| error.kind), &self.caller) {
            (Some(Kind::Auth), Some(caller)) => store.rest(caller, AFTER_REFUSAL),
            // What is not there may be there soon.
            (None | Some(Kind::NotFound | Kind::Network), _) => {}
            (Some(_), _) => store.rest(&self.question, AFTER_FAILURE),
        }
    }
}

/// How old names may be: what people make and delete themselves is asked for anew.
fn freshness(source: Source) -> Duration {
    match source {
        Source::Engine | Source::EngineVersion | Source::Image | Source::Flavor | Source::Pool => Duration::from_secs(300),
        _ => Duration::from_secs(5),
    }
}

/// The question, and whoever asks it: nobody sees what another account's services said.
fn key(kind: &str, settings: &Settings, wanted: &Wanted) -> String {
    let endpoint = |service| settings.endpoint(service).map(|endpoint| endpoint.value.clone()).unwrap_or_default();
    let project = settings.project_id.as_ref().map(|id| id.value.clone()).unwrap_or_default();
    let detail = match wanted.source {
        Source::Task => wanted.job.clone().unwrap_or_default(),
        Source::Object | Source::ObjectOrFile => wanted.typed.clone(),
        _ => String::new(),
    };
    let mut parts = vec![endpoint(Service::ModelArts), endpoint(Service::Obs), project, format!("{:?}", wanted.source), detail];
    parts.extend(caller(settings));
    Cache::key(kind, &parts.iter().map(String::as_str).collect::<Vec<_>>())
}

/// The credentials, the secret among them: a corrected one is another caller. Only their digest is kept.
fn caller(settings: &Settings) -> Vec<String> {
    let endpoint = settings.endpoint(Service::Iam).map(|endpoint| endpoint.value.clone()).unwrap_or_default();
    match settings.identity.as_ref().map(|identity| &identity.value) {
        Some(Identity::Keys { access_key, secret_key, .. }) => {
            vec![endpoint, access_key.clone(), secret_key.expose().to_owned()]
        }
        Some(Identity::Password { account, username, password }) => {
            vec![endpoint, account.clone(), username.clone(), password.expose().to_owned()]
        }
        // Nobody is asked without credentials.
        None | Some(Identity::LoggedOut { .. } | Identity::Broken(_)) => vec![endpoint],
    }
}

async fn fetch(ctx: &Ctx, wanted: &Wanted) -> Result<Vec<Item>, Error> {
    let text = |value: &Value, place: &str| value.pointer(place).and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(match wanted.source {
        Source::Job | Source::JobName => {
            let request = SearchRequest { limit: PAGE, ..SearchRequest::default() };
            let jobs = search(&ctx.modelarts()?, &request).await?.jobs;
            let is_name = wanted.source == Source::JobName;
            let item = |job: &training_job::TrainingJob| match is_name {
                true => Item::new(job.name(), job.phase().to_string()),
                false => Item::new(job.id(), format!("{} ({})", job.name(), job.phase())),
            };
            jobs.iter().map(item).collect()
        }
        Source::Task => {
            let Some(job) = wanted.job.as_deref() else { return Ok(Vec::new()) };
            let job = training_job::show(&ctx.modelarts()?, job).await?;
            job.tasks().into_iter().map(|task| Item::new(task, "")).collect()
        }
        Source::Algorithm | Source::AlgorithmName => {
            let (api, filter) = (ctx.modelarts()?, algorithm::Filter::default());
            let algorithms: Vec<_> = algorithm::list(&api, &filter).take(PAGE as usize).try_collect().await?;
            let is_name = wanted.source == Source::AlgorithmName;
            let item = |one: &algorithm::Algorithm| match is_name {
                true => Item::new(one.name(), one.engine()),
                false => Item::new(one.id(), one.name()),
            };
            algorithms.iter().map(item).collect()
        }
        Source::Pool => {
            let pools = pool::list(&ctx.modelarts()?).await?;
            pools.iter().filter(|pool| pool.takes_training()).map(|pool| Item::new(pool.id(), pool.name())).collect()
        }
        Source::Flavor => {
            let flavors = training_job::flavors(&ctx.modelarts()?, None).await?;
            flavors.iter().map(|flavor| Item::new(text(flavor, "/flavor_id"), text(flavor, "/flavor_name"))).collect()
        }
        Source::Engine | Source::EngineVersion | Source::Image => {
            let engines = training_job::engines(&ctx.modelarts()?).await?;
            engine_items(wanted.source, &engines)
        }
        Source::Bucket => {
            let buckets = ctx.obs()?.list_buckets().await?;
            buckets.into_iter().map(|bucket| Item::new(format!("{}{}", ObsUrl::SCHEME, bucket.name), "")).collect()
        }
        Source::Object | Source::ObjectOrFile => objects(ctx, &wanted.typed).await?,
        Source::Profile | Source::Region | Source::ApiPath => Vec::new(),
    })
}

fn engine_items(source: Source, engines: &[Value]) -> Vec<Item> {
    let text = |engine: &Value, place: &str| engine.pointer(place).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut items: Vec<Item> = Vec::new();
    for engine in engines {
        let name = text(engine, "/engine_name");
        let values = match source {
            Source::Engine => vec![name.clone()],
            Source::EngineVersion => vec![text(engine, "/engine_id")],
            _ => vec![text(engine, "/image_info/cpu_image_url"), text(engine, "/image_info/gpu_image_url")],
        };
        for value in values {
            if !items.iter().any(|item| item.value == value) {
                items.push(Item::new(value, if source == Source::Engine { "" } else { &name }));
            }
        }
    }
    items
}

/// Buckets until the address has one, then what its folder holds. The user's spelling of the scheme stays.
async fn objects(ctx: &Ctx, typed: &str) -> Result<Vec<Item>, Error> {
    let start = typed.find("://").map_or(0, |at| at + 3);
    let (scheme, rest) = typed.split_at(start);
    let client = ctx.obs()?;
    let Some((bucket, key)) = rest.split_once('/') else {
        let buckets = client.list_buckets().await?;
        return Ok(buckets.into_iter().map(|bucket| Item::new(format!("{scheme}{}/", bucket.name), "")).collect());
    };
    let page = client.list(&ObsUrl::new(bucket, key), false).next_page().await?.unwrap_or_default();
    let keys = page.entries.into_iter().map(|entry| (entry.key, ui::text::bytes(entry.size)));
    let folders = page.prefixes.into_iter().map(|prefix| (prefix, String::new()));
    Ok(folders.chain(keys).map(|(key, help)| Item::new(format!("{scheme}{bucket}/{key}"), help)).collect())
}
