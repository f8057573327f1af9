//! What the service and the store know about a job that is not submitted yet.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::api::Api;
use crate::api::modelarts::training_job::{self, CreateRequest, DATASET};
use crate::api::modelarts::{algorithm, pool};
use crate::commands::ma_job::findings::{Findings, Level};
use crate::commands::ma_job::upload::Upload;
use crate::ctx::Ctx;
use crate::error::{self, Error, Kind};
use crate::obs::{self, ObsUrl};

/// Most entries and bytes of a code folder; the service's limits.
const MOST_ENTRIES: u64 = 1000;
const MOST_BYTES: u64 = 5 << 30;

/// Asks, and adds what is wrong. A question that nobody answers is a warning, and the others are asked all the same; gives the
/// first such error, with which the job cannot be called good.
pub(super) async fn inquire(ctx: &Ctx, request: &CreateRequest, uploads: &[Upload], findings: &mut Findings) -> Option<Error> {
    let mut unanswered = Unanswered::default();
    match ctx.modelarts() {
        Ok(api) => service(&api, request, findings, &mut unanswered).await,
        Err(error) => unanswered.add("", error, findings),
    }
    match ctx.obs() {
        Ok(client) => {
            let answer = places(&client, request, uploads, findings).await;
            unanswered.keep("", answer, findings);
        }
        Err(error) => unanswered.add("", error, findings),
    }
    unanswered.first
}

/// Adds what the service knows about the names that it did not find, if it says.
pub(super) async fn advise(api: &Api, request: &CreateRequest, error: Error) -> Error {
    if error.kind != Kind::NotFound {
        return error;
    }
    let mut findings = Findings::default();
    service(api, request, &mut findings, &mut Unanswered::default()).await;
    findings.problems().fold(error, Error::hint)
}

/// Questions without an answer.
#[derive(Debug, Default)]
struct Unanswered {
    first: Option<Error>,
}

impl Unanswered {
    fn keep(&mut self, key: &str, answer: Result<(), Error>, findings: &mut Findings) {
        if let Err(error) = answer {
            self.add(key, error, findings);
        }
    }

    fn add(&mut self, key: &str, error: Error, findings: &mut Findings) {
        findings.add(Level::Warning, key, format!("could not be checked: {error}"));
        self.first.get_or_insert(error);
    }

    /// Whether the service is out of reach: further questions would only take time.
    fn is_out_of_reach(&self) -> bool {
        self.first.as_ref().is_some_and(|error| error.kind == Kind::Network)
    }
}

/// What the service knows.
async fn service(api: &Api, request: &CreateRequest, findings: &mut Findings, unanswered: &mut Unanswered) {
    let answer = engine(api, request, findings).await;
    unanswered.keep("framework-version", answer, findings);
    if !unanswered.is_out_of_reach() {
        let answer = flavor(api, request, findings).await;
        unanswered.keep("train-instance-type", answer, findings);
    }
    if let Some(id) = request.pool_id.as_ref().filter(|_| !unanswered.is_out_of_reach()) {
        let answer = dedicated_pool(api, id, findings).await;
        unanswered.keep("pool-id", answer, findings);
    }
    if let Some(id) = request.algorithm_id.as_ref().filter(|_| !unanswered.is_out_of_reach()) {
        let answer = of_algorithm(api, id, request, findings).await;
        unanswered.keep("algorithm-id", answer, findings);
    }
}

async fn engine(api: &Api, request: &CreateRequest, findings: &mut Findings) -> Result<(), Error> {
    let Some(version) = request.engine_version.as_deref() else { return Ok(()) };
    let engines = training_job::engines(api).await?;
    let text = |engine: &Value, key: &str| engine[key].as_str().unwrap_or_default().to_owned();
    let same: Vec<_> = engines
        .iter()
        .filter(|engine| ["engine_id", "engine_version"].iter().any(|key| text(engine, key) == version))
        .collect();
    let names: Vec<String> = same.iter().map(|engine| text(engine, "engine_name")).collect();
    if same.is_empty() {
        let names = ["engine_version", "engine_id"].into_iter();
        let near = nearest(version, names.flat_map(|key| engines.iter().map(move |engine| text(engine, key))));
        findings.add(Level::Error, "framework-version", format!("there is no engine [{version}]{near}; see get-engine"));
    } else if let Some(name) = request.engine_name.as_ref().filter(|name| !names.contains(name)) {
        let message = format!("engine [{version}] is one of {}, not of [{name}]", names.join(", "));
        findings.add(Level::Error, "framework-type", message);
    }
    Ok(())
}

async fn flavor(api: &Api, request: &CreateRequest, findings: &mut Findings) -> Result<(), Error> {
    let Some(id) = request.flavor_id.as_deref() else {
        if request.pool_id.is_none() {
            findings.add(Level::Error, "train-instance-type", "it says which resources the job runs on; see get-flavor");
        }
        return Ok(());
    };
    let flavors = training_job::flavors(api, None).await?;
    let Some(flavor) = flavors.iter().find(|flavor| flavor["flavor_id"] == id) else {
        // Dedicated pools have flavors of their own, which the list does not have.
        if request.pool_id.is_none() {
            let near = nearest(id, flavors.iter().filter_map(|flavor| flavor["flavor_id"].as_str().map(str::to_owned)));
            findings.add(Level::Error, "train-instance-type", format!("there is no flavor [{id}]{near}; see get-flavor"));
        }
        return Ok(());
    };
    let most = flavor.pointer("/flavor_info/max_num").and_then(Value::as_u64).or_else(|| flavor["max_num"].as_u64());
    if let Some(most) = most.filter(|most| *most > 0 && u64::from(request.node_count) > *most) {
        let message = format!("flavor [{id}] gives a job at most {most} nodes, not {}", request.node_count);
        findings.add(Level::Error, "train-instance-count", message);
    }
    Ok(())
}

async fn dedicated_pool(api: &Api, id: &str, findings: &mut Findings) -> Result<(), Error> {
    let pools = pool::list(api).await?;
    match pools.iter().find(|pool| pool.id() == id) {
        None => {
            let near = nearest(id, pools.iter().map(pool::Pool::id));
            findings.add(Level::Error, "pool-id", format!("there is no pool [{id}]{near}; see get-pool"));
        }
        Some(pool) if !pool.takes_training() => {
            findings.add(Level::Error, "pool-id", format!("pool [{id}] takes no training jobs"));
        }
        Some(pool) if !matches!(pool.phase().as_str(), "Running" | "") => {
            findings.add(Level::Warning, "pool-id", format!("pool [{id}] is {}", pool.phase()));
        }
        Some(_) => {}
    }
    Ok(())
}

async fn of_algorithm(api: &Api, id: &str, request: &CreateRequest, findings: &mut Findings) -> Result<(), Error> {
    let algorithm = match algorithm::show(api, id).await.map_err(Error::from) {
        Ok(algorithm) => algorithm,
        Err(error) if error.kind == Kind::NotFound => {
            findings.add(Level::Error, "algorithm-id", format!("there is no algorithm [{id}]; see ma-cli algorithm list"));
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    for problem in algorithm::check_parameters(&algorithm, &request.parameters) {
        findings.add(Level::Error, "parameters", problem);
    }
    Ok(())
}

/// The places of the store that the request names: whether they are there, and hold what they should.
async fn places(
    client: &obs::Client,
    request: &CreateRequest,
    uploads: &[Upload],
    findings: &mut Findings,
) -> Result<(), Error> {
    let mut buckets = BTreeMap::new();
    let is_uploaded = |url: &ObsUrl| uploads.iter().any(|upload| upload.covers(url));
    if let Some(url) = request.code_dir.as_deref().and_then(address) {
        let is_there = bucket(client, &mut buckets, "code-dir", &url, findings).await?;
        if is_there && !is_uploaded(&url) {
            code(client, &url.as_folder(), request.boot_file.as_deref(), findings).await?;
        }
    }
    for input in &request.inputs {
        let Some(url) = address(&input.url) else { continue };
        let is_there = bucket(client, &mut buckets, "input", &url, findings).await?;
        if is_there && !is_uploaded(&url) && !client.any(&url).await? {
            findings.add(Level::Error, "input", format!("there is nothing at [{url}] for the input [{}]", input.name));
        }
    }
    for output in &request.outputs {
        let Some(url) = address(&output.url) else { continue };
        let is_there = bucket(client, &mut buckets, "output", &url, findings).await?;
        if is_there && !output.predownload && client.any(&url.as_folder()).await? {
            let message = format!("[{url}] of the output [{}] holds something already", output.name);
            findings.add(Level::Warning, "output", message);
        }
    }
    if let Some(url) = request.log_url.as_deref().and_then(address) {
        bucket(client, &mut buckets, "log-url", &url, findings).await?;
    }
    Ok(())
}

/// Whether the bucket is there; each is asked for once, and missed once a key.
async fn bucket(
    client: &obs::Client,
    known: &mut BTreeMap<String, bool>,
    key: &str,
    url: &ObsUrl,
    findings: &mut Findings,
) -> Result<bool, Error> {
    if !known.contains_key(&url.bucket) {
        let is_there = match client.head_bucket(&url.bucket).await {
            Ok(()) => true,
            Err(error) if error.is_not_found() || error.is_no_such_bucket() => false,
            Err(error) => return Err(error.into()),
        };
        known.insert(url.bucket.clone(), is_there);
    }
    let is_there = known.get(&url.bucket).copied().unwrap_or_default();
    if !is_there {
        findings.add(Level::Error, key, format!("there is no bucket [{}]", url.bucket));
    }
    Ok(is_there)
}

/// The limits of code folders, and the boot file.
async fn code(client: &obs::Client, folder: &ObsUrl, boot_file: Option<&str>, findings: &mut Findings) -> Result<(), Error> {
    let (mut entries, mut bytes, mut has_boot_file) = (0_u64, 0_u64, false);
    let boot_file = boot_file.map(|name| name.trim_start_matches("./"));
    let boot_key = boot_file.map(|name| match address(name) {
        Some(whole) => whole.key,
        None => format!("{}{name}", folder.key),
    });
    let mut listing = client.list(folder, true);
    while let Some(page) = listing.next_page().await? {
        for entry in page.entries {
            entries += 1;
            bytes += entry.size;
            has_boot_file |= boot_key.as_ref() == Some(&entry.key);
        }
        if entries > MOST_ENTRIES {
            break;
        }
    }
    if entries == 0 {
        findings.add(Level::Error, "code-dir", format!("there is nothing at [{folder}]"));
    } else if entries > MOST_ENTRIES {
        findings.add(Level::Error, "code-dir", format!("[{folder}] has more than {MOST_ENTRIES} files and folders"));
    } else if let Some(name) = boot_file.filter(|_| !has_boot_file) {
        findings.add(Level::Error, "boot-file", format!("there is no [{name}] in [{folder}]"));
    }
    if bytes > MOST_BYTES {
        findings.add(Level::Error, "code-dir", format!("[{folder}] has more than 5 GB"));
    }
    Ok(())
}

/// An address of the store, in any of its spellings.
fn address(url: &str) -> Option<ObsUrl> {
    if url.starts_with(DATASET) {
        return None;
    }
    match url.strip_prefix('/') {
        Some(path) => format!("{}{path}", ObsUrl::SCHEME).parse().ok(),
        None => url.parse().ok(),
    }
}

fn nearest(wanted: &str, known: impl Iterator<Item = String>) -> String {
    let known: Vec<String> = known.collect();
    let meant = error::nearest(wanted, known.iter().map(String::as_str));
    meant.map(|meant| format!(" (did you mean [{meant}]?)")).unwrap_or_default()
}
