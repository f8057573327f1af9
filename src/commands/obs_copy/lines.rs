//! What is said of a copy on standard output.

use crate::commands::obs_copy::report::Report;
use crate::copy::plan::Request;

/// The original's two lines: local paths are absolute, OBS paths as given.
pub(super) fn ok_lines(request: &Request, report: &Report, drop_last_dir: bool) -> [String; 2] {
    let source = |shown: &str| match drop_last_dir {
        true => shown.trim_end_matches('/').to_owned(),
        false => shown.to_owned(),
    };
    match request {
        Request::Upload { source: path, .. } => {
            [format!("local src path: [{}]", source(&absolute(path))), format!("obs dst path: [{}]", report.destination)]
        }
        Request::Download { destination, .. } => {
            [format!("obs src path: [{}]", source(&report.source)), format!("local dst path: [{}]", absolute(destination))]
        }
        Request::Copy { .. } => {
            [format!("obs src path: [{}]", source(&report.source)), format!("obs dst path: [{}]", report.destination)]
        }
    }
}

fn absolute(path: &std::path::Path) -> String {
    let slash = if path.as_os_str().as_encoded_bytes().ends_with(b"/") { "/" } else { "" };
    let clean: std::path::PathBuf = path.components().collect();
    let clean = clean.display().to_string();
    if clean.ends_with('/') { clean } else { format!("{clean}{slash}") }
}
