//! How much of its node a task of a training job uses.

use http::Method;
use serde_json::Value;

use crate::api::modelarts::{items, text};
use crate::api::{Api, Error, Request};

/// One quantity of a task over time.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// The API's name, such as `cpuUsage`.
    pub name: String,
    /// One value a minute since the job's start; `None` where the service has none.
    pub values: Vec<Option<f64>>,
}

/// What is known of a task.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// The document as it came.
    pub document: Value,
    /// Its quantities, those without a single value left out.
    pub series: Vec<Series>,
}

impl Metrics {
    /// Reads the document; a negative value stands for none.
    pub fn new(document: Value) -> Self {
        let value = |value: &Value| value.as_f64().filter(|value| *value >= 0.0);
        let series = |item: &Value| Series {
            name: text(item, "/metric"),
            values: item["value"].as_array().into_iter().flatten().map(value).collect(),
        };
        let mut series: Vec<Series> = items(document.clone(), "metrics").iter().map(series).collect();
        series.retain(|series| series.values.iter().any(Option::is_some));
        Self { document, series }
    }
}

/// The metrics of one task.
///
/// # Errors
/// As [`Api::send`].
pub async fn show(api: &Api, id: &str, task: &str) -> Result<Metrics, Error> {
    let request = Request::new(Method::GET, "/v2/{project_id}/training-jobs/{training_job_id}/metrics/{task_id}", &[id, task]);
    Ok(Metrics::new(api.send(request).await?.document))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Metrics;

    #[test]
    fn what_is_not_measured_is_left_out() {
        let metrics = Metrics::new(json!({"metrics": [
            {"metric": "cpuUsage", "value": [-1, 2.5, 0]}, {"metric": "gpuUtil", "value": [-1, -1, -1]}, {"metric": "npuUtil"},
        ]}));
        assert_eq!(metrics.series.len(), 1);
        assert_eq!(
            (metrics.series[0].name.as_str(), &metrics.series[0].values[..]),
            ("cpuUsage", &[None, Some(2.5), Some(0.0)][..])
        );
    }
}
