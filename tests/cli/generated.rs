//! Files made from the command tree are current. `MA_CLI_UPDATE=1 cargo nextest run generated` rewrites them.

use std::fs;
use std::path::Path;
use std::process::Command;

use ma_cli::cli::man;

#[test]
fn man_pages_are_current() {
    let is_update = std::env::var("MA_CLI_UPDATE").is_ok_and(|value| value == "1");
    let pages = man::pages();
    for (name, text) in &pages {
        let path = Path::new("man").join(name);
        if is_update {
            fs::write(&path, text).unwrap();
        }
        let current = fs::read_to_string(&path).unwrap_or_default();
        assert!(current == *text, "{} is not current; run: MA_CLI_UPDATE=1 cargo nextest run generated", path.display());
    }
    for entry in fs::read_dir("man").unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if !pages.iter().any(|(page, _)| *page == name) {
            assert!(is_update, "man/{name} belongs to no command");
            fs::remove_file(Path::new("man").join(name)).unwrap();
        }
    }
}

/// Every warning of the typesetter counts; it is one process for all pages.
#[test]
fn man_pages_are_clean_for_groff() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("groff");
    command.args(["-ww", "-man", "-Tutf8", "-z"]);
    for (name, text) in man::pages() {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        command.arg(path);
    }
    let output = command.output().expect("groff is needed for this test (scripts/test installs it)");
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && complaints.is_empty(), "{complaints}");
}
