//! `-f KEY=VALUE`: fields of a request.

use std::str::FromStr;

use serde_json::{Map, Value};

use crate::error::{Error, Kind};

/// One field.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Field {
    /// The key as it is written.
    key: String,
    /// The key's name and what stands in its brackets; an empty text for `[]`.
    steps: Vec<String>,
    value: Value,
}

impl Field {
    /// Name of a query parameter: the key as it is written, with its brackets.
    pub(super) fn name(&self) -> &str {
        &self.key
    }

    /// Value of a query parameter.
    pub(super) fn text(&self) -> String {
        self.value.as_str().map_or_else(|| self.value.to_string(), str::to_owned)
    }
}

impl FromStr for Field {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = |why: &str| Error::new(Kind::Usage, format!("--field [{text}]: {why}")).hint("write key=text or key:=JSON");
        let (key, value) = text.split_once('=').ok_or_else(|| wrong("there is no ="))?;
        let (key, value) = match key.strip_suffix(':') {
            Some(key) => (key, serde_json::from_str(value).map_err(|error| wrong(&format!("no JSON: {error}")))?),
            None => (key, Value::from(value)),
        };
        let mut parts = key.split('[');
        let name = parts.next().unwrap_or_default();
        if name.is_empty() {
            return Err(wrong("there is no key"));
        }
        let mut steps = vec![name.to_owned()];
        for part in parts {
            steps.push(part.strip_suffix(']').ok_or_else(|| wrong("a bracket is not closed"))?.to_owned());
        }
        Ok(Self { key: key.to_owned(), steps, value })
    }
}

/// The path with every name in braces but the project's replaced by the field of that name; and the fields that are left.
///
/// # Errors
/// A name has no field, or one with no text.
pub(super) fn fill(path: &str, mut fields: Vec<Field>) -> Result<(String, Vec<Field>), Error> {
    let mut filled = Vec::new();
    for part in path.split('/') {
        let name = part.strip_prefix('{').and_then(|part| part.strip_suffix('}')).filter(|name| *name != "project_id");
        let Some(name) = name else {
            filled.push(part.to_owned());
            continue;
        };
        let at = fields.iter().position(|field| field.steps == [name] && !field.text().is_empty());
        let Some(at) = at else {
            return Err(Error::new(Kind::Usage, format!("the path has {{{name}}}, and no field fills it"))
                .hint(format!("add -f {name}=VALUE, or write the value into the path")));
        };
        filled.push(crate::api::segment(&fields.remove(at).text()));
    }
    Ok((filled.join("/"), fields))
}

/// The JSON body that the fields make; `None` without any.
///
/// # Errors
/// A key is used as two different things.
pub(super) fn body(fields: &[Field]) -> Result<Option<Value>, Error> {
    if fields.is_empty() {
        return Ok(None);
    }
    let mut body = Value::Object(Map::new());
    for field in fields {
        put(&mut body, &field.steps, field.value.clone())
            .map_err(|()| Error::new(Kind::Usage, format!("--field [{}] is two things at once", field.key)))?;
    }
    Ok(Some(body))
}

fn put(place: &mut Value, steps: &[String], value: Value) -> Result<(), ()> {
    let Some((step, rest)) = steps.split_first() else {
        *place = value;
        return Ok(());
    };
    if place.is_null() {
        *place = if step.is_empty() { Value::Array(Vec::new()) } else { Value::Object(Map::new()) };
    }
    match place {
        Value::Array(items) if step.is_empty() => {
            items.push(Value::Null);
            put(items.last_mut().ok_or(())?, rest, value)
        }
        Value::Object(members) if !step.is_empty() => put(members.entry(step.clone()).or_insert(Value::Null), rest, value),
        _ => Err(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Field, body, fill};

    fn fields(texts: &[&str]) -> Vec<Field> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn fields_make_texts_numbers_objects_and_lists() {
        let made = body(&fields(&["a=1", "b:=2", "c[d]=x=y", "c[e][]=1", "c[e][]:={\"f\": null}"])).unwrap();
        assert_eq!(made, Some(json!({"a": "1", "b": 2, "c": {"d": "x=y", "e": ["1", {"f": null}]}})));
        assert!(body(&fields(&["a=1", "a[b]=2"])).is_err());
        assert_eq!(body(&[]).unwrap(), None);
        for wrong in ["a", "=1", "a:=nope", "a[b=1"] {
            assert!(wrong.parse::<Field>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_query_has_the_keys_as_they_are_written() {
        let names: Vec<String> = fields(&["a=1", "b[c]:=2", "d[]=3"]).iter().map(|field| field.name().to_owned()).collect();
        assert_eq!(names, ["a", "b[c]", "d[]"]);
    }

    #[test]
    fn names_in_the_path_are_filled_and_used_up() {
        let (path, left) = fill("/v2/{project_id}/jobs/{id}", fields(&["id=a/b", "x=1"])).unwrap();
        assert_eq!((path.as_str(), left.len()), ("/v2/{project_id}/jobs/a%2Fb", 1));
        assert!(fill("/v2/{id}", fields(&["x=1"])).unwrap_err().hints[0].contains("-f id=VALUE"));
    }
}
