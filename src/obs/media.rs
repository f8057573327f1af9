//! Media types by the ends of names: what people keep beside their training jobs. Small, sorted, and nothing else.

/// Ends of names in order, and what they say of the content.
const TYPES: &[(&str, &str)] = &[
    ("7z", "application/x-7z-compressed"),
    ("aac", "audio/aac"),
    ("arrow", "application/vnd.apache.arrow.file"),
    ("avi", "video/x-msvideo"),
    ("avif", "image/avif"),
    ("avro", "application/vnd.apache.avro"),
    ("bmp", "image/bmp"),
    ("bz2", "application/x-bzip2"),
    ("c", "text/x-c"),
    ("cfg", "text/plain"),
    ("conf", "text/plain"),
    ("cpp", "text/x-c"),
    ("css", "text/css"),
    ("csv", "text/csv"),
    ("doc", "application/msword"),
    ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("flac", "audio/flac"),
    ("gif", "image/gif"),
    ("gz", "application/gzip"),
    ("h5", "application/x-hdf5"),
    ("hdf5", "application/x-hdf5"),
    ("heic", "image/heic"),
    ("htm", "text/html"),
    ("html", "text/html"),
    ("ico", "image/vnd.microsoft.icon"),
    ("ini", "text/plain"),
    ("ipynb", "application/x-ipynb+json"),
    ("jar", "application/java-archive"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("js", "text/javascript"),
    ("json", "application/json"),
    ("jsonl", "application/jsonl"),
    ("log", "text/plain"),
    ("m4a", "audio/mp4"),
    ("md", "text/markdown"),
    ("mjs", "text/javascript"),
    ("mkv", "video/x-matroska"),
    ("mov", "video/quicktime"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("mpeg", "video/mpeg"),
    ("ogg", "audio/ogg"),
    ("parquet", "application/vnd.apache.parquet"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("ppt", "application/vnd.ms-powerpoint"),
    ("pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
    ("py", "text/x-python"),
    ("rs", "text/x-rust"),
    ("rst", "text/x-rst"),
    ("sh", "text/x-shellscript"),
    ("sql", "application/sql"),
    ("svg", "image/svg+xml"),
    ("tar", "application/x-tar"),
    ("tgz", "application/gzip"),
    ("tif", "image/tiff"),
    ("tiff", "image/tiff"),
    ("toml", "application/toml"),
    ("tsv", "text/tab-separated-values"),
    ("txt", "text/plain"),
    ("wasm", "application/wasm"),
    ("wav", "audio/wav"),
    ("webm", "video/webm"),
    ("webp", "image/webp"),
    ("whl", "application/zip"),
    ("xls", "application/vnd.ms-excel"),
    ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("xml", "application/xml"),
    ("xz", "application/x-xz"),
    ("yaml", "application/yaml"),
    ("yml", "application/yaml"),
    ("zip", "application/zip"),
    ("zst", "application/zstd"),
];

/// Longest end of a name that is looked up.
const LONGEST: usize = 8;

/// The media type that a key's end speaks of; none for ends that are not known, and for folders.
pub fn media_type(key: &str) -> Option<&'static str> {
    let (stem, end) = key.rsplit('/').next()?.rsplit_once('.')?;
    if stem.is_empty() || end.len() > LONGEST {
        return None;
    }
    let mut lower = [0; LONGEST];
    let lower = &mut lower[..end.len()];
    lower.copy_from_slice(end.as_bytes());
    lower.make_ascii_lowercase();
    TYPES.binary_search_by(|(known, _)| known.as_bytes().cmp(lower)).ok().map(|index| TYPES[index].1)
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, TYPES, media_type};

    #[test]
    fn the_table_can_be_searched() {
        assert!(TYPES.is_sorted_by(|(left, _), (right, _)| left < right));
        assert!(TYPES.iter().all(|(end, media)| end.len() <= LONGEST && media.contains('/')));
    }

    #[test]
    fn guesses_by_the_end() {
        let table = [
            ("a.csv", Some("text/csv")),
            ("d.d/B.JPG", Some("image/jpeg")),
            ("x.tar.gz", Some("application/gzip")),
            ("a.parquet", Some("application/vnd.apache.parquet")),
            ("model.safetensors", None),
            ("csv", None),
            (".csv", None),
            ("a.csv/", None),
            ("a.", None),
            ("", None),
        ];
        for (key, expected) in table {
            assert_eq!(media_type(key), expected, "{key}");
        }
    }
}
