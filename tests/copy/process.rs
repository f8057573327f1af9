//! The real binary as a process that can be watched, interrupted and killed.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::support::{ACCESS_KEY, REGION, SECRET_KEY};

/// Longer than anything here takes on a busy machine: 20,000 files of the soak to SeaweedFS, for example.
const DEADLINE: Duration = Duration::from_secs(600);

/// `ma-cli` with a home folder and a store.
pub(crate) fn command(home: &Path, endpoint: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ma-cli"));
    command
        .args(arguments)
        .env_clear()
        .env("HOME", home)
        .env("MA_CLI_OBS_ENDPOINT", endpoint)
        .env("HUAWEICLOUD_SDK_AK", ACCESS_KEY)
        .env("HUAWEICLOUD_SDK_SK", SECRET_KEY)
        .env("REGION_NAME", REGION)
        .env("PROJECT_ID", "none")
        .current_dir(home)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// A started command; killed when dropped.
pub(crate) struct Process(Option<Child>);

impl Process {
    pub(crate) fn start(mut command: Command) -> Self {
        Self(Some(command.spawn().unwrap()))
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.0.as_ref().unwrap().id().to_string();
        // It may have ended meanwhile.
        let _ = Command::new("kill").args([&format!("-{name}"), &id]).stderr(Stdio::null()).status().unwrap();
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.0.as_mut().unwrap().try_wait().unwrap().is_some()
    }

    /// Waits until it is so, or the process has ended; whether it is so.
    pub(crate) async fn until(&mut self, is_so: impl Fn() -> bool) -> bool {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if is_so() {
                return true;
            }
            if self.has_ended() {
                return false;
            }
            assert!(Instant::now() < deadline, "nothing happens");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    pub(crate) async fn output(mut self) -> Output {
        self.until(|| false).await;
        self.0.take().unwrap().wait_with_output().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Runs a command to its end.
pub(crate) async fn run(home: &Path, endpoint: &str, arguments: &[&str]) -> Output {
    Process::start(command(home, endpoint, arguments)).output().await
}

/// Standard error as text.
pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
