//! Which project requests belong to, when only keys and a region are configured.

use std::sync::Arc;

use http::{HeaderValue, Method, StatusCode};
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::sync::OnceCell;
use url::Url;

use crate::auth::cache::Cache;
use crate::auth::{Credential, CredentialSource, Error, identity, sign};
use crate::http::{Answer, Client, Request};

/// Looks the region's project up once, and keeps what it found between runs: a project's id never changes.
#[derive(Debug)]
pub struct ProjectLookup {
    client: Client,
    endpoint: String,
    region: String,
    credentials: Arc<dyn CredentialSource>,
    cache: Cache,
    found: OnceCell<String>,
}

impl ProjectLookup {
    /// A lookup on the identity service at `endpoint`, which is asked when the id is first needed.
    pub fn new(client: Client, endpoint: String, region: String, credentials: Arc<dyn CredentialSource>, cache: Cache) -> Self {
        Self { client, endpoint, region, credentials, cache, found: OnceCell::new() }
    }

    /// The id of the project named like the region.
    ///
    /// # Errors
    /// [`Error::Project`] when there is none or several, [`Error::Refused`] when the keys are not accepted, no connection.
    pub async fn project_id(&self) -> Result<&str, Error> {
        self.found.get_or_try_init(|| self.find()).await.map(String::as_str)
    }

    async fn find(&self) -> Result<String, Error> {
        let credential = self.credentials.credential().await?;
        let key = Cache::key("project", &[&self.endpoint, &credential.access_key, &self.region]);
        // Temporary keys come and go; caching by them would only leave files behind.
        let lasting = credential.expires_at.is_none();
        if let Some(id) = self.cache.read(&key).and_then(|kept| kept["project_id"].as_str().map(str::to_owned)) {
            return Ok(id);
        }
        let mut url = identity::url(&self.endpoint, "/v3/projects")?;
        url.set_query(Some(&sign::query(&[("name".to_owned(), self.region.clone())])));
        let mut answer = self.ask(&url, &credential).await?;
        if answer.status == StatusCode::UNAUTHORIZED && self.credentials.refused(&credential.access_key) {
            let credential = self.credentials.credential().await?;
            answer = self.ask(&url, &credential).await?;
        }
        let document = identity::document(&answer)?;
        let empty = Vec::new();
        let projects = document["projects"].as_array().unwrap_or(&empty);
        let [project] = projects.as_slice() else {
            return Err(Error::Project { region: self.region.clone(), found: projects.len() });
        };
        let id = project["id"].as_str().ok_or_else(|| Error::Unexpected("a project has no id".to_owned()))?;
        if lasting {
            self.cache.write(&key, &json!({"project_id": id, "region": self.region}) as &Value);
        }
        Ok(id.to_owned())
    }

    async fn ask(&self, url: &Url, credential: &Credential) -> Result<Answer, Error> {
        let prepare = || async {
            let mut request = Request::new(Method::GET, url.clone());
            request.headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            sign::sign(&mut request, credential, OffsetDateTime::now_utc())?;
            Ok::<_, Error>(request)
        };
        self.client.call(prepare).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::ProjectLookup;
    use crate::auth::cache::Cache;
    use crate::auth::{Credential, Error, Secret, StaticCredential};
    use crate::http::testing::{Script, Server};
    use crate::http::{Client, Options};

    fn lookup(server: &Server, cache: &Cache) -> ProjectLookup {
        let keys =
            Credential { access_key: "AK".to_owned(), secret_key: Secret::from("SK"), security_token: None, expires_at: None };
        let keys = Arc::new(StaticCredential::new(keys));
        ProjectLookup::new(Client::new(Options::default()), server.endpoint.clone(), "cn north".to_owned(), keys, cache.clone())
    }

    #[tokio::test]
    async fn the_only_project_of_the_region_is_asked_for_once() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path().to_owned());
        let server = Server::start(vec![Script::new(200, r#"{"projects": [{"id": "p9", "name": "cn north"}]}"#)]);
        assert_eq!(lookup(&server, &cache).project_id().await.unwrap(), "p9");
        assert_eq!(lookup(&server, &cache).project_id().await.unwrap(), "p9");
        let seen = server.seen();
        assert_eq!(seen.len(), 1);
        assert!(seen[0].starts_with("GET /v3/projects?name=cn%20north "), "{}", seen[0]);
        assert!(seen[0].to_ascii_lowercase().contains("authorization: sdk-hmac-sha256 access=ak, signedheaders="));
    }

    #[tokio::test]
    async fn none_or_several_is_an_error() {
        let server = Server::start(vec![Script::new(200, r#"{"projects": []}"#)]);
        let error = lookup(&server, &Cache::none()).project_id().await.unwrap_err();
        assert!(matches!(error, Error::Project { found: 0, .. }), "{error:?}");
    }
}
