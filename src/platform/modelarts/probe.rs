//! What this machine has in place of the engines' images.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::process::Command;
use tokio::sync::OnceCell;

use crate::platform::runner::environment::hide_credentials;
use crate::platform::runner::hosts;

/// An interpreter that takes longer than this to say its version is no use.
const LIMIT: Duration = Duration::from_secs(20);

/// Prints executable, version, and whether the module can be imported.
const SCRIPT: &str = "import sys, importlib.util as u
print(sys.executable)
print('.'.join(map(str, sys.version_info[:3])))
print(len(sys.argv) < 2 or u.find_spec(sys.argv[1]) is not None)";

/// An interpreter that answered.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// Its own absolute path: what is started may be a wrapper that needs the platform's environment.
    pub(super) executable: String,
    /// Version, as `3.11.7`.
    pub(super) version: String,
    /// The module that was asked for and is not installed.
    pub(super) lacks: Option<String>,
}

/// Answers of interpreters and of the system, asked once each.
#[derive(Debug, Default)]
pub(super) struct Probes {
    interpreters: Mutex<BTreeMap<(String, Option<&'static str>), Found>>,
    way: OnceCell<Option<Vec<String>>>,
}

impl Probes {
    /// Asks an interpreter about itself and a module; what it lacks is asked for again each time, since it may be installed.
    ///
    /// # Errors
    /// Why it cannot be used, as text.
    pub(super) async fn find(&self, python: &str, module: Option<&'static str>) -> Result<Found, String> {
        let key = (python.to_owned(), module);
        if let Some(found) = self.interpreters.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(found.clone());
        }
        let mut command = Command::new(python);
        command.args(["-c", SCRIPT]).args(module).stdin(Stdio::null()).kill_on_drop(true);
        hide_credentials(command.as_std_mut());
        let output = match tokio::time::timeout(LIMIT, command.output()).await {
            Ok(Ok(output)) => output,
            Ok(Err(error)) => return Err(format!("{python} cannot be started: {error}")),
            Err(_) => return Err(format!("{python} does not answer")),
        };
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let [executable, version, has] = text.lines().collect::<Vec<_>>()[..] else {
            return Err(format!("{python} is no Python 3 that works: {}", String::from_utf8_lossy(&output.stderr).trim()));
        };
        let lacks = module.filter(|_| has != "True").map(str::to_owned);
        let found = Found { executable: executable.to_owned(), version: version.to_owned(), lacks };
        if found.lacks.is_none() {
            self.interpreters.lock().unwrap_or_else(PoisonError::into_inner).insert(key, found.clone());
        }
        Ok(found)
    }

    /// How programs are let see the names of a job's nodes; `None` where this machine does not let them.
    pub(super) async fn way(&self) -> Option<Vec<String>> {
        let find = async || tokio::task::spawn_blocking(hosts::find_way).await.unwrap_or_default();
        self.way.get_or_init(find).await.clone()
    }

    /// Whether a program can be started.
    pub(super) async fn runs(&self, program: &str) -> bool {
        let mut command = Command::new(program);
        command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        hide_credentials(command.as_std_mut());
        matches!(tokio::time::timeout(LIMIT, command.status()).await, Ok(Ok(_)))
    }
}
