//! Suspected hangs: a task whose processes have neither read nor written anything nor used the processor for a long time.
//!
//! The cloud looks at I/O first and then at the use of its cards; here it is I/O and the processor. Jobs of this machine's
//! processor are watched only when they ask for it.

use serde_json::Value;

use crate::platform::modelarts::restart::Policy;
use crate::platform::runner::usage::Sample;

/// Minutes without a sign of life, where the job does not say.
const DEFAULT: u64 = 30;

/// The environment variable by which a job says how many minutes; 10 to 720.
const VARIABLE: &str = "MA_HANG_DETECT_TIME";

/// Percent of one sample that an idle program may use: interpreters wake up now and then.
const IDLE: f64 = 1.0;

/// After how many minutes without a sign of life the job is to be suspected; `None` when it does not want to be watched.
pub(crate) fn minutes(job: &Value, policy: Policy) -> Option<u64> {
    let variables = job["algorithm"]["environments"].as_array().into_iter().flatten();
    let set = variables.filter_map(|variables| variables[VARIABLE].as_str()).next_back();
    let set = set.map(|text| text.trim().parse().map_or(DEFAULT, |minutes: u64| minutes.clamp(10, 720)));
    set.or_else(|| policy.is_on_hang().then_some(DEFAULT))
}

/// Whether the samples of a task, oldest first, show no sign of life during the last `limit` milliseconds before the newest.
pub(crate) fn is_suspected(samples: &[Sample], limit: i64) -> bool {
    let Some(newest) = samples.last() else { return false };
    let idle = samples.iter().rev().take_while(|sample| sample.io == newest.io && sample.cpu < IDLE);
    // The oldest of them still moved, or is the first one: the silence begins with it.
    idle.last().is_some_and(|oldest| newest.at - oldest.at >= limit)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Policy, Sample, is_suspected, minutes};

    fn samples(values: &[(i64, f64, u64)]) -> Vec<Sample> {
        values.iter().map(|&(at, cpu, io)| Sample { at, cpu, memory: 1.0, io, disk: (0.0, 0.0), network: (0.0, 0.0) }).collect()
    }

    #[test]
    fn silence_is_suspected_only_when_it_lasts() {
        assert!(!is_suspected(&[], 10));
        assert!(!is_suspected(&samples(&[(0, 0.0, 5), (9, 0.0, 5)]), 10));
        assert!(is_suspected(&samples(&[(0, 0.0, 5), (10, 0.2, 5)]), 10));
        assert!(!is_suspected(&samples(&[(0, 0.0, 4), (5, 0.0, 5), (12, 0.0, 5)]), 10), "it has written at 5");
        assert!(!is_suspected(&samples(&[(0, 0.0, 5), (5, 80.0, 5), (12, 0.0, 5)]), 10), "it has computed at 5");
        assert!(is_suspected(&samples(&[(0, 90.0, 1), (5, 0.0, 5), (15, 0.0, 5)]), 10));
    }

    #[test]
    fn jobs_are_watched_when_they_ask_for_it() {
        let quiet = json!({});
        let policy = Policy::of(&quiet).unwrap();
        assert_eq!(minutes(&quiet, policy), None);
        let set = |value: &str| json!({"algorithm": {"environments": [{"MA_HANG_DETECT_TIME": value}]}});
        assert_eq!(minutes(&set("15"), policy), Some(15));
        assert_eq!(minutes(&set("1"), policy), Some(10));
        assert_eq!(minutes(&set("soon"), policy), Some(30));
        let wanted = json!({"metadata": {"annotations":
            {"fault-tolerance/job-retry-num": "1", "fault-tolerance/hang-retry": "true"}}});
        assert_eq!(minutes(&wanted, Policy::of(&wanted).unwrap()), Some(30));
    }
}
