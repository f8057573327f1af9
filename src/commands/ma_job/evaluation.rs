//! Finding and reading the evaluation file of a job.

use serde_json::Value;
use time::OffsetDateTime;

use crate::api::modelarts::training_job::TrainingJob;
use crate::error::{Error, Kind};
use crate::obs::bytes::GetOptions;
use crate::obs::{self, Client, ObsUrl};

/// Most objects of an output that are looked at.
const MOST_OBJECTS: usize = 20_000;
/// Longest file that is read, in bytes: predictions for some hundred thousand images.
const LONGEST: usize = 256 << 20;
/// What the names of evaluation files have in them, the surest first. The user guide gives no name; these are those of its
/// functions (`model_analysis`, `analyse`) and of the metrics file of workflows (`metrics.json`).
const NAMES: [&str; 3] = ["eval", "analys", "metric"];

/// The most likely evaluation file in the outputs of the job.
///
/// # Errors
/// The job has no outputs, or there is none; the store refuses.
pub(super) async fn find(client: &Client, job: &TrainingJob) -> Result<ObsUrl, Error> {
    let outputs = outputs(job);
    let mut best: Option<((usize, Option<OffsetDateTime>), ObsUrl)> = None;
    for output in &outputs {
        let mut listing = client.list(&output.as_folder(), true);
        let mut seen = 0;
        while let Some(page) = listing.next_page().await? {
            seen += page.entries.len();
            for entry in page.entries {
                let Some(rank) = rank(&entry.key) else { continue };
                let order = (rank, entry.modified);
                if best.as_ref().is_none_or(|(known, _)| *known < order) {
                    best = Some((order, ObsUrl::new(output.bucket.clone(), entry.key)));
                }
            }
            if seen >= MOST_OBJECTS {
                break;
            }
        }
    }
    best.map(|(_, url)| url).ok_or_else(|| {
        let places: Vec<String> = outputs.iter().map(ToString::to_string).collect();
        let where_to =
            if places.is_empty() { "it has no outputs".to_owned() } else { format!("looked in {}", places.join(", ")) };
        Error::new(Kind::NotFound, format!("training job [{}] has no evaluation file: {where_to}", job.id()))
            .hint("write a JSON file with eval in its name into an output, or name the file with --file")
    })
}

/// How sure it is that this key is an evaluation file; `None` when it is none.
fn rank(key: &str) -> Option<usize> {
    let name = key.rsplit('/').next()?.to_ascii_lowercase();
    if !name.ends_with(".json") {
        return None;
    }
    NAMES.iter().rev().position(|part| name.contains(part))
}

/// Where the job's outputs are stored.
fn outputs(job: &TrainingJob) -> Vec<ObsUrl> {
    let outputs = job.0.pointer("/algorithm/outputs").and_then(Value::as_array);
    let url = |output: &Value| {
        let text = output.pointer("/remote/obs/obs_url")?.as_str()?;
        let text = if ObsUrl::looks_like(text) { text.to_owned() } else { format!("obs:/{text}") };
        text.parse().ok()
    };
    outputs.into_iter().flatten().filter_map(url).collect()
}

/// Reads the file.
///
/// # Errors
/// There is no such object; it is no JSON.
pub(super) async fn read(client: &Client, url: &ObsUrl) -> Result<Value, Error> {
    let bytes = client
        .retrying(async |_| {
            let got = client.get_once(url, &GetOptions::default()).await?;
            got.body.collect(LONGEST).await
        })
        .await
        .map_err(|error: obs::Error| Error::from(error).context(&url.to_string()))?;
    serde_json::from_slice(&bytes).map_err(|error| Error::new(Kind::Local, format!("[{url}] is no JSON file")).caused_by(error))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{TrainingJob, outputs, rank};

    #[test]
    fn evaluation_files_are_known_by_their_names() {
        assert!(
            rank("o/evaluation.json") > rank("o/analyse_result.JSON") && rank("o/analyse_result.json") > rank("metrics.json")
        );
        assert_eq!((rank("eval/model.json"), rank("o/eval.txt")), (None, None));
        let job = TrainingJob(json!({"algorithm": {"outputs": [
            {"remote": {"obs": {"obs_url": "/b/o/"}}}, {"remote": {"obs": {"obs_url": "obs://b/p"}}}, {}]}}));
        assert_eq!(outputs(&job).iter().map(ToString::to_string).collect::<Vec<_>>(), ["obs://b/o/", "obs://b/p"]);
    }
}
