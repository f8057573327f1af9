//! Programs of this machine that some commands use: Docker with BuildKit, Python, a keyring.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use futures_util::future;
use tokio::process::Command;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::finding::{Finding, State};
use crate::ctx::Ctx;
use crate::settings::vault::{self, Entry, Store};

/// First version of Docker Engine that builds with BuildKit.
const FIRST_BUILDKIT: u32 = 18;

/// Asks all of them at once.
pub(super) async fn check(ctx: &Ctx, limit: Duration) -> Vec<Finding> {
    let docker = output(ctx, limit, "docker", &["version", "--format", "{{.Server.Version}}"]);
    let buildctl = output(ctx, limit, "buildctl", &["--version"]);
    let python = output(ctx, limit, "python3", &["--version"]);
    let (docker, buildctl, python) = future::join3(docker, buildctl, python).await;
    let build = buildkit(&docker, &buildctl);
    vec![engine(docker), build, interpreter(python), keyring(ctx, limit).await]
}

/// What came of running a program.
#[derive(Debug)]
enum Outcome {
    /// First line of its output.
    Said(String),
    /// Why it is of no use.
    Failed(String),
    /// It is not on the search path.
    Missing,
}

async fn output(ctx: &Ctx, limit: Duration, program: &str, arguments: &[&str]) -> Outcome {
    let is_there =
        ctx.env.get("PATH").is_some_and(|path| path.split(':').any(|folder| Path::new(folder).join(program).is_file()));
    if !is_there {
        return Outcome::Missing;
    }
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(ctx.child_environment()).stdin(Stdio::null()).kill_on_drop(true);
    match timeout(limit, command.output()).await {
        Err(_) => Outcome::Failed(format!("no answer within {} s", limit.as_secs())),
        Ok(Err(error)) => Outcome::Failed(error.to_string()),
        Ok(Ok(output)) if output.status.success() => Outcome::Said(first_line(&output.stdout)),
        Ok(Ok(output)) => Outcome::Failed(first_line(&output.stderr)),
    }
}

fn first_line(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().lines().next().unwrap_or_default().to_owned()
}

fn engine(docker: Outcome) -> Finding {
    match docker {
        Outcome::Said(version) => Finding::new("docker", State::Ok, format!("engine {version} answers")),
        Outcome::Failed(why) => Finding::new("docker", State::Warn, format!("the engine does not answer: {why}"))
            .remedy("start it, as with: systemctl start docker; and see that your user may use it"),
        Outcome::Missing => Finding::new("docker", State::Warn, "not installed; custom images need it")
            .remedy("install it, as with: apt install docker.io"),
    }
}

fn buildkit(docker: &Outcome, buildctl: &Outcome) -> Finding {
    if let Outcome::Said(version) = buildctl {
        return Finding::new("buildkit", State::Ok, version.clone());
    }
    let major = |version: &str| version.split('.').next().and_then(|part| part.parse::<u32>().ok());
    match docker {
        Outcome::Said(version) if major(version).is_some_and(|major| major >= FIRST_BUILDKIT) => {
            Finding::new("buildkit", State::Ok, "part of the docker engine")
        }
        _ => Finding::new("buildkit", State::Warn, "not there; images cannot be built here")
            .remedy(format!("install Docker {FIRST_BUILDKIT}.09 or later, or buildctl with a running buildkitd")),
    }
}

fn interpreter(python: Outcome) -> Finding {
    match python {
        Outcome::Said(version) => Finding::new("python3", State::Ok, version),
        Outcome::Failed(why) => Finding::new("python3", State::Warn, why).remedy("repair python3: jobs of the platform use it"),
        Outcome::Missing => Finding::new("python3", State::Warn, "not installed; jobs of the platform use it")
            .remedy("install it, as with: apt install python3"),
    }
}

/// Whether a Secret Service could be reached: it is found by the session bus.
async fn keyring(ctx: &Ctx, limit: Duration) -> Finding {
    const CHECK: &str = "keyring";
    let named = ctx.env.get("DBUS_SESSION_BUS_ADDRESS").is_some();
    let usual = ctx.env.get("XDG_RUNTIME_DIR").is_some_and(|folder| Path::new(folder).join("bus").exists());
    let options = ctx.profile_options();
    // The profile that is used keeps its secrets there: what is a mere offer for others is in its way.
    let is_used = ctx.settings().is_ok_and(|settings| settings.store.value == Store::Keyring);
    let failing = if is_used { State::Fail } else { State::Warn };
    let remedy = || format!("unlock the keyring, or keep secrets in the profile file: ma-cli configure{options} --store file");
    if !named && !usual {
        return match is_used {
            true => Finding::new(CHECK, State::Fail, "no session bus, so no keyring, and the profile keeps its secret there")
                .remedy(remedy()),
            false => Finding::new(CHECK, State::Ok, "no session bus, so no keyring; secrets are kept in the profile file"),
        };
    }
    // Nothing is kept under this name: that it is not found is the answer of a keyring that works.
    // On a thread that nobody waits for: a dialog that asks for a password may stay open.
    let (sender, asking) = oneshot::channel();
    std::thread::spawn(move || sender.send(vault::read(Store::Keyring, &Entry::new(Path::new("/"), "doctor", "nothing"))));
    match timeout(limit, asking).await {
        Ok(Ok(Ok(_))) if is_used => Finding::new(CHECK, State::Ok, "the keyring answers; the profile keeps its secret there"),
        Ok(Ok(Ok(_))) => {
            let offer = format!("the keyring answers; use it with: ma-cli configure{options} --store keyring");
            Finding::new(CHECK, State::Ok, offer)
        }
        Ok(Ok(Err(error))) if is_used => Finding::new(CHECK, failing, error.to_string()).remedy(remedy()),
        Ok(Ok(Err(error))) => {
            Finding::new(CHECK, failing, error.to_string()).remedy("secrets are kept in the profile file instead")
        }
        Ok(Err(_)) | Err(_) => Finding::new(CHECK, failing, format!("no answer within {} s", limit.as_secs())).remedy(remedy()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Outcome, State, buildkit, engine};

    #[test]
    fn docker_has_buildkit_from_some_version_on() {
        let said = |version: &str| Outcome::Said(version.to_owned());
        assert_eq!(buildkit(&said("26.1.5"), &Outcome::Missing).state, State::Ok);
        assert_eq!(buildkit(&said("17.3.0"), &Outcome::Missing).state, State::Warn);
        assert_eq!(buildkit(&Outcome::Missing, &said("buildctl 0.12")).state, State::Ok);
        assert_eq!(engine(Outcome::Failed("permission denied".to_owned())).state, State::Warn);
    }
}
