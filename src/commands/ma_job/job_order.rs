//! `get-job --sort`: what the service sorts by, and what is sorted here.

use std::ffi::OsStr;

use clap::builder::{PossibleValue, StringValueParser, TypedValueParser};

use crate::api::modelarts::training_search::ORDERS;
use crate::error::{Error, Kind};

/// Offers what the service sorts by, and takes any columns.
#[derive(Clone, Debug)]
pub(super) struct SortParser;

impl TypedValueParser for SortParser {
    type Value = String;

    fn parse_ref(&self, command: &clap::Command, argument: Option<&clap::Arg>, value: &OsStr) -> Result<String, clap::Error> {
        StringValueParser::new().parse_ref(command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(ORDERS.into_iter().map(PossibleValue::new)))
    }
}

/// What the service is asked to sort by, over all pages: a single field that it knows, with or without the `-` of what is largest
/// first anyway. `None` where the jobs that come are sorted here.
///
/// # Errors
/// `--ascending` speaks of an order that is not the service's.
pub(super) fn served(sort: Option<&str>, is_ascending: bool) -> Result<Option<String>, Error> {
    let Some(sort) = sort else { return Ok(None) };
    let field = sort.strip_prefix('-').filter(|_| !is_ascending).unwrap_or(sort);
    let order = ORDERS.iter().find(|order| order.eq_ignore_ascii_case(field));
    if order.is_none() && is_ascending {
        return Err(Error::new(Kind::Usage, format!("--ascending goes with --sort {}", ORDERS.join("|")))
            .hint(format!("[{sort}] is sorted as it says: smallest first, and largest first after -")));
    }
    Ok(order.map(|order| (*order).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::served;

    #[test]
    fn the_service_sorts_by_one_of_its_fields() {
        let served = |sort| served(Some(sort), false).unwrap();
        assert_eq!(served("Duration").as_deref(), Some("duration"));
        assert_eq!(served("-create_time").as_deref(), Some("create_time"));
        assert_eq!((served("status"), served("status,-create_time"), served("create_time:asc")), (None, None, None));
        assert_eq!(super::served(None, true).unwrap(), None);
        assert_eq!(super::served(Some("name"), true).unwrap().as_deref(), Some("name"));
        assert!(super::served(Some("status"), true).is_err() && super::served(Some("-name"), true).is_err());
    }
}
