//! The session that README.md shows is what happens.

use std::process::Command;

use crate::support::binary;

#[test]
fn the_session_in_the_readme_is_current() {
    let output =
        Command::new("python3").arg("scripts/transcript").arg("--check").arg("--binary").arg(binary()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
