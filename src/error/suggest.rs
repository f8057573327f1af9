//! What somebody may have meant.

use std::path::{Path, PathBuf};

/// From this likeness on (Jaro-Winkler, 0 to 1) two names are taken for the same one, mistyped.
const LIKE: f64 = 0.85;

/// Most files of a folder that are looked at.
const MOST_FILES: usize = 10_000;

/// Least characters of a word of which one slip leaves enough to recognize it by.
const RECOGNIZABLE: usize = 3;

/// The known name most like the one that was written, if any is like it.
pub fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = written.to_lowercase();
    // Of short names the likeness is small after one slip already.
    let is_slip = |name: &str| lower.chars().count() >= RECOGNIZABLE && strsim::osa_distance(name, &lower) <= 1;
    known
        .into_iter()
        .map(|name| (name.to_lowercase(), name))
        .map(|(known, name)| (strsim::jaro_winkler(&known, &lower), is_slip(&known), name))
        .filter(|(likeness, is_slip, _)| *likeness > LIKE || *is_slip)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, _, name)| name)
}

/// The file beside one that is not there whose name is most like its name, if any is like it.
pub fn nearest_file(missing: &Path) -> Option<PathBuf> {
    let written = missing.file_name()?.to_str()?;
    let folder = missing.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let entries = std::fs::read_dir(folder).ok()?.take(MOST_FILES).flatten();
    let names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    nearest(written, names.iter().map(String::as_str)).map(|name| missing.with_file_name(name))
}

#[cfg(test)]
mod tests {
    use super::{nearest, nearest_file};

    #[test]
    fn the_file_beside_is_found() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("job.yaml"), "").unwrap();
        assert_eq!(nearest_file(&folder.path().join("jbo.yaml")), Some(folder.path().join("job.yaml")));
        assert_eq!(nearest_file(&folder.path().join("other.txt")), None);
        assert_eq!(nearest_file(&folder.path().join("none/job.yaml")), None);
    }

    #[test]
    fn a_slip_is_recognized_and_another_word_is_not() {
        let known = ["get-job", "get-log", "submit"];
        assert_eq!(nearest("get-lgo", known), Some("get-log"));
        assert_eq!(nearest("SUBMTI", known), Some("submit"));
        assert_eq!(nearest("frobnicate", known), None);
        assert_eq!(nearest("dve", ["local", "dev", "prod"]), Some("dev"));
        assert_eq!((nearest("josn", ["table", "json", "jsonl"]), nearest("dx", ["ab", "dev"])), (Some("json"), None));
        assert_eq!(nearest("x", []), None);
    }
}
