//! The profile file that a platform writes into its data directory: the built-in profile `local` is this file.

use std::path::Path;

use serde_json::json;

use super::error::Error;
use super::files::{self, write_private};
use super::identity::Account;

/// Name of the one profile in the file.
pub const PROFILE: &str = "local";

/// Writes the file, readable by its owner only.
///
/// # Errors
/// The data directory cannot be written.
pub(crate) fn write(data_dir: &Path, account: &Account, endpoint: &str, obs_endpoint: &str) -> Result<(), Error> {
    let profile = json!({PROFILE: {
        "auth": "AKSK",
        "access_key": account.access_key,
        "secret_key": account.secret_key.expose(),
        "region": account.region,
        "project_id": account.project_id,
        "account": account.domain_name,
        "username": account.user_name,
        "password": account.password.expose(),
        "endpoints": {
            "modelarts": endpoint,
            "obs": obs_endpoint,
            "iam": endpoint,
            "swr": endpoint,
            "dli": endpoint,
        },
    }});
    let path = data_dir.join(files::CLIENT_PROFILE);
    let text =
        serde_saphyr::to_string(&profile).map_err(|error| Error::Damaged { path: path.clone(), problem: error.to_string() })?;
    write_private(&path, format!("# Written by `ma-cli platform start`; changes are lost.\n{text}").as_bytes())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::{Account, write};

    #[test]
    fn the_file_reads_back_as_what_was_meant() {
        let folder = tempfile::tempdir().unwrap();
        // Ids of digits only must stay texts.
        let account = Account { project_id: "1".repeat(32), ..Account::random().unwrap() };
        write(folder.path(), &account, "http://127.0.0.1:1", "http://127.0.0.1:2").unwrap();
        let text = std::fs::read_to_string(folder.path().join("client.yaml")).unwrap();
        let document: Value = serde_saphyr::from_str(&text).unwrap();
        let profile = &document["local"];
        assert_eq!(profile["project_id"], account.project_id);
        assert_eq!(profile["secret_key"], account.secret_key.expose());
        assert_eq!(profile["endpoints"]["obs"], "http://127.0.0.1:2");
        assert_eq!(profile["endpoints"]["iam"], "http://127.0.0.1:1");
    }
}
