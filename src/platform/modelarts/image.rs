//! Jobs that bring an image of their own: whether this machine's Docker can run them.

use std::process::{Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;

use crate::platform::modelarts::Training;
use crate::platform::modelarts::error::ApiError;
use crate::platform::modelarts::flavor::Flavor;
use crate::platform::modelarts::record::{self, Event};
use crate::platform::runner::Error;
use crate::platform::runner::environment::{PATH, hide_credentials};
use crate::platform::runner::plan::{CardKind, Image};

/// How long Docker may take to say whether it is there.
const LIMIT: Duration = Duration::from_secs(20);

/// How long an image may take to come from its registry.
const PULL: Duration = Duration::from_secs(3600);

/// The name under which another client than the one of the search path is configured.
const CLIENT: &str = "docker";

/// Refuses a new job whose image cannot be run here.
///
/// # Errors
/// Why not.
pub(super) async fn accept(training: &Training, job: &Value) -> Result<(), ApiError> {
    let Some(image) = job["algorithm"]["engine"]["image_url"].as_str() else { return Ok(()) };
    let refused =
        |reason: &str| ApiError::parameter("algorithm.engine.image_url", &format!("the image {image} cannot be run: {reason}"));
    let flavor = Flavor::find(job["spec"]["resource"]["flavor_id"].as_str().unwrap_or_default());
    if flavor.is_some_and(|flavor| flavor.card_kind == Some(CardKind::Npu)) {
        return Err(refused("this platform gives no Ascend cards to containers"));
    }
    docker(training).await.map(drop).map_err(|reason| refused(&reason))
}

/// Looks for the image, and fetches it where its name says from where; returns the words that reach Docker.
///
/// # Errors
/// Docker is not there any more, or the image cannot be had.
pub(super) async fn ready(training: &Training, id: &str, image: &Image) -> Result<Vec<String>, Error> {
    let name = &image.name;
    let docker =
        docker(training).await.map_err(|reason| Error::Unsupported(format!("the image {name} cannot be run: {reason}")))?;
    let found = ask(&docker, &["image", "inspect", "--format", "{{.Id}}", name], LIMIT).await;
    if found.is_ok_and(|output| output.status.success()) {
        return Ok(docker);
    }
    if !has_registry(name) {
        let reason = "build it, load it or tag it under this name";
        return Err(Error::Unsupported(format!("there is no image {name} on this machine: {reason}")));
    }
    record::add_once(training.state(), id, &Event::info(format!("Image {name} is being pulled.")));
    match ask(&docker, &["pull", "--quiet", name], PULL).await {
        Ok(output) if output.status.success() => Ok(docker),
        Ok(output) => Err(Error::Unsupported(format!("the image {name} cannot be pulled: {}", last_line(&output)))),
        Err(reason) => Err(Error::Unsupported(format!("the image {name} cannot be pulled: {reason}"))),
    }
}

/// The words that reach Docker, once it has answered; else why it does not.
async fn docker(training: &Training) -> Result<Vec<String>, String> {
    let configured = training.options().interpreters.get(CLIENT);
    let client = vec![configured.map_or_else(|| CLIENT.to_owned(), |path| path.to_string_lossy().into_owned())];
    let version = ask(&client, &["version", "--format", "{{.Server.Version}}"], LIMIT).await;
    let version = version.map_err(|reason| format!("images are run by Docker, and {reason}"))?;
    if !version.status.success() {
        return Err(format!("Docker does not answer: {}", last_line(&version)));
    }
    if configured.is_some() {
        return Ok(client);
    }
    // Supervisors have another environment than the platform, which may name the service in it.
    let host = ask(&client, &["context", "inspect", "--format", "{{.Endpoints.docker.Host}}"], LIMIT).await;
    let host = host.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default();
    Ok(if host.starts_with("unix://") { [client, vec!["--host".to_owned(), host]].concat() } else { client })
}

async fn ask(docker: &[String], arguments: &[&str], limit: Duration) -> Result<Output, String> {
    let Some((program, options)) = docker.split_first() else { return Err("no client is named".to_owned()) };
    let mut command = Command::new(program);
    command.args(options).args(arguments).env("PATH", PATH).stdin(Stdio::null()).kill_on_drop(true);
    hide_credentials(command.as_std_mut());
    match tokio::time::timeout(limit, command.output()).await {
        Ok(Ok(output)) => Ok(output),
        Ok(Err(error)) => Err(format!("{program} cannot be started: {error}")),
        Err(_) => Err(format!("{program} does not answer")),
    }
}

/// Whether the name of an image begins with the host of a registry.
fn has_registry(name: &str) -> bool {
    name.split_once('/').is_some_and(|(host, _)| host.contains(['.', ':']) || host == "localhost")
}

fn last_line(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it says nothing").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::has_registry;

    #[test]
    fn only_names_with_a_registry_are_fetched() {
        for name in ["swr.cn-north-4.myhuaweicloud.com/o/i:1", "localhost:5000/i", "localhost/i"] {
            assert!(has_registry(name), "{name}");
        }
        for name in ["org/image:1", "image:1", "image"] {
            assert!(!has_registry(name), "{name}");
        }
    }
}
