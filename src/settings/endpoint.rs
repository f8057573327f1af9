//! What the endpoint of a service may look like.

use url::Url;

/// Reads an endpoint: a host, with or without scheme; a trailing slash is dropped.
///
/// # Errors
/// Why requests cannot be sent there.
pub(super) fn parse(text: &str) -> Result<String, String> {
    let whole = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let url = Url::parse(&whole).map_err(|error| error.to_string())?;
    match url.scheme() {
        "http" | "https" => {}
        other => return Err(format!("it begins with https:// or http://, not {other}://")),
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("no query or fragment can follow it".to_owned());
    }
    // As it was understood, so that whoever looks at its beginning sees what requests will do.
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn what_no_request_can_be_sent_to_is_refused() {
        assert_eq!(parse("obs.example").as_deref(), Ok("https://obs.example"));
        assert_eq!(parse("HTTP://Obs.example:80/").as_deref(), Ok("http://obs.example"));
        assert_eq!(parse("http://127.0.0.1:9000/").as_deref(), Ok("http://127.0.0.1:9000"));
        assert_eq!(parse("https://gateway.example/iam").as_deref(), Ok("https://gateway.example/iam"));
        for text in ["ftp://x", "https://h/?q=1", "https://h/#f", "https://", "", "https://h:99999", "not a host"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
