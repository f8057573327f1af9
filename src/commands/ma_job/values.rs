//! Single values of a job file and of options: words, numbers, hours, names, topics.

use crate::api::modelarts::training_check::{EVENTS, HOURS};
use crate::api::modelarts::training_job::Notification;
use crate::commands::ma_job::document::{Content, Node};
use crate::commands::ma_job::lists::{self, Mistake};

/// What a notification is about when nothing is said: how a job ended.
const ENDINGS: [&str; 3] = ["JobCompleted", "JobFailed", "JobTerminated"];

/// One of these words, in its own spelling.
pub(super) fn word(words: &[&str], text: &str) -> Result<String, Mistake> {
    let known = words.iter().find(|word| word.eq_ignore_ascii_case(text));
    known.map(|word| (*word).to_owned()).ok_or_else(|| (None, format!("expected one of {}, found [{text}]", words.join(", "))))
}

/// A whole number in a range.
pub(super) fn number(text: &str, lowest: u32, highest: u32) -> Result<u32, Mistake> {
    let number = text.parse().ok().filter(|number| (lowest..=highest).contains(number));
    let range = if highest == u32::MAX { format!("from {lowest}") } else { format!("from {lowest} to {highest}") };
    number.ok_or_else(|| (None, format!("expected a whole number {range}, found [{text}]")))
}

/// Hours: `4`, `4h` or `2d`.
pub(super) fn hours(text: &str) -> Result<u32, Mistake> {
    let (digits, hours) = match text.trim() {
        text if text.ends_with(['d', 'D']) => (&text[..text.len() - 1], 24),
        text if text.ends_with(['h', 'H']) => (&text[..text.len() - 1], 1),
        text => (text, 1),
    };
    let number = digits.parse::<u32>().ok().and_then(|number| number.checked_mul(hours));
    number.filter(|hours| HOURS.contains(hours)).ok_or_else(|| {
        (None, format!("expected {} to {} hours such as 4, 4h or 2d, found [{text}]", HOURS.start(), HOURS.end()))
    })
}

/// Names: a list of texts, or one text with commas between them.
pub(super) fn names(node: &Node) -> Result<Vec<String>, Mistake> {
    let one = std::slice::from_ref(node);
    let items = if let Content::List(items) = &node.content { items } else { one };
    let mut all = Vec::new();
    for item in items {
        all.extend(split(&lists::scalar(item, "a name")?));
    }
    Ok(all)
}

/// `TOPIC` or `TOPIC:EVENT,…`. A topic has colons itself; an event never begins in lower case.
pub(super) fn notification_text(text: &str) -> Result<Notification, Mistake> {
    let text = text.trim();
    let (topic, events) = match text.rsplit_once(':') {
        Some((topic, events)) if events.starts_with("Job") && topic.contains(':') => (topic, split(events)),
        _ => (text, ENDINGS.map(str::to_owned).to_vec()),
    };
    whole(Notification { topic_urn: topic.to_owned(), events })
}

/// A text as on the command line, or a mapping of `topic` and `events`.
pub(super) fn notification(node: &Node) -> Result<Notification, Mistake> {
    let Content::Mapping(members) = &node.content else {
        return notification_text(&lists::scalar(node, "TOPIC:EVENT,… or topic and events")?)
            .map_err(|(_, message)| (Some(node.line), message));
    };
    let mut notification = Notification { topic_urn: String::new(), events: ENDINGS.map(str::to_owned).to_vec() };
    for (key, line, value) in members {
        match key.as_str() {
            "topic" | "topic_urn" | "topic-urn" => notification.topic_urn = lists::scalar(value, "a topic")?,
            "events" => notification.events = names(value)?,
            other => return Err((Some(*line), format!("expected topic and events, found [{other}]"))),
        }
    }
    whole(notification).map_err(|(_, message)| (Some(node.line), message))
}

fn whole(mut notification: Notification) -> Result<Notification, Mistake> {
    if notification.topic_urn.is_empty() {
        return Err((None, "a notification needs a topic: urn:smn:REGION:PROJECT:NAME".to_owned()));
    }
    for event in &mut notification.events {
        *event = word(&EVENTS, event)?;
    }
    Ok(notification)
}

/// Names with commas between them.
pub(super) fn split(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::{hours, notification_text, number, word};

    #[test]
    fn hours_are_read() {
        assert_eq!((hours("4").unwrap(), hours("4h").unwrap(), hours("2D").unwrap(), hours("720").unwrap()), (4, 4, 48, 720));
        for wrong in ["", "h", "0", "721", "31d", "1.5", "-1", "4294967295d"] {
            assert!(hours(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_topic_may_be_followed_by_events() {
        let read = |text: &str| notification_text(text).map(|read| (read.topic_urn, read.events.join(" ")));
        assert_eq!(read("urn:smn:r:p:t").unwrap(), ("urn:smn:r:p:t".into(), "JobCompleted JobFailed JobTerminated".into()));
        assert_eq!(read("urn:smn:r:p:t:JobFailed, jobhanged").unwrap(), ("urn:smn:r:p:t".into(), "JobFailed JobHanged".into()));
        assert!(read("urn:smn:r:p:t:JobLost").unwrap_err().1.contains("JobStarted"));
        assert!(read("").is_err());
    }

    #[test]
    fn words_and_numbers() {
        assert_eq!((word(&["regular"], "Regular").unwrap().as_str(), number("3", 1, 3).unwrap()), ("regular", 3));
        assert!(word(&["a"], "b").is_err() && number("4", 1, 3).is_err() && number("x", 0, 9).is_err());
    }
}
