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
        let inside = reference.find('}').map(|end| &reference[2..end]);
        let (name, default) = inside.map_or(("", None), |inside| match inside.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inside, None),
        });
        if !is_name(name) {
            filled.push_str("${");
            rest = &reference[2..];
            continue;
        }
        match lookup(name).or_else(|| default.map(str::to_owned)) {
            Some(value) => filled.push_str(&value),
            None => unset.push(name.to_owned()),
        }
        rest = &reference[inside.map_or(0, str::len) + 3..];
    }
    filled.push_str(rest);
    if unset.is_empty() { Ok(filled) } else { Err(unset) }
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
        ] {
            assert_eq!(fill(text, &lookup).unwrap(), expected, "{text}");
            assert_eq!(fill(&protect(text), &lookup).unwrap(), text, "{text}");
        }
        assert_eq!(fill("${C}${A}${D}", &lookup).unwrap_err(), ["C", "D"]);
    }
}
