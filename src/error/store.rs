//! Errors of the object store, with what to do next.

use crate::error::{CONFIGURE, Error, Kind};
use crate::obs;

impl From<obs::Error> for Error {
    fn from(error: obs::Error) -> Self {
        // The code stands beside the message.
        let message = error.words();
        let hint = store_hint(&error);
        let (code, request_id) = (error.code().map(str::to_owned), error.request_id().map(str::to_owned));
        let mut shown = match error {
            obs::Error::Http(error) => error.into(),
            obs::Error::Auth(error) => error.into(),
            obs::Error::Exhausted { source, .. } => Self { message, ..(*source).into() },
            obs::Error::Url(_) => Self::new(Kind::Usage, message),
            obs::Error::Source(_) => Self::new(Kind::Local, message),
            obs::Error::Answer { .. } | obs::Error::Digest { .. } => Self::new(Kind::Service, message),
            error if error.is_elsewhere() => {
                Self::new(Kind::Config, message).hint("configure its region with: ma-cli configure --region REGION")
            }
            error if error.is_unauthenticated() => Self::new(Kind::Auth, message).hint(CONFIGURE),
            error if error.code() == Some("InvalidBucketName") => Self::new(Kind::Usage, message)
                .hint("a bucket's name has 3 to 63 characters: small letters, digits, dashes and dots"),
            error => match error.status() {
                Some(403) => {
                    Self::new(Kind::Forbidden, message).hint("the credentials lack a permission; see: ma-cli configure")
                }
                Some(404) => Self::new(Kind::NotFound, message),
                Some(409 | 412) => Self::new(Kind::Conflict, message),
                Some(429) => Self::new(Kind::Throttled, message).hint("try again later"),
                Some(501) => Self::new(Kind::Unsupported, message),
                _ => Self::new(Kind::Service, message),
            },
        };
        shown.hints.extend(hint);
        shown.code = code.or(shown.code);
        shown.request_id = request_id.or(shown.request_id);
        shown
    }
}

/// What to do when a bucket or an object is not there.
fn store_hint(error: &obs::Error) -> Option<String> {
    let service = error.service().filter(|service| service.status == 404)?;
    let (bucket, key) = service.target.strip_prefix(obs::ObsUrl::SCHEME)?.split_once('/')?;
    let is_plain = |text: &str| {
        text.chars().all(|character| character.is_ascii_graphic() && !"'\"\\$`&;|<>()*?[]!#~{}".contains(character))
    };
    if error.is_no_such_bucket() {
        // Nobody who deletes a bucket wants to hear how it is made.
        return (service.operation != "delete bucket" && is_plain(bucket))
            .then(|| format!("make it with: ma-cli obs mb obs://{bucket}"));
    }
    let folder = key.rfind('/').map_or("", |end| &key[..=end]);
    let is_object = !key.is_empty() && matches!(service.code.as_str(), "" | "NotFound" | "NoSuchKey");
    (is_object && is_plain(folder)).then(|| format!("see what is there: ma-cli obs ls obs://{bucket}/{folder}"))
}
