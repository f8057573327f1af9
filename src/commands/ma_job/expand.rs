//! `${NAME}` and `${NAME:-default}` in the values of a job file.

use crate::commands::ma_job::document::{Content, Node};

/// The value of an environment variable; what is set but empty counts as not set.
pub(super) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Fills variables in, in every text of the node. Gives those that are not set and have no default, with their lines.
pub(super) fn expand(node: &mut Node, lookup: Lookup<'_>) -> Vec<(u64, String)> {
    match &mut node.content {
        Content::Null => Vec::new(),
        Content::Scalar(text) => match fill(text, lookup) {
            Ok(filled) => {
                *text = filled;
                Vec::new()
            }
            Err(unset) => unset.into_iter().map(|name| (node.line, name)).collect(),
        },
        Content::List(items) => items.iter_mut().flat_map(|item| expand(item, lookup)).collect(),
        Content::Mapping(members) => members.iter_mut().flat_map(|(_, _, value)| expand(value, lookup)).collect(),
    }
}

/// Keeps a text from being filled in when it is read again.
pub(super) fn protect(text: &str) -> String {
    text.replace("${", "$${")
}

/// Fills one text in. `$${` stands for `${`; what is no name between the braces stays as it is.
fn fill(text: &str, lookup: Lookup<'_>) -> Result<String, Vec<String>> {
    let (mut filled, mut unset) = (String::new(), Vec::new());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, reference) = rest.split_at(start);
        if let Some(before) = before.strip_suffix('$') {
            filled.push_str(before);
            filled.push_str("${");
            rest = &reference[2..];
            continue;
        }
        filled.push_str(before);
        let inside = closing(reference).map(|end| &reference[2..end]);
        let (name, default) = inside.map_or(("", None), |inside| match inside.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inside, None),
        });
        if !is_name(name) {
            filled.push_str("${");
            rest = &reference[2..];
            continue;
        }
        match (lookup(name), default) {
            (Some(value), _) => filled.push_str(&value),
            // A default may have references of its own.
            (None, Some(default)) => match fill(default, lookup) {
                Ok(default) => filled.push_str(&default),
                Err(more) => unset.extend(more),
            },
            (None, None) => unset.push(name.to_owned()),
        }
        rest = &reference[inside.map_or(0, str::len) + 3..];
    }
    filled.push_str(rest);
    if unset.is_empty() { Ok(filled) } else { Err(unset) }
}

/// Where the brace that a reference begins with is closed; those of references inside it are not its own.
fn closing(reference: &str) -> Option<usize> {
    let mut depth = 0;
    let bytes = reference.as_bytes();
    for (index, byte) in bytes.iter().enumerate() {
        match byte {
            b'{' if index > 0 && bytes[index - 1] == b'$' => depth += 1,
            b'}' if depth == 1 => return Some(index),
            b'}' => depth -= 1,
            _ => {}
        }
    }
    None
}

fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.chars().all(|character| character.is_ascii_alphanumeric() || character == '_')
}

#[cfg(test)]
mod tests {
    use super::{fill, protect};

    #[test]
    fn texts_are_filled_in() {
        let lookup = |name: &str| match name {
            "A" => Some("1".to_owned()),
            "B" => Some("x ${A}".to_owned()),
            _ => None,
        };
        for (text, expected) in [
            ("${A}", "1"),
            ("a${A}b${A}", "a1b1"),
            ("${B}", "x ${A}"),
            ("${C:-d}/${C:-}", "d/"),
            ("${A:-d}", "1"),
            ("$A $$ ${", "$A $$ ${"),
            ("${1} ${a b}", "${1} ${a b}"),
            ("$${A} $${C}", "${A} ${C}"),
            ("${C:-${A}}/x", "1/x"),
            ("${C:-a${D:-b}c}}", "abc}"),
            ("${C:-{}", "{"),
            ("${A} ${", "1 ${"),
        ] {
            assert_eq!(fill(text, &lookup).unwrap(), expected, "{text}");
            assert_eq!(fill(&protect(text), &lookup).unwrap(), text, "{text}");
        }
        assert_eq!(fill("${C}${A}${D}", &lookup).unwrap_err(), ["C", "D"]);
        assert_eq!(fill("${C:-${D}}", &lookup).unwrap_err(), ["D"]);
    }
}
