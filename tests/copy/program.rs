//! The real binary against a store.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::support::{ACCESS_KEY, REGION, SECRET_KEY, Store};

/// Runs the binary in a folder, with text on its standard input.
pub(crate) fn run_with_input(store: &Store, directory: &Path, arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_ma-cli"))
        .args(arguments)
        .env_clear()
        .env("HOME", directory)
        .env("MA_CLI_OBS_ENDPOINT", &store.endpoint)
        .env("HUAWEICLOUD_SDK_AK", ACCESS_KEY)
        .env("HUAWEICLOUD_SDK_SK", SECRET_KEY)
        .env("REGION_NAME", REGION)
        .env("PROJECT_ID", "none")
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may have ended without reading.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

/// Copies; fails the test unless the exit code is as expected. Gives standard output and standard error.
pub(crate) fn copy(store: &Store, directory: &Path, arguments: &[&str], expected: i32) -> (String, String) {
    let arguments: Vec<&str> = ["obs-copy"].into_iter().chain(arguments.iter().copied()).collect();
    let output = run_with_input(store, directory, &arguments, "");
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (out, error) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(expected), "{arguments:?}\n{out}\n{error}");
    (out, error)
}

/// The counts of a copy: files, skipped, deleted, failed.
pub(crate) fn counts(store: &Store, directory: &Path, arguments: &[&str], expected: i32) -> [u64; 4] {
    let arguments: Vec<&str> = arguments.iter().copied().chain(["-F", "json"]).collect();
    let (out, _) = copy(store, directory, &arguments, expected);
    let document: serde_json::Value = serde_json::from_str(&out).unwrap();
    ["files", "skipped", "deleted", "failed"].map(|name| document[name].as_u64().unwrap())
}

/// The lines of a file or an output that is JSON Lines.
pub(crate) fn json_lines(text: &str) -> Vec<serde_json::Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
