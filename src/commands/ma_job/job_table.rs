//! How jobs are shown: a list, one line of it, or everything about one.

use serde_json::Value;
use time::UtcOffset;

use crate::api::modelarts::training_job::TrainingJob;
use crate::commands::ma_job::columns;
use crate::ui::{Present, Table};

/// A page of jobs.
#[derive(Debug)]
pub(super) struct JobList {
    pub(super) jobs: Vec<TrainingJob>,
    pub(super) verbose: bool,
    pub(super) offset: UtcOffset,
}

impl Present for JobList {
    fn table(&self) -> Table {
        let mut columns = vec!["index"];
        columns.extend(COLUMNS);
        if self.verbose {
            columns.extend(["flavor", "nodes", "engine"]);
        }
        let mut table = Table::new(columns);
        for (index, job) in self.jobs.iter().enumerate() {
            let mut row = vec![(index + 1).to_string()];
            row.extend(cells(job, self.offset));
            if self.verbose {
                row.extend([job.text("/spec/resource/flavor_id"), job.text("/spec/resource/node_count"), engine(job)]);
            }
            table.rows.push(row);
        }
        table
    }

    fn document(&self) -> Value {
        self.jobs.iter().map(|job| job.0.clone()).collect()
    }

    fn elements(&self) -> Option<Vec<&Value>> {
        Some(self.jobs.iter().map(|job| &job.0).collect())
    }

    fn is_sorted(&self) -> bool {
        true
    }
}

/// One job: its line of the list, or with `verbose` everything worth knowing.
#[derive(Debug)]
pub(super) struct JobDetail {
    pub(super) job: TrainingJob,
    pub(super) verbose: bool,
    pub(super) offset: UtcOffset,
}

impl Present for JobDetail {
    fn table(&self) -> Table {
        if self.verbose {
            return details(&self.job, self.offset);
        }
        let mut table = Table::new(COLUMNS);
        table.rows.push(cells(&self.job, self.offset));
        table
    }

    fn document(&self) -> Value {
        self.job.0.clone()
    }
}

const COLUMNS: [&str; 8] = ["id", "name", "status", "user_name", "duration", "create_time", "start_time", "description"];

fn cells(job: &TrainingJob, offset: UtcOffset) -> Vec<String> {
    vec![
        job.id(),
        job.name(),
        job.phase().to_string(),
        job.user_name(),
        columns::duration(job.duration()),
        columns::time(job.create_time(), offset),
        columns::time(job.start_time(), offset),
        job.description(),
    ]
}

fn engine(job: &TrainingJob) -> String {
    let places = ["/algorithm/engine/image_url", "/algorithm/engine/engine_version", "/algorithm/engine/engine_id"];
    places.iter().map(|place| job.text(place)).find(|text| !text.is_empty()).unwrap_or_default()
}

fn details(job: &TrainingJob, offset: UtcOffset) -> Table {
    let mut table = Table::new(["field", "value"]);
    let mut add = |name: &str, value: String| table.rows.push(vec![name.to_owned(), value]);
    for (name, value) in COLUMNS.iter().zip(cells(job, offset)) {
        add(name, value);
    }
    let fields = [
        ("workspace", "/metadata/workspace_id"),
        ("code dir", "/algorithm/code_dir"),
        ("boot file", "/algorithm/boot_file"),
        ("command", "/algorithm/command"),
        ("flavor", "/spec/resource/flavor_id"),
        ("nodes", "/spec/resource/node_count"),
        ("pool", "/spec/resource/pool_id"),
        ("log path", "/spec/log_export_path/obs_url"),
    ];
    add("engine", engine(job));
    for (name, place) in fields {
        let value = job.text(place);
        if !value.is_empty() {
            add(name, value);
        }
    }
    for (name, key) in [("input", "inputs"), ("output", "outputs")] {
        for folder in elements(job, &format!("/algorithm/{key}")) {
            let url = folder.pointer("/remote/obs/obs_url").and_then(Value::as_str).unwrap_or_default();
            add(name, format!("{} = {url}", folder["name"].as_str().unwrap_or_default()));
        }
    }
    for parameter in elements(job, "/algorithm/parameters") {
        let text = |key: &str| parameter[key].as_str().unwrap_or_default();
        add("parameter", format!("{} = {}", text("name"), text("value")));
    }
    for status in elements(job, "/status/task_statuses") {
        let message = status["message"].as_str().unwrap_or_default();
        add("task", format!("{} exit code {} {message}", status["task"].as_str().unwrap_or_default(), status["exit_code"]));
    }
    table
}

fn elements<'a>(job: &'a TrainingJob, pointer: &str) -> impl Iterator<Item = &'a Value> {
    job.0.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::UtcOffset;

    use super::{JobDetail, JobList};
    use crate::api::modelarts::training_job::TrainingJob;
    use crate::ui::Present as _;

    fn job() -> TrainingJob {
        TrainingJob(json!({
            "metadata": {"id": "j1", "name": "n", "create_time": 1_680_061_287_500_i64, "user_name": "jo"},
            "status": {"phase": "Abnormal", "duration": 0},
            "algorithm": {"engine": {"engine_version": "v1"}, "inputs": [{"name": "data_url", "remote": {"obs": {"obs_url": "/b/d/"}}}],
                "parameters": [{"name": "epoch", "value": "1"}]},
            "spec": {"resource": {"flavor_id": "f", "node_count": 2}}, "unknown": 1,
        }))
    }

    #[test]
    fn rows_have_the_original_s_columns() {
        let list = JobList { jobs: vec![job()], verbose: false, offset: UtcOffset::UTC };
        assert_eq!(list.table().columns[..5], ["index", "id", "name", "status", "user_name"]);
        let expected = ["1", "j1", "n", "Abnormal", "jo", "00h:00m:00s", "2023-03-29 03:41:27", "N/A", ""];
        assert_eq!(list.table().rows[0], expected);
        assert_eq!(list.document()[0]["unknown"], 1);
        let wide = JobList { verbose: true, ..list };
        assert_eq!(wide.table().rows[0][9..], ["f", "2", "v1"]);
    }

    #[test]
    fn one_job_is_a_line_or_everything() {
        let detail = JobDetail { job: job(), verbose: false, offset: UtcOffset::UTC };
        assert_eq!((detail.table().columns[0], detail.table().rows.len()), ("id", 1));
        let all = JobDetail { verbose: true, ..detail }.table();
        for row in [["nodes", "2"], ["input", "data_url = /b/d/"], ["parameter", "epoch = 1"]] {
            assert!(all.rows.iter().any(|found| found == &row), "{row:?}");
        }
    }
}
