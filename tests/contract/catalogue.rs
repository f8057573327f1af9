//! The written contract: the OpenAPI catalogues below `tests/data/catalogue`, and the check of one exchange against them.
//!
//! Stricter than OpenAPI in one point: an object that lists its properties may have no other, so that neither side can agree with
//! the other on a field that does not exist. A problem is a line of stable words, which is what the list of exceptions holds.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::Path;
use std::rc::Rc;

use jsonschema::Validator;
use jsonschema::error::ValidationErrorKind;
use serde_json::{Map, Value, json};

/// One request and its reply, as they went over the wire.
#[derive(Clone, Debug, Default)]
pub(crate) struct Exchange {
    pub(crate) method: String,
    /// Path and query as sent, percent-encoded.
    pub(crate) target: String,
    /// Names in lower case.
    pub(crate) request_headers: Vec<(String, String)>,
    pub(crate) request_body: Vec<u8>,
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) reply_headers: Vec<(String, String)>,
    pub(crate) reply_body: Vec<u8>,
}

/// What is wrong with one exchange.
#[derive(Debug)]
pub(crate) struct Verdict {
    /// The operation's id, `None` if no catalogue knows the call.
    pub(crate) operation: Option<String>,
    /// One line a problem: operation, side, place, rule.
    pub(crate) problems: Vec<String>,
}

/// Operations of all catalogues.
pub(crate) struct Catalogue {
    documents: Vec<Document>,
    validators: RefCell<HashMap<String, Rc<Validator>>>,
}

struct Document {
    name: String,
    paths: Map<String, Value>,
    /// `components` with every schema already converted.
    components: Value,
}

struct Found<'a> {
    document: &'a Document,
    pointer: String,
    operation: &'a Value,
}

impl Catalogue {
    /// Reads every `*.json` of the folder.
    pub(crate) fn load(folder: &Path) -> Self {
        let mut files: Vec<_> =
            std::fs::read_dir(folder).expect("catalogue folder").map(|entry| entry.unwrap().path()).collect();
        files.sort();
        let documents = files.iter().map(|file| (file.display().to_string(), std::fs::read_to_string(file).unwrap()));
        Self::from_documents(documents.map(|(name, text)| (name, serde_json::from_str(&text).unwrap())))
    }

    /// Takes OpenAPI documents as they are.
    pub(crate) fn from_documents(documents: impl IntoIterator<Item = (String, Value)>) -> Self {
        let documents = documents.into_iter().map(|(name, mut value)| {
            let paths = match value["paths"].take() {
                Value::Object(paths) => paths,
                _ => Map::new(),
            };
            let mut components = value["components"].take();
            if let Some(schemas) = components.get_mut("schemas").and_then(Value::as_object_mut) {
                schemas.values_mut().for_each(|schema| *schema = convert(schema));
            }
            Document { name, paths, components }
        });
        Self { documents: documents.collect(), validators: RefCell::default() }
    }

    /// Checks request and reply.
    pub(crate) fn check(&self, exchange: &Exchange) -> Verdict {
        let (path, query) = exchange.target.split_once('?').unwrap_or((&exchange.target, ""));
        let Some(found) = self.find(&exchange.method, path) else {
            return Verdict { operation: None, problems: vec![format!("{} {path}: no such operation", exchange.method)] };
        };
        let id = found.operation["operationId"].as_str().expect("every operation has an id").to_owned();
        let mut problems = Vec::new();
        let mut report = |side: &str, problem: String| {
            let line = format!("{id} {side} {problem}");
            if !problems.contains(&line) {
                problems.push(line);
            }
        };
        for problem in self.check_parameters(&found, query, &exchange.request_headers) {
            report("request", problem);
        }
        for problem in self.check_request_body(&found, &exchange.request_body) {
            report("request", problem);
        }
        for problem in self.check_reply(&found, exchange) {
            report("reply", problem);
        }
        Verdict { operation: Some(id), problems }
    }

    /// The operation of a call; of two templates that match, the one with fewer parameters.
    fn find(&self, method: &str, path: &str) -> Option<Found<'_>> {
        let method = method.to_ascii_lowercase();
        let matching = self.documents.iter().flat_map(|document| document.paths.iter().map(move |path| (document, path)));
        let matching = matching.filter_map(|(document, (template, item))| {
            let parameters = match_template(template, path)?;
            let operation = item.get(&method)?;
            let pointer = format!("{}#{method} {template}", document.name);
            Some((parameters, Found { document, pointer, operation }))
        });
        matching.min_by_key(|(parameters, _)| *parameters).map(|(_, found)| found)
    }

    fn check_parameters(&self, found: &Found<'_>, query: &str, headers: &[(String, String)]) -> Vec<String> {
        let mut problems = Vec::new();
        let declared = found.operation["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
        let sent: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        for parameter in declared {
            let name = parameter["name"].as_str().unwrap_or_default();
            let values: Vec<&String> = match parameter["in"].as_str() {
                Some("query") => sent.iter().filter(|(key, _)| key == name).map(|(_, value)| value).collect(),
                Some("header") => {
                    headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
                }
                _ => continue,
            };
            if values.is_empty() && parameter["required"] == true {
                problems.push(format!("{name} required"));
            }
            let key = format!("{} parameter {name}", found.pointer);
            for value in values {
                let value = typed(value, parameter["schema"]["type"].as_str());
                problems.extend(
                    self.validate(&key, found.document, &parameter["schema"], &value).into_iter().map(|p| format!("{name}{p}")),
                );
            }
        }
        let known = |key: &str| declared.iter().any(|parameter| parameter["in"] == "query" && parameter["name"] == key);
        problems.extend(sent.iter().filter(|(key, _)| !known(key)).map(|(key, _)| format!("{key} unknown parameter")));
        problems
    }

    fn check_request_body(&self, found: &Found<'_>, body: &[u8]) -> Vec<String> {
        let content = &found.operation["requestBody"]["content"];
        let Some(schema) = json_schema_of(content) else {
            return if body.is_empty() { Vec::new() } else { vec!["/ body not expected".to_owned()] };
        };
        if body.is_empty() {
            let required = found.operation["requestBody"]["required"] == true;
            return if required { vec!["/ body required".to_owned()] } else { Vec::new() };
        }
        self.validate_bytes(&format!("{} request", found.pointer), found.document, schema, body)
    }

    fn check_reply(&self, found: &Found<'_>, exchange: &Exchange) -> Vec<String> {
        let replies = &found.operation["responses"];
        let status = exchange.status;
        let names = [status.to_string(), format!("{}XX", status / 100), "default".to_owned()];
        let Some(name) = names.iter().find(|name| replies.get(name.as_str()).is_some()) else {
            return vec![format!("{status} unknown status")];
        };
        if name == "default" && status < 400 {
            return vec![format!("{status} unknown status")];
        }
        let reply = resolve(&replies[name.as_str()], &found.document.components);
        let mut problems = Vec::new();
        for header in reply["headers"].as_object().into_iter().flat_map(Map::keys) {
            if !exchange.reply_headers.iter().any(|(key, _)| key.eq_ignore_ascii_case(header)) {
                problems.push(format!("{status} {header} header required"));
            }
        }
        match json_schema_of(&reply["content"]) {
            // HTTP leaves no room for a body there, whatever a catalogue says.
            Some(_) if status == 204 && exchange.reply_body.is_empty() => {}
            Some(schema) => {
                let key = format!("{} {name}", found.pointer);
                let found = self.validate_bytes(&key, found.document, schema, &exchange.reply_body);
                problems.extend(found.into_iter().map(|problem| format!("{status} {problem}")));
            }
            None if !exchange.reply_body.is_empty() => problems.push(format!("{status} / body not expected")),
            None => {}
        }
        problems
    }

    fn validate_bytes(&self, key: &str, document: &Document, schema: &Value, body: &[u8]) -> Vec<String> {
        match serde_json::from_slice(body) {
            Ok(value) => self.validate(key, document, schema, &value),
            Err(_) => vec!["/ not JSON".to_owned()],
        }
    }

    fn validate(&self, key: &str, document: &Document, schema: &Value, value: &Value) -> Vec<String> {
        let validator = self.validators.borrow().get(key).cloned();
        let validator = validator.unwrap_or_else(|| {
            let root = json!({ "allOf": [convert(schema)], "components": document.components });
            let built = Validator::options().with_draft(jsonschema::Draft::Draft202012).build(&root);
            let built = Rc::new(built.unwrap_or_else(|error| panic!("schema of {key}: {error}")));
            self.validators.borrow_mut().insert(key.to_owned(), Rc::clone(&built));
            built
        });
        validator.iter_errors(value).flat_map(|error| describe(&error)).collect()
    }
}

/// Number of parameters in the template if it matches.
fn match_template(template: &str, path: &str) -> Option<usize> {
    let template: Vec<&str> = template.split('/').collect();
    let path: Vec<&str> = path.split('/').collect();
    if template.len() != path.len() {
        return None;
    }
    let mut parameters = 0;
    for (expected, actual) in template.iter().zip(path) {
        if expected.starts_with('{') && !actual.is_empty() {
            parameters += 1;
        } else if *expected != actual {
            return None;
        }
    }
    Some(parameters)
}

fn json_schema_of(content: &Value) -> Option<&Value> {
    let content = content.as_object()?;
    content.iter().find(|(kind, _)| kind.starts_with("application/json")).map(|(_, body)| &body["schema"])
}

fn resolve<'a>(value: &'a Value, components: &'a Value) -> &'a Value {
    let target = value["$ref"].as_str().and_then(|reference| reference.strip_prefix("#/components"));
    target.map_or(value, |pointer| components.pointer(pointer).expect("a reference names a component"))
}

/// A query or header value as the type its schema asks for; what cannot be read as that stays text and fails there.
fn typed(text: &str, kind: Option<&str>) -> Value {
    let read = match kind {
        Some("integer") => text.parse::<i64>().ok().map(Value::from),
        Some("number") => text.parse::<f64>().ok().map(Value::from),
        Some("boolean") => text.parse::<bool>().ok().map(Value::from),
        Some("array") => Some(text.split(',').map(Value::from).collect()),
        _ => None,
    };
    read.unwrap_or_else(|| Value::from(text))
}

/// An OpenAPI 3.0 schema as JSON schema.
fn convert(schema: &Value) -> Value {
    let Some(source) = schema.as_object() else { return schema.clone() };
    if let Some(reference) = source.get("$ref") {
        return json!({ "$ref": reference });
    }
    let mut target = Map::new();
    for (key, value) in source {
        let value = match key.as_str() {
            "properties" => {
                Value::Object(value.as_object().into_iter().flatten().map(|(k, v)| (k.clone(), convert(v))).collect())
            }
            "items" | "additionalProperties" | "not" => convert(value),
            "allOf" | "anyOf" | "oneOf" => value.as_array().into_iter().flatten().map(convert).collect(),
            "type" | "required" | "enum" | "pattern" | "minLength" | "maxLength" | "minItems" | "maxItems" | "minimum"
            | "maximum" | "uniqueItems" | "minProperties" | "maxProperties" | "multipleOf" => value.clone(),
            _ => continue,
        };
        // The variants of one call overlap: SDK methods that share a path. One that fits is enough.
        target.insert(if key == "oneOf" { "anyOf".to_owned() } else { key.clone() }, value);
    }
    for (exclusive, limit) in [("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")] {
        if source.get(exclusive) == Some(&Value::Bool(true))
            && let Some(value) = target.remove(limit)
        {
            target.insert(exclusive.to_owned(), value);
        }
    }
    let listed = target.get("properties").and_then(Value::as_object).is_some_and(|properties| !properties.is_empty());
    if listed && !target.contains_key("additionalProperties") && !target.contains_key("allOf") {
        target.insert("additionalProperties".to_owned(), Value::Bool(false));
    }
    if source.get("nullable") == Some(&Value::Bool(true)) {
        return json!({ "anyOf": [target, { "type": "null" }] });
    }
    Value::Object(target)
}

/// Place and rule, without values, so that the same mistake always reads the same.
fn describe(error: &jsonschema::ValidationError<'_>) -> Vec<String> {
    let place: String = error
        .instance_path()
        .as_str()
        .split('/')
        .map(|part| if part.parse::<usize>().is_ok() { "*" } else { part })
        .collect::<Vec<_>>()
        .join("/");
    let place = if place.is_empty() { "/".to_owned() } else { place };
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            unexpected.iter().map(|name| format!("{place} unknown property {name}")).collect()
        }
        ValidationErrorKind::Required { property } => {
            vec![format!("{place} required {}", property.as_str().unwrap_or_default())]
        }
        // What the variant that fits best lacks says more than that none fits.
        ValidationErrorKind::AnyOf { context } => {
            let closest = context.iter().min_by_key(|errors| errors.len());
            closest.into_iter().flatten().flat_map(describe).collect()
        }
        kind => vec![format!("{place} {}", kind.keyword())],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalogue() -> Catalogue {
        let document = json!({
            "paths": {
                "/v1/{project}/things": {
                    "get": {
                        "operationId": "ListThings",
                        "parameters": [
                            { "name": "project", "in": "path", "required": true, "schema": { "type": "string" } },
                            { "name": "limit", "in": "query", "schema": { "type": "integer", "maximum": 50 } },
                            { "name": "kind", "in": "query", "required": true, "schema": { "type": "string", "enum": ["a", "b"] } },
                        ],
                        "responses": {
                            "200": {
                                "headers": { "X-Total": {} },
                                "content": { "application/json": { "schema": { "type": "array", "items": { "$ref": "#/components/schemas/Thing" } } } },
                            },
                            "default": { "$ref": "#/components/responses/Error" },
                        },
                    },
                    "post": {
                        "operationId": "CreateThing",
                        "requestBody": {
                            "required": true,
                            "content": { "application/json;charset=UTF-8": { "schema": { "oneOf": [
                                { "$ref": "#/components/schemas/Thing" },
                                { "type": "object", "properties": { "name": { "type": "string" } } },
                            ] } } },
                        },
                        "responses": { "2XX": { "description": "no body" } },
                    },
                },
                "/v1/{project}/{other}": { "get": { "operationId": "Other", "responses": { "200": {} } } },
            },
            "components": {
                "schemas": {
                    "Thing": {
                        "type": "object",
                        "required": ["name"],
                        "properties": {
                            "name": { "type": "string", "minLength": 2 },
                            "size": { "type": "integer", "nullable": true, "minimum": 0, "exclusiveMinimum": true },
                            "part": { "$ref": "#/components/schemas/Thing" },
                            "free": { "type": "object" },
                        },
                    },
                },
                "responses": {
                    "Error": { "content": { "application/json": { "schema": {
                        "type": "object", "properties": { "error_code": { "type": "string" } },
                    } } } },
                },
            },
        });
        Catalogue::from_documents([("test".to_owned(), document)])
    }

    fn list(query: &str, status: u16, reply: &Value) -> Vec<String> {
        let exchange = Exchange {
            method: "GET".to_owned(),
            target: format!("/v1/p/things{query}"),
            status,
            reply_headers: vec![("x-total".to_owned(), "1".to_owned())],
            reply_body: reply.to_string().into_bytes(),
            ..Exchange::default()
        };
        let verdict = catalogue().check(&exchange);
        assert_eq!(verdict.operation.as_deref(), Some("ListThings"));
        verdict.problems
    }

    fn create(body: &str, status: u16, reply: &str) -> Vec<String> {
        let exchange = Exchange {
            method: "POST".to_owned(),
            target: "/v1/p/things".to_owned(),
            request_body: body.as_bytes().to_vec(),
            status,
            reply_body: reply.as_bytes().to_vec(),
            ..Exchange::default()
        };
        catalogue().check(&exchange).problems
    }

    #[test]
    fn accepts_what_the_catalogue_describes() {
        let reply = json!([{ "name": "ab", "size": null, "part": { "name": "cd", "size": 1 }, "free": { "any": 1 } }]);
        assert_eq!(list("?kind=a&limit=50", 200, &reply), [""; 0]);
        assert_eq!(list("?kind=a", 404, &json!({ "error_code": "X.1" })), [""; 0]);
        assert_eq!(create(r#"{"name":"x"}"#, 201, ""), [""; 0]);
    }

    #[test]
    fn names_every_problem_of_a_request() {
        let none = json!([]);
        assert_eq!(
            list("?limit=51&kind=c&more=1", 200, &none),
            ["ListThings request limit/ maximum", "ListThings request kind/ enum", "ListThings request more unknown parameter",]
        );
        assert_eq!(list("?limit=x", 200, &none), ["ListThings request limit/ type", "ListThings request kind required"]);
        assert_eq!(create("", 200, ""), ["CreateThing request / body required"]);
        assert_eq!(create("{", 200, ""), ["CreateThing request / not JSON"]);
        assert_eq!(create(r#"{"nome":"x"}"#, 200, ""), ["CreateThing request / unknown property nome"]);
    }

    #[test]
    fn names_every_problem_of_a_reply() {
        let reply = json!([{ "size": 0 }, { "name": "a", "part": { "name": 1 }, "extra": 1 }]);
        let mut problems = list("?kind=a", 200, &reply);
        problems.sort();
        assert_eq!(
            problems,
            [
                "ListThings reply 200 /* required name",
                "ListThings reply 200 /* unknown property extra",
                "ListThings reply 200 /*/name minLength",
                "ListThings reply 200 /*/part/name type",
                "ListThings reply 200 /*/size exclusiveMinimum",
            ]
        );
        assert_eq!(list("?kind=a", 204, &json!([])), ["ListThings reply 204 unknown status"]);
        assert_eq!(list("?kind=a", 500, &json!({ "error": 1 })), ["ListThings reply 500 / unknown property error"]);
        assert_eq!(create(r#"{"name":"x"}"#, 200, "{}"), ["CreateThing reply 200 / body not expected"]);
        assert_eq!(create(r#"{"name":"x"}"#, 302, ""), ["CreateThing reply 302 unknown status"]);
    }

    #[test]
    fn wants_the_headers_that_are_declared() {
        let exchange = Exchange {
            method: "GET".to_owned(),
            target: "/v1/p/things?kind=a".to_owned(),
            status: 200,
            reply_body: b"[]".to_vec(),
            ..Exchange::default()
        };
        assert_eq!(catalogue().check(&exchange).problems, ["ListThings reply 200 X-Total header required"]);
    }

    #[test]
    fn finds_the_operation_of_a_call() {
        let find = |method: &str, target: &str| {
            let exchange =
                Exchange { method: method.to_owned(), target: target.to_owned(), status: 200, ..Exchange::default() };
            catalogue().check(&exchange).operation
        };
        assert_eq!(find("GET", "/v1/p/things?x=1").as_deref(), Some("ListThings"), "the literal segment wins");
        assert_eq!(find("GET", "/v1/p/else").as_deref(), Some("Other"));
        assert_eq!(find("GET", "/v1/p/"), None);
        assert_eq!(find("DELETE", "/v1/p/things"), None);
    }

    #[test]
    fn every_schema_of_the_catalogues_can_be_used() {
        let catalogue = Catalogue::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/catalogue"));
        let mut operations = 0;
        for document in &catalogue.documents {
            for (template, item) in &document.paths {
                for (method, operation) in item.as_object().unwrap() {
                    operations += 1;
                    let found = Found { document, pointer: format!("{method} {template}"), operation };
                    catalogue.check_request_body(&found, b"{}");
                    for status in operation["responses"].as_object().unwrap().keys() {
                        let status = status.replace("XX", "00").parse().unwrap_or(400);
                        catalogue.check_reply(&found, &Exchange { status, reply_body: b"{}".to_vec(), ..Exchange::default() });
                    }
                }
            }
        }
        assert!(operations > 50, "only {operations} operations");
    }
}
