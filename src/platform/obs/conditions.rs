//! Conditional requests.

use s3s::S3ErrorCode;
use s3s::dto::{ETagCondition, Timestamp};
use time::OffsetDateTime;

use super::error::Failure;
use super::index::{Object, Summary};

/// Conditions on a write, checked in the same critical section as the write.
#[derive(Debug, Clone, Default)]
pub(super) struct WriteConditions {
    pub(super) if_match: Option<ETagCondition>,
    pub(super) if_none_match: Option<ETagCondition>,
}

impl WriteConditions {
    /// # Errors
    /// `PreconditionFailed`, or `NoSuchKey` where an object must exist and does not.
    pub(super) fn check(&self, existing: Option<&Object>) -> Result<(), Failure> {
        if let Some(condition) = &self.if_match {
            let Some(object) = existing else { return Err(S3ErrorCode::NoSuchKey.into()) };
            if !matches(condition, &object.summary) {
                return Err(failed());
            }
        }
        if let (Some(condition), Some(object)) = (&self.if_none_match, existing)
            && matches(condition, &object.summary)
        {
            return Err(failed());
        }
        Ok(())
    }
}

/// Conditions on a read, or on the source of a copy.
#[derive(Debug, Clone, Default)]
pub(super) struct ReadConditions {
    pub(super) if_match: Option<ETagCondition>,
    pub(super) if_none_match: Option<ETagCondition>,
    pub(super) if_modified_since: Option<Timestamp>,
    pub(super) if_unmodified_since: Option<Timestamp>,
}

impl ReadConditions {
    /// In the order of RFC 9110, 13.2.2.
    ///
    /// # Errors
    /// `PreconditionFailed` or `NotModified`.
    pub(super) fn check(&self, object: &Summary) -> Result<(), Failure> {
        let modified = object.modified.div_euclid(1000);
        match (&self.if_match, &self.if_unmodified_since) {
            (Some(condition), _) if !matches(condition, object) => return Err(failed()),
            (None, Some(since)) if modified > seconds(since) => return Err(failed()),
            _ => {}
        }
        match (&self.if_none_match, &self.if_modified_since) {
            (Some(condition), _) if matches(condition, object) => Err(S3ErrorCode::NotModified.into()),
            (None, Some(since)) if modified <= seconds(since) => Err(S3ErrorCode::NotModified.into()),
            _ => Ok(()),
        }
    }

    /// The same for a copy's source, where nothing can be answered with 304.
    ///
    /// # Errors
    /// `PreconditionFailed`.
    pub(super) fn check_source(&self, object: &Summary) -> Result<(), Failure> {
        self.check(object).map_err(|_| failed())
    }
}

fn matches(condition: &ETagCondition, object: &Summary) -> bool {
    condition.as_etag().is_none_or(|etag| etag.value() == object.etag)
}

fn seconds(time: &Timestamp) -> i64 {
    OffsetDateTime::from(time.clone()).unix_timestamp()
}

fn failed() -> Failure {
    Failure::answer(S3ErrorCode::PreconditionFailed, "At least one of the pre-conditions you specified did not hold.")
}

#[cfg(test)]
mod tests {
    use s3s::dto::{ETag, ETagCondition, Timestamp};
    use time::OffsetDateTime;

    use super::{ReadConditions, WriteConditions};
    use crate::platform::obs::index::{Object, Summary};

    fn object() -> Object {
        Object { summary: Summary { etag: "abc".into(), modified: 5_900, ..Summary::default() }, ..Object::default() }
    }

    fn etag(value: &str) -> Option<ETagCondition> {
        Some(ETagCondition::ETag(ETag::Strong(value.into())))
    }

    fn at(second: i64) -> Option<Timestamp> {
        OffsetDateTime::from_unix_timestamp(second).ok().map(Timestamp::from)
    }

    #[test]
    fn writes() {
        let any = Some(ETagCondition::Any);
        let cases = [
            (any.clone(), None, true, true),
            (any.clone(), None, false, false),
            (etag("abc"), None, true, true),
            (etag("x"), None, true, false),
            (None, any.clone(), true, false),
            (None, any, false, true),
            (None, etag("abc"), true, false),
            (None, etag("x"), true, true),
        ];
        for (if_match, if_none_match, exists, allowed) in cases {
            let conditions = WriteConditions { if_match, if_none_match };
            let existing = exists.then(object);
            assert_eq!(conditions.check(existing.as_ref()).is_ok(), allowed, "{conditions:?} {exists}");
        }
    }

    #[test]
    fn reads() {
        let answer = |conditions: ReadConditions| match conditions.check(&object().summary) {
            Ok(()) => 200,
            Err(super::Failure::Answer(answer)) => answer.status_code().map_or(0, |status| status.as_u16()),
            Err(_) => 500,
        };
        let none = ReadConditions::default;
        assert_eq!(answer(none()), 200);
        assert_eq!(answer(ReadConditions { if_match: etag("x"), ..none() }), 412);
        assert_eq!(answer(ReadConditions { if_match: etag("abc"), if_unmodified_since: at(1), ..none() }), 200);
        assert_eq!(answer(ReadConditions { if_unmodified_since: at(4), ..none() }), 412);
        assert_eq!(answer(ReadConditions { if_unmodified_since: at(5), ..none() }), 200);
        assert_eq!(answer(ReadConditions { if_none_match: etag("abc"), ..none() }), 304);
        assert_eq!(answer(ReadConditions { if_none_match: etag("x"), if_modified_since: at(9), ..none() }), 200);
        assert_eq!(answer(ReadConditions { if_modified_since: at(5), ..none() }), 304);
        assert_eq!(answer(ReadConditions { if_modified_since: at(4), ..none() }), 200);
    }
}
