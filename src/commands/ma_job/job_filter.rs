//! Options that choose among training jobs.

use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser};

use crate::api::modelarts::training_search::SearchRequest;
use crate::commands::ma_job::moment;
use crate::error::{Error, Kind};

/// Phases that can be asked for.
pub(super) const PHASES: [&str; 8] =
    ["Creating", "Pending", "Running", "Completed", "Failed", "Terminating", "Terminated", "Abnormal"];

/// Options that choose among jobs; all that are given must hold.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct JobFilter {
    /// Only jobs in this state; repeat it, or separate by commas, for several
    #[arg(long, value_name = "STATE", value_delimiter = ',', ignore_case = true, value_parser = PossibleValuesParser::new(PHASES))]
    state: Vec<String>,
    /// Only jobs of this user
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    user: Option<String>,
    /// Only jobs created since: a duration (90m, 7d) or a time (2024-05-01T10:00:00Z)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only jobs created until then
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Only jobs in this dedicated pool
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    pool: Option<String>,
    /// Only jobs with this tag, and this value of it if one is given
    #[arg(long, value_name = "KEY[=VALUE]", value_parser = tag)]
    tag: Vec<String>,
}

impl JobFilter {
    /// Whether nothing is asked for.
    pub(super) fn is_empty(&self) -> bool {
        let Self { state, user, since, until, pool, tag } = self;
        state.is_empty() && tag.is_empty() && [user, since, until, pool].iter().all(|option| option.is_none())
    }

    /// The search for these jobs.
    ///
    /// # Errors
    /// A time that is none.
    pub(super) fn request(&self, name: Option<&String>) -> Result<SearchRequest, Error> {
        let state =
            |word: &String| PHASES.iter().find(|phase| phase.eq_ignore_ascii_case(word)).map(|phase| (*phase).to_owned());
        let tag = |text: &String| match text.split_once('=') {
            Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
            None => (text.clone(), None),
        };
        Ok(SearchRequest {
            name: name.cloned(),
            phases: self.state.iter().filter_map(state).collect(),
            user: self.user.clone(),
            pool: self.pool.clone(),
            since: time("--since", self.since.as_ref())?,
            until: time("--until", self.until.as_ref())?,
            tags: self.tag.iter().map(tag).collect(),
            ..SearchRequest::default()
        })
    }
}

/// A tag must have a key: without one it would choose every job.
fn tag(text: &str) -> Result<String, String> {
    if text.split('=').next().is_none_or(str::is_empty) { Err("it has no key".to_owned()) } else { Ok(text.to_owned()) }
}

/// Milliseconds since 1970.
fn time(option: &str, text: Option<&String>) -> Result<Option<i64>, Error> {
    let moment = text.map(|text| moment::since(text)).transpose();
    let moment = moment.map_err(|message| Error::new(Kind::Usage, format!("option {option}: {message}")))?;
    Ok(moment.and_then(|moment| i64::try_from(moment.unix_timestamp_nanos() / 1_000_000).ok()))
}

#[cfg(test)]
mod tests {
    use super::JobFilter;

    #[test]
    fn options_become_a_search() {
        assert!(JobFilter::default().is_empty());
        let filter = JobFilter {
            state: vec!["failed".to_owned()],
            since: Some("2024-05-01T00:00:00Z".to_owned()),
            tag: vec!["team=a=b".to_owned(), "mine".to_owned()],
            ..JobFilter::default()
        };
        let request = filter.request(None).unwrap();
        assert_eq!((request.phases[0].as_str(), request.since), ("Failed", Some(1_714_521_600_000)));
        assert_eq!(request.tags, [("team".to_owned(), Some("a=b".to_owned())), ("mine".to_owned(), None)]);
        let day = JobFilter { until: Some("2024-05-01".to_owned()), since: Some("30d".to_owned()), ..JobFilter::default() };
        assert_eq!(day.request(None).unwrap().until, Some(1_714_521_600_000));
        assert!(day.request(None).unwrap().since > Some(1_714_521_600_000));
        let wrong = JobFilter { until: Some("soon".to_owned()), ..JobFilter::default() };
        assert!(!wrong.is_empty() && wrong.request(None).unwrap_err().message.contains("--until"));
    }
}
