//! JSON, JSON Lines and YAML, with JMESPath queries.

use serde::Serialize as _;
use serde_json::Value;
use serde_json::ser::{PrettyFormatter, Serializer};

use crate::error::{Error, Kind};
use crate::ui::Format;
use crate::ui::text::printable_json;

/// Writes the document in that format, after the query; a query that gives a text prints it bare.
///
/// # Errors
/// The query is not a JMESPath expression.
pub(super) fn render(document: Value, format: Format, query: Option<&str>) -> Result<String, Error> {
    let document = match query {
        None => document,
        Some(expression) => {
            let found = search(expression, &document)?;
            if let Value::String(text) = found {
                return Ok(format!("{text}\n"));
            }
            found
        }
    };
    Ok(match format {
        Format::Jsonl => json_lines(&document)?,
        Format::Yaml => yaml(&document)?,
        Format::Json | Format::Table | Format::Csv => json(&document)?,
    })
}

/// JSON indented by four blanks, as the original printed it.
fn json(document: &Value) -> Result<String, Error> {
    let mut buffer = Vec::new();
    document
        .serialize(&mut Serializer::with_formatter(&mut buffer, PrettyFormatter::with_indent(b"    ")))
        .map_err(unwritable)?;
    buffer.push(b'\n');
    Ok(printable_json(String::from_utf8_lossy(&buffer).into_owned()))
}

fn json_lines(document: &Value) -> Result<String, Error> {
    match document {
        Value::Array(items) => lines(items),
        other => lines([other]),
    }
}

/// JSON Lines of documents.
///
/// # Errors
/// A document cannot be written.
pub(super) fn lines<'a>(documents: impl IntoIterator<Item = &'a Value>) -> Result<String, Error> {
    let mut buffer = Vec::new();
    for document in documents {
        serde_json::to_writer(&mut buffer, document).map_err(unwritable)?;
        buffer.push(b'\n');
    }
    Ok(printable_json(String::from_utf8_lossy(&buffer).into_owned()))
}

fn unwritable(error: serde_json::Error) -> Error {
    Error::new(Kind::Internal, "the document cannot be written as JSON").caused_by(error)
}

fn yaml(document: &Value) -> Result<String, Error> {
    let mut text = serde_saphyr::to_string(document)
        .map_err(|error| Error::new(Kind::Internal, "the document cannot be written as YAML").caused_by(error))?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}

/// Checks an expression before anything is done whose result it is to cut.
///
/// # Errors
/// It is no JMESPath.
pub fn check(expression: &str) -> Result<(), Error> {
    compile(expression).map(drop)
}

fn compile(expression: &str) -> Result<jmespath::Expression<'static>, Error> {
    let compiled = jmespath::compile(expression).or_else(|error| match quoted(expression) {
        Some(quoted) => jmespath::compile(&quoted).map_err(|_| error),
        None => Err(error),
    });
    compiled.map_err(|error| wrong(expression, &error))
}

fn wrong(expression: &str, error: &jmespath::JmespathError) -> Error {
    Error::new(Kind::Usage, format!("--query [{expression}]: {}", error.reason))
        .hint(format!("the expression fails at column {}; JMESPath is described at https://jmespath.org", error.column + 1))
}

fn search(expression: &str, document: &Value) -> Result<Value, Error> {
    let found = compile(expression)?.search(document).map_err(|error| wrong(expression, &error))?;
    serde_json::to_value(&*found)
        .map_err(|error| Error::new(Kind::Internal, "the query's result is no document").caused_by(error))
}

/// The expression with its literals that are no JSON (`` `train` ``) made texts, as the library of the aws command line takes them;
/// `None` where there are none.
fn quoted(expression: &str) -> Option<String> {
    let (mut output, mut is_changed) = (String::with_capacity(expression.len() + 8), false);
    let mut rest = expression;
    while let Some(start) = rest.find(['`', '\'', '"']) {
        let mark = char::from(rest.as_bytes()[start]);
        let inner = &rest[start + 1..];
        let end = closing(inner, mark)?;
        let literal = inner[..end].replace("\\`", "`");
        if mark == '`' && serde_json::from_str::<Value>(&literal).is_err() {
            is_changed = true;
            let text = Value::from(literal.trim_start()).to_string().replace('`', "\\`");
            output.push_str(&format!("{}`{text}`", &rest[..start]));
        } else {
            output.push_str(&rest[..=start + 1 + end]);
        }
        rest = &inner[end + 1..];
    }
    output.push_str(rest);
    is_changed.then_some(output)
}

/// Where the mark stands that ends what it began; one after a backslash does not.
fn closing(text: &str, mark: char) -> Option<usize> {
    let mut is_escaped = false;
    text.char_indices().find_map(|(index, character)| {
        let ends = character == mark && !is_escaped;
        is_escaped = character == '\\' && !is_escaped;
        ends.then_some(index)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::render;
    use crate::error::Kind;
    use crate::ui::Format;

    #[test]
    fn each_format_is_one_document() {
        let document = json!([{"b": 1, "a": "on"}, {"b": 2}]);
        assert_eq!(render(document.clone(), Format::Jsonl, None).unwrap(), "{\"b\":1,\"a\":\"on\"}\n{\"b\":2}\n");
        let text = render(document.clone(), Format::Json, None).unwrap();
        assert!(text.starts_with("[\n    {\n        \"b\": 1,"), "{text}");
        let yaml = render(document, Format::Yaml, None).unwrap();
        assert!(yaml.contains("'on'") || yaml.contains("\"on\""), "{yaml}");
        assert_eq!(render(json!([]), Format::Json, None).unwrap(), "[]\n");
    }

    #[test]
    fn a_query_result_that_is_text_prints_bare() {
        let document = json!({"items": [{"id": "x"}, {"id": "y"}]});
        assert_eq!(render(document.clone(), Format::Json, Some("items[0].id")).unwrap(), "x\n");
        assert_eq!(render(document.clone(), Format::Jsonl, Some("items[].id")).unwrap(), "\"x\"\n\"y\"\n");
        assert_eq!(render(document, Format::Json, Some("items[")).unwrap_err().kind, Kind::Usage);
    }

    #[test]
    fn literals_may_be_bare_as_the_aws_command_line_has_them() {
        let document = json!([{"key": "osc", "n": 1}, {"key": "it's `x`", "n": 2}]);
        for (query, expected) in [
            ("[?contains(key,`osc`)]|[0].key", "osc\n"),
            ("[?key==`osc` && n==`1`].key|[0]", "osc\n"),
            ("[?key=='osc' && contains(key,` sc`)]|[0].key", "osc\n"),
            (r"[?contains(key,`it's \`x`)]|[0].key", "it's `x`\n"),
            (r#"[?"key"=='osc' && contains(key,`o`)]|[0].key"#, "osc\n"),
        ] {
            assert_eq!(render(document.clone(), Format::Json, Some(query)).unwrap(), expected, "{query}");
        }
        for query in ["[?key==`osc", "`osc` `osc`", "[?key=='`osc`]"] {
            assert_eq!(render(document.clone(), Format::Json, Some(query)).unwrap_err().kind, Kind::Usage, "{query}");
        }
    }
}
