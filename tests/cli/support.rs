//! A home of one's own, and the binary run in it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A fresh home directory; everything the binary writes goes there.
pub(crate) struct Home {
    folder: tempfile::TempDir,
}

/// What one run printed and how it ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Output {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) code: i32,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn profile_file(&self) -> PathBuf {
        self.path().join(".modelarts/ma-cli-profile.yaml")
    }

    /// A command with nothing inherited but the search path.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(binary());
        command.env_clear().env("HOME", self.path()).env("PATH", "/usr/local/bin:/usr/bin:/bin").current_dir(self.path());
        // The machine that runs the tests may be a cloud server.
        command.env("MA_CLI_METADATA_ENDPOINT", "off");
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.run_with(arguments, &[], "")
    }

    pub(crate) fn run_with(&self, arguments: &[&str], variables: &[(&str, &str)], input: &str) -> Output {
        let mut command = self.command();
        command.args(arguments).envs(variables.iter().copied());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // A binary that does not read its input closes the pipe early; that is no failure.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        Output {
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
            code: output.status.code().unwrap_or(-1),
        }
    }
}

/// The binary under test.
pub(crate) fn binary() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_ma-cli"))
}

/// A platform started by the binary, in a home of its own; stopped when the value is dropped.
pub(crate) struct LocalPlatform {
    pub(crate) home: Home,
    /// What `platform status -F json` says.
    pub(crate) status: serde_json::Value,
}

impl LocalPlatform {
    pub(crate) fn start() -> Self {
        let home = Home::new();
        let output = home.run(&["platform", "start", "--slots", "4"]);
        assert_eq!(output.code, 0, "{output:?}");
        let status = serde_json::from_str(&home.run(&["platform", "status", "-F", "json"]).stdout).unwrap();
        Self { home, status }
    }

    /// Runs the binary with the profile `local`.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.home.run_with(arguments, &[("MA_CLI_PROFILE", "local")], "")
    }

    /// A field of the status, as text.
    pub(crate) fn field(&self, name: &str) -> &str {
        self.status[name].as_str().unwrap()
    }

    /// Configures profile `name`: the platform's endpoints through a region file, and these options.
    pub(crate) fn configure(&self, name: &str, options: &[&str]) {
        let regions = serde_json::json!({self.field("region"): {
            "modelarts": self.field("endpoint"), "iam": self.field("endpoint"), "obs": self.field("obs_endpoint"),
        }});
        let file = self.home.path().join("regions.yaml");
        std::fs::write(&file, regions.to_string()).unwrap();
        let common = ["configure", "-P", name, "-rp", file.to_str().unwrap(), "-r", self.field("region")];
        let output = self.home.run(&[&common, options].concat());
        assert_eq!(output.code, 0, "{output:?}");
    }
}

impl Drop for LocalPlatform {
    fn drop(&mut self) {
        // Tasks go on when their platform stops, also those that it was just asked to end: only with their data do they all end.
        for arguments in [&["platform", "stop"][..], &["platform", "reset", "-y"]] {
            let output = self.home.run(arguments);
            // A second panic would hide the first.
            if !std::thread::panicking() {
                assert_eq!(output.code, 0, "{output:?}");
            }
        }
    }
}
