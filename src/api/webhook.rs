//! Tells a server of the user's choice what happened: a JSON document by POST, without credentials of ours.

use http::Method;
use serde_json::Value;
use url::Url;

use crate::api::error::{Error, Refusal};
use crate::http::{Client, Request};

/// Reads the address of a webhook.
///
/// # Errors
/// [`Error::Invalid`]: it is no `http://` or `https://` address. The text itself is not repeated, since such addresses are secrets.
pub fn address(text: &str) -> Result<Url, Error> {
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
        _ => Err(Error::Invalid("the webhook is no http:// or https:// address".to_owned())),
    }
}

/// Posts the document; tried again when that can help. A receiver that gets it twice can tell by what it says.
///
/// # Errors
/// No connection, or a status that is not 2xx.
pub async fn post(client: &Client, url: &Url, document: &Value) -> Result<(), Error> {
    let prepare = || async {
        let mut request = Request::new(Method::POST, url.clone()).json(document);
        request.repeatable = true;
        request.is_secret = true;
        Ok::<_, Error>(request)
    };
    let answer = client.call(prepare).await?;
    if answer.status.is_success() {
        return Ok(());
    }
    Err(Error::Service(Box::new(Refusal::read(answer.status, answer.request_id(), &answer.body))))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{address, post};
    use crate::http::testing::{Script, Server};
    use crate::http::{Client, Options};

    #[tokio::test]
    async fn a_document_is_posted_without_credentials() {
        let server = Server::start(vec![Script::new(503, ""), Script::new(204, ""), Script::new(404, "gone")]);
        let url = address(&format!("{}/hook/t0ken", server.endpoint)).unwrap();
        let client = Client::new(Options::default());
        post(&client, &url, &json!({"state": "Running"})).await.unwrap();
        let seen = server.seen();
        assert_eq!(seen.len(), 2, "a failure of the server's is tried again");
        assert!(seen[1].starts_with("POST /hook/t0ken ") && seen[1].ends_with("{\"state\":\"Running\"}"), "{}", seen[1]);
        assert!(!seen[1].to_ascii_lowercase().contains("auth"), "{}", seen[1]);
        let error = post(&client, &url, &json!({})).await.unwrap_err().to_string();
        assert_eq!(error, "gone");
    }

    #[test]
    fn an_address_that_is_none_is_not_repeated() {
        for text in ["ftp://x/t0ken", "t0ken", "https:t0ken:x"] {
            let error = address(text).unwrap_err().to_string();
            assert!(!error.contains("t0ken"), "{error}");
        }
        assert!(address("https://hooks.example/x").is_ok());
    }
}
