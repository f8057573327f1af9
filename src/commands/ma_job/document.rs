//! A YAML document as a tree whose every node knows its line: scalars are kept as they are written, so `3.10` stays `3.10`.

use std::fmt;

use serde::Deserialize;
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};

use crate::settings::yaml;

/// A node and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    /// Line, from 1.
    pub(super) line: u64,
    /// What it is.
    pub(super) content: Content,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// Nothing: an empty value, `~` or `null`.
    Null,
    /// Text, a number or a truth value, as it is written.
    Scalar(String),
    /// A list.
    List(Vec<Node>),
    /// A mapping; keys in their order, each with its line.
    Mapping(Vec<(String, u64, Node)>),
}

impl Content {
    /// What it is, for error messages.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Null => "nothing".to_owned(),
            Self::Scalar(text) => format!("[{text}]"),
            Self::List(_) => "a list".to_owned(),
            Self::Mapping(_) => "a mapping".to_owned(),
        }
    }
}

/// Parses one document.
///
/// # Errors
/// The line (when it is known) and the reason.
pub(super) fn parse(text: &str) -> Result<Node, (Option<u64>, String)> {
    let raw: Option<Spanned<Raw>> = serde_saphyr::from_str(text).map_err(|error| yaml::problem(&error))?;
    Ok(raw.map_or(Node { line: 1, content: Content::Null }, |raw| resolve(raw, text)))
}

/// A node before scalars are looked up in the source.
enum Raw {
    Null,
    Text(String),
    /// A plain scalar that looks like a number or truth value, and what it was read as.
    Inferred(String),
    List(Vec<Spanned<Self>>),
    Mapping(Vec<(Spanned<Key>, Spanned<Self>)>),
}

/// A mapping's key; numbers and truth values are taken as written out.
struct Key(String);

fn resolve(raw: Spanned<Raw>, source: &str) -> Node {
    let content = match raw.value {
        Raw::Null => Content::Null,
        Raw::Text(text) => Content::Scalar(text),
        Raw::Inferred(text) => Content::Scalar(written(raw.defined, source).unwrap_or(text)),
        Raw::List(items) => Content::List(items.into_iter().map(|item| resolve(item, source)).collect()),
        Raw::Mapping(members) => Content::Mapping(
            members.into_iter().map(|(key, value)| (key.value.0, key.referenced.line(), resolve(value, source))).collect(),
        ),
    };
    Node { line: raw.referenced.line(), content }
}

fn written(location: Location, source: &str) -> Option<String> {
    let span = location.span();
    let start = usize::try_from(span.byte_offset()?).ok()?;
    let length = usize::try_from(span.byte_len()?).ok()?;
    let text = source.get(start..start.checked_add(length)?)?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Inferred(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Inferred(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Inferred(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Inferred(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Raw, E> {
        Ok(Raw::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = access.next_entry()? {
            members.push(member);
        }
        Ok(Raw::Mapping(members))
    }
}

#[cfg(test)]
mod tests {
    use super::{Content, parse};

    fn scalar(text: &str) -> Content {
        Content::Scalar(text.to_owned())
    }

    #[test]
    fn scalars_stay_as_written_and_lines_are_known() {
        let node = parse("a: 3.10\nb:\n  - 0010\n  - yes\n  - '1e3'\n# c\nd:\ne: {f: 1_000, g: -2.50}\n").unwrap();
        let Content::Mapping(members) = node.content else { panic!() };
        let lines: Vec<_> = members.iter().map(|(key, line, _)| (key.as_str(), *line)).collect();
        assert_eq!(lines, [("a", 1), ("b", 2), ("d", 7), ("e", 8)]);
        assert_eq!(members[0].2.content, scalar("3.10"));
        let Content::List(items) = &members[1].2.content else { panic!() };
        let items: Vec<_> = items.iter().map(|item| (item.line, item.content.clone())).collect();
        assert_eq!(items, [(3, scalar("0010")), (4, scalar("yes")), (5, scalar("1e3"))]);
        assert_eq!(members[2].2.content, Content::Null);
        let Content::Mapping(flow) = &members[3].2.content else { panic!() };
        assert_eq!((&flow[0].2.content, &flow[1].2.content), (&scalar("1_000"), &scalar("-2.50")));
    }

    #[test]
    fn an_empty_document_is_nothing_and_a_broken_one_names_its_line() {
        assert_eq!(parse("").unwrap().content, Content::Null);
        assert_eq!(parse("# only a comment\n").unwrap().content, Content::Null);
        let (line, message) = parse("a: 1\nb: [1, 2\nc: 3\n").unwrap_err();
        assert!(line.is_some_and(|line| line >= 2) && !message.is_empty(), "{line:?} {message}");
        assert_eq!(parse("a: 1\na: 2\n").unwrap_err(), (Some(2), "the key [a] stands there a second time".to_owned()));
    }
}
