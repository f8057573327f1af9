//! Query strings, decoded but in their order and with the difference between `name` and `name=`.

use http::Uri;
use http::uri::PathAndQuery;
use percent_encoding::percent_decode_str;

/// The parameters of a request.
#[derive(Debug, Default)]
pub(super) struct Query {
    parameters: Vec<Parameter>,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Parameter {
    raw: String,
    pub(super) name: String,
    /// Nothing when there was no `=`.
    pub(super) value: Option<String>,
}

impl Query {
    pub(super) fn parse(text: &str) -> Self {
        let parameters = text
            .split('&')
            .filter(|raw| !raw.is_empty())
            .map(|raw| {
                let (name, value) = raw.split_once('=').map_or((raw, None), |(name, value)| (name, Some(value)));
                Parameter { raw: raw.to_owned(), name: decode(name), value: value.map(decode) }
            })
            .collect();
        Self { parameters }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Parameter> {
        self.parameters.iter()
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.parameters.iter().any(|parameter| parameter.name == name)
    }

    /// The value of the first parameter of that name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|parameter| parameter.name == name).and_then(|parameter| parameter.value.as_deref())
    }

    /// Rewrites the address without the parameters in `names`.
    pub(super) fn strip(&self, uri: &mut Uri, names: &[&str]) {
        if !names.iter().any(|name| self.has(name)) {
            return;
        }
        let kept: Vec<&str> = self
            .parameters
            .iter()
            .filter(|parameter| !names.contains(&parameter.name.as_str()))
            .map(|parameter| parameter.raw.as_str())
            .collect();
        let mut target = uri.path().to_owned();
        if !kept.is_empty() {
            target.push('?');
            target.push_str(&kept.join("&"));
        }
        let mut parts = uri.clone().into_parts();
        parts.path_and_query = PathAndQuery::try_from(target).ok();
        if let Ok(rewritten) = Uri::from_parts(parts) {
            *uri = rewritten;
        }
    }
}

fn decode(text: &str) -> String {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::Query;

    #[test]
    fn parameters_are_stripped_and_the_rest_is_untouched() {
        let uri = "/b/k%20?acl&Signature=a%2Bb&prefix=x%2Fy&Expires=1";
        let mut uri: http::Uri = uri.parse().unwrap();
        let query = Query::parse(uri.query().unwrap());
        assert_eq!(query.get("Signature"), Some("a+b"));
        assert!(query.has("acl") && query.get("acl").is_none());
        query.strip(&mut uri, &["Signature", "Expires"]);
        assert_eq!(uri.to_string(), "/b/k%20?acl&prefix=x%2Fy");
    }
}
