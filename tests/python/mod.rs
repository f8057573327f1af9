//! Programs of the virtual environment that `scripts/test` prepares: the vendor's SDKs, boto3, s5cmd.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ma_cli::settings::env::Env;

/// Runs a program of the environment with a clean set of variables and this standard input; gives what it printed. One that is
/// missing or fails fails the test.
pub(crate) async fn run(program: &str, arguments: &[&str], variables: &[(&str, &str)], input: &str) -> String {
    let path = environment().join("bin").join(program);
    let mut command = Command::new(&path);
    command.args(arguments).envs(variables.iter().copied());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let (shown, input) = (format!("{program} {arguments:?}"), input.to_owned());
    let wait = move || {
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{}: {error}; scripts/test makes it", path.display()));
        // One that does not read its input closes the pipe early.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    };
    let output = tokio::task::spawn_blocking(wait).await.unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{shown}\n{text}");
    text
}

/// The path of a script in `tests/sdk`.
pub(crate) fn script(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdk").join(name).display().to_string()
}

fn environment() -> PathBuf {
    let env = Env::from_process();
    if let Some(path) = env.get("MA_CLI_TEST_VENV") {
        return PathBuf::from(path);
    }
    env.get("XDG_CACHE_HOME").map_or_else(|| env.home.join(".cache"), PathBuf::from).join("ma-cli/venv")
}
