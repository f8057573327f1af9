//! Whether a job whose tasks have failed is started again, and what its document says of that.
//!
//! A job that asks for `N` restarts gets at most `N` in all. A fault of the surroundings (a program that was killed from outside,
//! a supervisor that vanished) is always a reason for one; a failure of the program itself only when the job wants that, and a
//! suspected hang likewise, each of the two at most three times in a row.

use serde_json::{Value, json};

use crate::platform::modelarts::error::ApiError;

/// Most restarts in a row for the program's own failures, and for hangs.
const MOST_IN_A_ROW: u64 = 3;

/// The largest number of restarts that can be asked for.
const MOST: u64 = 128;

const RETRIES: &str = "fault-tolerance/job-retry-num";
const UNCONDITIONAL: &str = "fault-tolerance/job-unconditional-retry";
const ON_HANG: &str = "fault-tolerance/hang-retry";

/// What ended a job's tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The machine, or somebody on it.
    Surroundings,
    /// The user's program.
    Program,
    /// Nothing: the program seems to wait for ever.
    Hang,
}

/// What a job wants to happen when it fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    retries: u64,
    unconditional: bool,
    on_hang: bool,
}

impl Policy {
    /// The wishes in a job's annotations.
    ///
    /// # Errors
    /// A value that the API does not have, or a wish that needs a number of restarts and has none.
    pub(crate) fn of(job: &Value) -> Result<Self, ApiError> {
        let given = |name: &str| job["metadata"]["annotations"][name].as_str().filter(|text| !text.is_empty());
        let retries = match given(RETRIES).map(str::parse::<u64>) {
            None => 0,
            Some(Ok(number)) if (1..=MOST).contains(&number) => number,
            Some(_) => return Err(wrong(RETRIES, "it is a number from 1 to 128")),
        };
        let flag = |name: &str| match given(name) {
            None | Some("false") => Ok(false),
            Some("true") if retries > 0 => Ok(true),
            Some("true") => Err(wrong(name, &format!("it needs {RETRIES}"))),
            Some(_) => Err(wrong(name, "it is true or false")),
        };
        Ok(Self { retries, unconditional: flag(UNCONDITIONAL)?, on_hang: flag(ON_HANG)? })
    }

    /// Whether the job looks out for hangs in order to be started again.
    pub(crate) fn is_on_hang(self) -> bool {
        self.on_hang
    }

    /// Whether a job with this document is started again after this fault.
    pub(crate) fn allows(self, fault: Fault, job: &Value) -> bool {
        let in_a_row = |wanted: bool| wanted && in_a_row(job, fault) < MOST_IN_A_ROW;
        restarts(job) < self.retries
            && match fault {
                Fault::Surroundings => true,
                Fault::Program => in_a_row(self.unconditional),
                Fault::Hang => in_a_row(self.on_hang),
            }
    }
}

impl Fault {
    fn name(self) -> &'static str {
        match self {
            Self::Surroundings => "surroundings",
            Self::Program => "program",
            Self::Hang => "hang",
        }
    }

    /// What is done about it, as `end_recover` of a running record names it: a job that hung, or whose outputs are not stored, gets
    /// new processes in the same folders, every other one begins from empty folders.
    pub(crate) fn recovery(self, has_lost: bool) -> &'static str {
        match self {
            Self::Surroundings | Self::Program if !has_lost => "job_reschedule",
            _ => "proc_restart",
        }
    }
}

/// How often the job has been started again.
pub(crate) fn restarts(job: &Value) -> u64 {
    job[HIDDEN]["restarts"].as_u64().unwrap_or(0)
}

/// Whether the next start takes over the folders of the one before.
pub(crate) fn keeps_folders(job: &Value) -> bool {
    restarts(job) > 0 && (job[HIDDEN]["fault"] == Fault::Hang.name() || has_lost(job))
}

/// Remembers whether outputs are in the tasks' folders only, because they could not be stored.
pub(crate) fn remember_lost(job: &mut Value, has_lost: bool) {
    if has_lost || !job[HIDDEN]["lost"].is_null() {
        job[HIDDEN]["lost"] = json!(has_lost);
    }
}

/// Whether the tasks' folders hold outputs that are nowhere else.
pub(crate) fn has_lost(job: &Value) -> bool {
    job[HIDDEN]["lost"] == true
}

/// Writes a restart into the document.
pub(crate) fn count(job: &mut Value, fault: Fault) {
    let (restarts, row) = (restarts(job) + 1, in_a_row(job, fault) + 1);
    job[HIDDEN]["restarts"] = json!(restarts);
    job[HIDDEN]["in_a_row"] = json!(row);
    job[HIDDEN]["fault"] = json!(fault.name());
}

/// Key of what the platform keeps in a job's document for itself; never shown.
pub(crate) const HIDDEN: &str = "platform";

fn in_a_row(job: &Value, fault: Fault) -> u64 {
    if job[HIDDEN]["fault"] == fault.name() { job[HIDDEN]["in_a_row"].as_u64().unwrap_or(0) } else { 0 }
}

fn wrong(name: &str, reason: &str) -> ApiError {
    ApiError::parameter(&format!("metadata.annotations[{name}]"), reason)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Fault, Policy, count, has_lost, keeps_folders, remember_lost, restarts};

    fn job(annotations: Value) -> Value {
        json!({"metadata": {"annotations": annotations}})
    }

    #[test]
    fn restarts_are_counted_in_all_and_in_a_row() {
        let mut wanted = job(json!({
            "fault-tolerance/job-retry-num": "5",
            "fault-tolerance/job-unconditional-retry": "true",
        }));
        let policy = Policy::of(&wanted).unwrap();
        assert!(!policy.is_on_hang() && !policy.allows(Fault::Hang, &wanted));
        for _ in 0..3 {
            assert!(policy.allows(Fault::Program, &wanted));
            count(&mut wanted, Fault::Program);
        }
        assert!(!policy.allows(Fault::Program, &wanted));
        assert!(policy.allows(Fault::Surroundings, &wanted));
        count(&mut wanted, Fault::Surroundings);
        assert!(policy.allows(Fault::Program, &wanted), "the row was broken");
        count(&mut wanted, Fault::Program);
        assert_eq!(restarts(&wanted), 5);
        assert!(!policy.allows(Fault::Surroundings, &wanted), "five were asked for");
        assert!(!keeps_folders(&wanted));
        // The only copy of a checkpoint is in them.
        remember_lost(&mut wanted, true);
        assert!(keeps_folders(&wanted) && has_lost(&wanted));
        assert_eq!((Fault::Program.recovery(true), Fault::Program.recovery(false)), ("proc_restart", "job_reschedule"));
        remember_lost(&mut wanted, false);
        assert!(!keeps_folders(&wanted));
    }

    #[test]
    fn wishes_are_checked() {
        let of = |annotations| Policy::of(&job(annotations)).map_err(|error| error.message);
        assert_eq!(of(json!({})).unwrap(), Policy { retries: 0, unconditional: false, on_hang: false });
        for number in ["0", "129", "many", "-1"] {
            assert!(of(json!({"fault-tolerance/job-retry-num": number})).unwrap_err().contains("1 to 128"), "{number}");
        }
        assert!(of(json!({"fault-tolerance/hang-retry": "true"})).unwrap_err().contains("job-retry-num"));
        assert!(of(json!({"fault-tolerance/job-unconditional-retry": "yes"})).unwrap_err().contains("true or false"));
        let only_faults = of(json!({"fault-tolerance/job-retry-num": "1"})).unwrap();
        assert!(only_faults.allows(Fault::Surroundings, &json!({})) && !only_faults.allows(Fault::Program, &json!({})));
    }
}
