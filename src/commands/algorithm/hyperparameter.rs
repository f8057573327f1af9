//! Definitions of hyperparameters as the command line writes them: `lr=0.01;type=Float;range=0.001:0.1;required`.

use serde_json::{Value, json};

use crate::api::modelarts::algorithm::ValueKind;

/// Reads one definition into the API's form.
///
/// # Errors
/// What is wrong with it, for the user.
pub(super) fn read(text: &str) -> Result<Value, String> {
    let mut parts = text.split(';').map(str::trim);
    let first = parts.next().unwrap_or_default();
    let (name, default) = first.split_once('=').map_or((first, ""), |(name, default)| (name.trim(), default.trim()));
    if name.is_empty() {
        return Err(format!("[{text}] has no name; write NAME=DEFAULT;type=Float"));
    }
    let (mut kind, mut description) = (None, String::new());
    let (mut valid_type, mut valid_range) = ("None", Vec::new());
    let (mut required, mut editable, mut sensitive) = (false, true, false);
    for part in parts.filter(|part| !part.is_empty()) {
        match part.split_once('=').map_or((part, None), |(key, value)| (key.trim(), Some(value.trim()))) {
            ("type", Some(value)) => {
                let names = ValueKind::ALL.map(|kind| kind.to_string()).join(", ");
                kind = Some(ValueKind::read(value).ok_or_else(|| format!("[{name}]: type is one of {names}, not [{value}]"))?);
            }
            ("range", Some(value)) => {
                let (low, high) =
                    value.split_once(':').ok_or_else(|| format!("[{name}]: a range is LOW:HIGH, not [{value}]"))?;
                (valid_type, valid_range) = ("range", vec![low.trim().to_owned(), high.trim().to_owned()]);
            }
            ("choices", Some(value)) => {
                (valid_type, valid_range) = ("choice", value.split('|').map(|choice| choice.trim().to_owned()).collect());
            }
            ("description", Some(value)) => value.clone_into(&mut description),
            ("required", None) => required = true,
            ("fixed", None) => editable = false,
            ("sensitive", None) => sensitive = true,
            _ => {
                let known = "type=, range=, choices=, description=, required, fixed and sensitive";
                return Err(format!("[{name}]: [{part}] is none of {known}"));
            }
        }
    }
    let kind = kind.unwrap_or_else(|| guess(default));
    if let Some(value) = valid_range.iter().find(|value| !kind.holds(value)) {
        return Err(format!("[{name}]: [{value}] is no {kind}"));
    }
    Ok(json!({
        "name": name,
        "value": default,
        "description": description,
        "constraint": {
            "type": kind.to_string(), "editable": editable, "required": required, "sensitive": sensitive,
            "valid_type": valid_type, "valid_range": valid_range,
        },
    }))
}

/// The narrowest kind that a value is of.
pub(super) fn guess(value: &str) -> ValueKind {
    let kinds = [ValueKind::Integer, ValueKind::Float, ValueKind::Boolean];
    kinds.into_iter().find(|kind| !value.is_empty() && kind.holds(value)).unwrap_or(ValueKind::String)
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn definitions_are_read_from_one_text() {
        let definition = read("lr=0.01; type=float; range=0.001:0.1; required; description=step size").unwrap();
        assert_eq!((definition["name"].as_str(), definition["value"].as_str()), (Some("lr"), Some("0.01")));
        let constraint = &definition["constraint"];
        assert_eq!(constraint["type"], "Float");
        assert_eq!((constraint["required"].as_bool(), constraint["editable"].as_bool()), (Some(true), Some(true)));
        assert_eq!(constraint["valid_range"], serde_json::json!(["0.001", "0.1"]));
        assert_eq!(read("epochs=10").unwrap()["constraint"]["type"], "Integer");
        assert_eq!(read("kind;choices=a|b;fixed").unwrap()["constraint"]["valid_type"], "choice");
        for wrong in ["", "=1", "x;type=Complex", "x=1;range=3", "x=1;between=1", "x=1;range=a:b"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
