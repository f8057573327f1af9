//! An algorithm by the id that somebody wrote, or which one may have been meant.

use futures_util::TryStreamExt as _;

use crate::api::modelarts::algorithm::{self, Algorithm, Filter};
use crate::api::{self, Api};
use crate::error::{Error, Kind, nearest};

/// What the service answered about the algorithm with that id.
///
/// # Errors
/// There is no such algorithm, with one that is like it; the service refuses.
pub(super) async fn found<T>(api: &Api, id: &str, answer: Result<T, api::Error>) -> Result<T, Error> {
    match answer {
        Ok(found) => Ok(found),
        Err(error) => {
            let error = Error::from(error).context(&format!("algorithm [{id}]"));
            Err(if error.kind == Kind::NotFound { advise(api, id, error).await } else { error })
        }
    }
}

/// Adds which algorithm may have been meant, if they can be asked for.
async fn advise(api: &Api, id: &str, error: Error) -> Error {
    let filter = Filter::default();
    let Ok(known) = algorithm::list(api, &filter).try_collect::<Vec<Algorithm>>().await else { return error };
    let by_name = known.iter().find(|algorithm| algorithm.name() == id);
    let ids: Vec<String> = known.iter().map(Algorithm::id).collect();
    let by_id = || known.iter().find(|algorithm| Some(algorithm.id().as_str()) == nearest(id, ids.iter().map(String::as_str)));
    match by_name.or_else(by_id) {
        Some(meant) => error.hint(format!("did you mean [{}], the algorithm named [{}]?", meant.id(), meant.name())),
        None => error.hint("list them with: ma-cli algorithm list"),
    }
}
