//! What is wrong with YAML, in words for whoever wrote it.

use serde_saphyr::{DeveloperMessageFormatter, Error, MessageFormatter as _};

/// Line, from 1, when it is known, and the reason in one line: no excerpt, which could show a secret.
pub fn problem(error: &Error) -> (Option<u64>, String) {
    let line = error.location().map(|location| location.line());
    let reason = match error.without_snippet() {
        Error::DuplicateMappingKey { key: Some(key), .. } => format!("the key [{key}] stands there a second time"),
        Error::DuplicateMappingKey { key: None, .. } => "a key stands there a second time".to_owned(),
        other => DeveloperMessageFormatter::default().format_message(other).into_owned(),
    };
    (line, reason.lines().next().unwrap_or_default().to_owned())
}

/// Both in one sentence.
pub fn sentence(error: &Error) -> String {
    match problem(error) {
        (Some(line), reason) => format!("line {line}: {reason}"),
        (None, reason) => reason,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::sentence;

    #[test]
    fn what_is_wrong_is_said_without_the_insides_of_the_parser() {
        let told = |text: &str| sentence(&serde_saphyr::from_str::<Value>(text).unwrap_err());
        assert_eq!(told("name: a\nname: b\n"), "line 2: the key [name] stands there a second time");
        assert_eq!(told("name: [\n"), "line 1: unclosed bracket '['");
    }
}
