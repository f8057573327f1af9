//! What bytes of strangers reach: keys of a listing, listings themselves, headers and addresses. Each takes any bytes and panics
//! when something that always holds does not. Run by `cargo fuzz`, and by `tests/copy/fuzz.rs` with random bytes.

use ma_cli::copy::key::{Conflicts, Place, place};
use ma_cli::obs::ObsUrl;
use ma_cli::obs::bytes::parse_content_range;
use ma_cli::obs::page::parse_page;

/// Lines are the keys of a listing; the first is the prefix. No place is outside, and no file is a folder of another.
pub(crate) fn keys(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut lines = text.split('\n');
    let prefix = lines.next().unwrap_or_default();
    let mut keys: Vec<String> = lines.map(|line| format!("{prefix}{line}")).collect();
    keys.extend(text.split('\n').map(str::to_owned));
    keys.sort_unstable();
    keys.dedup();
    let mut conflicts = Conflicts::default();
    let mut files: Vec<String> = Vec::new();
    for key in &keys {
        let Ok(found) = place(prefix, key) else { continue };
        let (Place::File(path) | Place::Folder(path)) = &found;
        assert!(key.starts_with(prefix) && !path.starts_with('/') && !path.contains('\0'), "{key:?}");
        let usable = |name: &str| !matches!(name, "" | "." | "..") && name.len() <= 255;
        assert!(path.split('/').all(usable) || (path.is_empty() && matches!(found, Place::Folder(_))), "{key:?}");
        if conflicts.check(&found).is_ok() {
            let above = |file: &String| path.strip_prefix(file.as_str()).is_some_and(|rest| rest.starts_with('/'));
            assert!(!files.iter().any(above), "{key:?} lies below a file");
            if let Place::File(path) = found {
                files.push(path);
            }
        }
    }
}

/// A page of a listing: any document is read or refused, and what is read has keys.
pub(crate) fn listing(data: &[u8]) {
    if let Ok(page) = parse_page(data) {
        assert!(page.entries.iter().all(|entry| !entry.etag.starts_with('"')), "{page:?}");
    }
}

/// Headers of answers, and addresses that users write.
pub(crate) fn words(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Some((first, last, size)) = parse_content_range(&text) {
        assert!(first <= last && last < size, "{text:?}");
    }
    if let Ok(url) = text.parse::<ObsUrl>() {
        let again: ObsUrl = url.to_string().parse().expect("what was an address stays one");
        assert_eq!(again, url, "{text:?}");
    }
}
