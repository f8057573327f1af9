//! Which files of a code folder an earlier upload brought there: a list beside the folder. What stands on it and is no longer
//! here is removed, so that a job runs what is here and nothing older; what somebody else put there stays.

use crate::error::Error;
use crate::obs::body::Payload;
use crate::obs::bytes::{GetOptions, PutOptions};
use crate::obs::{Client, ObsUrl};

/// Longest list that is read: a code folder has at most 1000 files, and a key 1024 bytes.
const LONGEST: usize = 2 << 20;

/// Removes what was uploaded earlier and is not among `names`, which end with NUL each; then notes these. Gives how many went.
///
/// # Errors
/// The store refuses.
pub(super) async fn replace(client: &Client, folder: &ObsUrl, names: Vec<u8>) -> Result<usize, Error> {
    let list = list_of(folder);
    let read = async |_: u32| client.get_once(&list, &GetOptions::default()).await?.body.collect(LONGEST).await;
    let earlier = match client.retrying(read).await {
        Ok(bytes) => bytes.to_vec(),
        Err(error) if error.is_not_found() => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let stale = gone(&earlier, &names);
    if !stale.is_empty() {
        let keys: Vec<String> = stale.iter().map(|name| format!("{}{name}", folder.key)).collect();
        client.delete_many(&folder.bucket, &keys).await?;
    }
    if earlier != names {
        let bytes = bytes::Bytes::from(names);
        let options = PutOptions { replaces: true, ..PutOptions::default() };
        client.retrying(async |_: u32| client.put_once(&list, Payload::Whole(bytes.clone()), &options).await).await?;
    }
    Ok(stale.len())
}

/// Where the list of a folder is: `code/.src.uploaded` for `code/src/`, which no job downloads.
fn list_of(folder: &ObsUrl) -> ObsUrl {
    let name = folder.name();
    let above = folder.key.trim_end_matches('/').strip_suffix(name).unwrap_or_default();
    ObsUrl::new(folder.bucket.clone(), format!("{above}.{name}.uploaded"))
}

/// Names of the earlier list that are not in the later one.
fn gone(earlier: &[u8], later: &[u8]) -> Vec<String> {
    let later: std::collections::BTreeSet<&[u8]> = later.split(|byte| *byte == 0).collect();
    let stale = earlier.split(|byte| *byte == 0).filter(|name| !name.is_empty() && !later.contains(name));
    stale.filter_map(|name| String::from_utf8(name.to_vec()).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::{gone, list_of};

    #[test]
    fn only_what_was_listed_and_is_not_here_goes() {
        assert_eq!(gone(b"a\0lib/b\0c\0", b"a\0d\0"), ["lib/b", "c"]);
        assert_eq!(gone(b"", b"a\0"), [""; 0]);
        let list = list_of(&"obs://b/jobs/n/code/src/".parse().unwrap());
        assert_eq!(list.to_string(), "obs://b/jobs/n/code/.src.uploaded");
    }
}
