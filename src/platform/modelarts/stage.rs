//! The stages of a job: waiting, preparing, running, end, once for each start.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::platform::modelarts::Training;
use crate::platform::modelarts::error::ApiError;
use crate::platform::modelarts::record::{self, Phase};
use crate::platform::modelarts::restart::HIDDEN;

/// The API's names of the stages, in their order, and what is said of each.
const STAGES: [(&str, &str, &str); 4] = [
    ("scheduling", "The job waits for resources.", "作业等待资源"),
    ("preparing", "Code and inputs are fetched.", "准备代码和数据"),
    ("running", "The job runs.", "作业运行"),
    ("end", "The job has ended.", "作业结束"),
];

/// Remembers when the preparation of a job's newest start began and ended, in milliseconds since 1970.
pub(super) fn remember(job: &mut Value, preparing: i64, running: i64) {
    let times = json!({"preparing": preparing, "running": running});
    match job[HIDDEN]["starts"].as_array_mut() {
        Some(starts) => starts.push(times),
        None => job[HIDDEN]["starts"] = json!([times]),
    }
}

/// `GET /v2/{project_id}/training-jobs/{id}/stages`.
pub(super) async fn list(
    State(training): State<Arc<Training>>,
    Path((_, id)): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    let job = record::get(training.state(), &id)?;
    let records = records(&job);
    Ok(Json(json!({"total_count": records.len(), "running_records": records})))
}

fn records(job: &Value) -> Vec<Value> {
    let id = &job["metadata"]["id"];
    let empty = Vec::new();
    let ended = job["status"]["running_records"].as_array().unwrap_or(&empty);
    let starts = job[HIDDEN]["starts"].as_array().unwrap_or(&empty);
    let is_final = Phase::of(job).is_some_and(Phase::is_final);
    let mut begin = job["metadata"]["create_time"].as_i64();
    let mut records = Vec::new();
    // One more than there were starts while the next one is waited for.
    let waits = usize::from(!is_final && ended.last().is_none_or(|record| record["end_at"].is_i64()));
    for index in 0..(starts.len() + waits).max(1) {
        let time = |name: &str| starts.get(index).and_then(|start| start[name].as_i64());
        let (preparing, running) = (time("preparing"), time("running"));
        let end = ended.get(index).and_then(|record| record["end_at"].as_i64()).map(|end| end * 1000);
        let times = [begin, preparing, running, end, end];
        let reached = (0..4).filter(|&stage| times[stage].is_some());
        let stages = reached.map(|stage| {
            let (name, english, chinese) = STAGES[stage];
            let mut shown = json!({
                "job_id": id, "name": name, "en_message": english, "zh_message": chinese, "stage_order": stage + 1,
                "start_time": text(times[stage]), "sub_stages": [],
            });
            if times[stage + 1].is_some() {
                shown["end_time"] = json!(text(times[stage + 1]));
            }
            shown
        });
        records.push(json!({"record_order": index + 1, "stages": stages.collect::<Vec<_>>()}));
        begin = end;
    }
    records
}

fn text(milliseconds: Option<i64>) -> String {
    let seconds = milliseconds.unwrap_or_default() / 1000;
    let time = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    time.format(&Rfc3339).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{records, remember};

    fn names(record: &Value) -> Vec<&str> {
        record["stages"].as_array().unwrap().iter().map(|stage| stage["name"].as_str().unwrap()).collect()
    }

    #[test]
    fn every_start_has_its_stages() {
        let mut job =
            json!({"metadata": {"id": "1", "create_time": 1000}, "status": {"phase": "Pending", "running_records": []}});
        assert_eq!(names(&records(&job)[0]), ["scheduling"]);
        remember(&mut job, 2000, 3000);
        job["status"] = json!({"phase": "Running", "running_records": [{"start_at": 3}]});
        let running = records(&job);
        assert_eq!((running.len(), names(&running[0])), (1, vec!["scheduling", "preparing", "running"]));
        assert_eq!(running[0]["stages"][0]["end_time"], "1970-01-01T00:00:02Z");
        assert!(running[0]["stages"][2].get("end_time").is_none());
        job["status"] = json!({"phase": "Pending", "running_records": [{"start_at": 3, "end_at": 9}]});
        let waiting = records(&job);
        assert_eq!((waiting.len(), names(&waiting[1])), (2, vec!["scheduling"]));
        assert_eq!(waiting[1]["stages"][0]["start_time"], "1970-01-01T00:00:09Z");
        job["status"]["phase"] = json!("Failed");
        assert_eq!((records(&job).len(), names(&records(&job)[0]).len()), (1, 4));
    }
}
