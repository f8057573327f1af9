//! What somebody may have meant.

/// From this likeness on (Jaro-Winkler, 0 to 1) two names are taken for the same one, mistyped.
const LIKE: f64 = 0.85;

/// The known name most like the one that was written, if any is like it.
pub fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = written.to_lowercase();
    known
        .into_iter()
        .map(|name| (strsim::jaro_winkler(&name.to_lowercase(), &lower), name))
        .filter(|(likeness, _)| *likeness > LIKE)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_is_recognized_and_another_word_is_not() {
        let known = ["get-job", "get-log", "submit"];
        assert_eq!(nearest("get-lgo", known), Some("get-log"));
        assert_eq!(nearest("SUBMTI", known), Some("submit"));
        assert_eq!(nearest("frobnicate", known), None);
        assert_eq!(nearest("x", []), None);
    }
}
