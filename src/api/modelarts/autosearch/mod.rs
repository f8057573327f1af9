//! Jobs that search for hyperparameters: what a search is asked for with, and views on its trials.

mod policy;

use futures_util::stream::Stream;
use http::Method;
use serde_json::Value;

use crate::api::page::{Page, by_page};
use crate::api::{Api, Error, Request};

pub use policy::policy;

const JOB: &str = "/v2/{project_id}/training-jobs/{training_job_id}";
/// Most trials in one page.
const TRIALS_A_PAGE: usize = 50;

/// A view on a trial: a row of the service's table with the names of its columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    /// Names of columns and cells, in the service's order.
    pub cells: Vec<(String, String)>,
}

impl Trial {
    /// The cell of a column; empty when there is none.
    pub fn cell(&self, column: &str) -> &str {
        self.cells.iter().find(|(name, _)| name == column).map_or("", |(_, cell)| cell)
    }

    /// Id within the job.
    pub fn id(&self) -> &str {
        self.cell("trial_id")
    }

    /// Status, such as `RUNNING`.
    pub fn status(&self) -> &str {
        self.cell("status")
    }

    /// Name of the figure that is optimised.
    pub fn indicator(&self) -> &str {
        self.cell("reward_attr")
    }

    /// The last value of that figure; `None` while there is none, or when it does not count.
    pub fn figure(&self) -> Option<f64> {
        let counts = !self.status().eq_ignore_ascii_case("ERROR");
        self.cell(self.indicator()).parse().ok().filter(|value: &f64| counts && value.is_finite())
    }

    /// The values that were tried, as `name=value name=value`.
    pub fn values(&self) -> String {
        let config = self.cell("config");
        match serde_json::from_str(config) {
            Ok(Value::Object(members)) => {
                let word = |(name, value): (&String, &Value)| match value {
                    Value::String(text) => format!("{name}={text}"),
                    other => format!("{name}={other}"),
                };
                members.iter().map(word).collect::<Vec<_>>().join(" ")
            }
            _ => config.to_owned(),
        }
    }

    /// The rows of a table `{header, data}`.
    fn read_all(table: &Value) -> Vec<Self> {
        let texts = |list: &Value| -> Vec<String> {
            let list = list.as_array().into_iter().flatten();
            list.map(|cell| cell.as_str().map_or_else(|| cell.to_string(), str::to_owned)).collect()
        };
        let header = texts(&table["header"]);
        let rows = table["data"].as_array().into_iter().flatten();
        rows.map(|row| Self { cells: header.iter().cloned().zip(texts(row)).collect() }).collect()
    }
}

/// The trial whose figure is best; `minimise` when less is better.
pub fn best(trials: &[Trial], minimise: bool) -> Option<&Trial> {
    let sign = if minimise { -1.0 } else { 1.0 };
    let figures = trials.iter().filter_map(|trial| Some((trial, trial.figure()? * sign)));
    // Of equal ones the first: it was found first.
    figures
        .fold(None, |best: Option<(&Trial, f64)>, (trial, value)| match best {
            Some((_, known)) if known >= value => best,
            _ => Some((trial, value)),
        })
        .map(|(trial, _)| trial)
}

/// All trials of a job, in the service's order.
pub fn trials(api: &Api, id: &str) -> impl Stream<Item = Result<Trial, Error>> {
    by_page(TRIALS_A_PAGE, move |offset| async move {
        let request = Request::new(Method::GET, &format!("{JOB}/autosearch-trials"), &[id])
            .parameter("offset", offset)
            .parameter("limit", TRIALS_A_PAGE);
        let document = api.send(request).await?.document;
        Ok(Page { items: Trial::read_all(&document["items"]), total: document["total"].as_u64() })
    })
}

/// One trial of a job.
///
/// # Errors
/// As [`Api::send`]; the service answers without the trial.
pub async fn trial(api: &Api, id: &str, trial: &str) -> Result<Trial, Error> {
    let request = Request::new(Method::GET, &format!("{JOB}/autosearch-trials/{{trial_id}}"), &[id, trial]);
    let document = api.send(request).await?.document;
    let found = Trial::read_all(&document).into_iter().next();
    found.ok_or_else(|| Error::Invalid(format!("the service has no figures of the trial [{trial}] yet")))
}

/// Ends a trial early; what it has printed counts.
///
/// # Errors
/// As [`Api::send`].
pub async fn stop(api: &Api, id: &str, trial: &str) -> Result<(), Error> {
    let request = Request::new(Method::POST, &format!("{JOB}/autosearch-trial-earlystop/{{trial_id}}"), &[id, trial]);
    api.send(request).await.map(drop)
}

/// How much each hyperparameter matters: names, and what the service says of them.
///
/// # Errors
/// As [`Api::send`].
pub async fn importance(api: &Api, id: &str) -> Result<Vec<(String, String)>, Error> {
    let request = Request::new(Method::GET, &format!("{JOB}/autosearch-parameter-analysis"), &[id]);
    let document = api.send(request).await?.document;
    let rows = Trial::read_all(&document).into_iter();
    Ok(rows
        .filter_map(|row| {
            let mut cells = row.cells.into_iter().map(|(_, cell)| cell);
            Some((cells.next()?, cells.next()?))
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Trial, best};

    #[test]
    fn rows_become_trials_and_the_best_is_found() {
        let table = json!({
            "header": ["config", "trial_id", "reward_attr", "status", "loss"],
            "data": [["{\"lr\": \"0.1\", \"n\": 2}", "a", "loss", "TERMINATED", "0.5"], ["", "b", "loss", "TERMINATED", "0.25"],
                ["", "c", "loss", "ERROR", "0.1"], ["", "d", "loss", "RUNNING", ""]],
        });
        let trials = Trial::read_all(&table);
        assert_eq!((trials[0].values().as_str(), trials[0].figure()), ("lr=0.1 n=2", Some(0.5)));
        assert_eq!(best(&trials, true).map(Trial::id), Some("b"));
        assert_eq!(best(&trials, false).map(Trial::id), Some("a"));
        assert_eq!(best(&trials[2..], false), None);
    }
}
