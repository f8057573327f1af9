//! The path of a request as a user writes it.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::api;
use crate::error::{Error, Kind};

/// What would end the path, or fall out of it, in a URL: no path of a control plane has it but encoded.
const LOST: &AsciiSet = &CONTROLS.add(b'#').add(b'\\').add(b' ');

/// Path and query. A whole URL is refused: the signature is for the service in use, not for any host.
///
/// # Errors
/// It is a URL.
pub(super) fn split(written: &str) -> Result<(String, Vec<(String, String)>), Error> {
    let (path, query) = written.split_once('?').unwrap_or((written, ""));
    if path.contains("://") {
        return Err(Error::new(Kind::Usage, format!("[{written}] is a URL; only its path is wanted"))
            .hint("another endpoint is chosen with a profile or, for example, MA_CLI_MODELARTS_ENDPOINT"));
    }
    let pairs = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    Ok((format!("/{}", utf8_percent_encode(path.trim_start_matches('/'), LOST)), pairs))
}

/// Refuses a path that is sent as another one.
///
/// # Errors
/// A part of it is `.` or `..`.
pub(super) fn check(path: &str) -> Result<(), Error> {
    if api::is_folded(path) {
        return Err(Error::new(Kind::Usage, format!("[{path}] has a part that is . or .., and names another path by it"))
            .hint("write the path that is meant"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{check, split};

    #[test]
    fn nothing_of_a_path_is_lost() {
        let path = |written: &str| split(written).unwrap().0;
        assert_eq!(path("v2/{project_id}/training-jobs/a#b"), "/v2/{project_id}/training-jobs/a%23b");
        assert_eq!(path("//v2/a\\b c\td/é%2F"), "/v2/a%5Cb%20c%09d/%C3%A9%2F");
        let (path, query) = split("/v2/x?to=https://y/#z&a=b+c").unwrap();
        assert_eq!(path, "/v2/x");
        assert_eq!(query, [("to", "https://y/#z"), ("a", "b c")].map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert!(split("https://elsewhere/v2/x").is_err());
    }

    #[test]
    fn a_path_that_is_folded_is_refused() {
        for path in ["/v2/p/../x", "/v2/p/.", "/v2/%2e%2E/x", "/v2/.%2e"] {
            assert!(check(path).is_err(), "{path}");
        }
        assert!(check("/v2/a..b/.../x.y/").is_ok());
    }
}
