//! Region names and the endpoints of their services.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;

use serde::Deserialize;

use crate::settings::Error;

/// The services the tool talks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    /// ModelArts itself.
    ModelArts,
    /// The object store.
    Obs,
    /// Identity.
    Iam,
    /// Image registry.
    Swr,
    /// Data Lake Insight.
    Dli,
}

impl Service {
    /// Every service.
    pub const ALL: [Self; 5] = [Self::ModelArts, Self::Obs, Self::Iam, Self::Swr, Self::Dli];

    /// The key of the service in region tables and profile files.
    pub fn name(self) -> &'static str {
        match self {
            Self::ModelArts => "modelarts",
            Self::Obs => "obs",
            Self::Iam => "iam",
            Self::Swr => "swr",
            Self::Dli => "dli",
        }
    }

    /// The environment variable that overrides its endpoint.
    pub fn variable(self) -> &'static str {
        match self {
            Self::ModelArts => "MA_CLI_MODELARTS_ENDPOINT",
            Self::Obs => "MA_CLI_OBS_ENDPOINT",
            Self::Iam => "MA_CLI_IAM_ENDPOINT",
            Self::Swr => "MA_CLI_SWR_ENDPOINT",
            Self::Dli => "MA_CLI_DLI_ENDPOINT",
        }
    }

    /// First label of the service's public host name.
    fn host_label(self) -> &'static str {
        match self {
            Self::Swr => "swr-api",
            other => other.name(),
        }
    }
}

#[derive(Debug, Deserialize)]
struct Table {
    #[serde(rename = "x-source")]
    source: String,
    regions: BTreeMap<String, BTreeMap<String, String>>,
}

fn table() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE
        .get_or_init(|| serde_json::from_str(include_str!("data/regions.json")).expect("the region table is checked by a test"))
}

/// Whether the built-in table knows the region.
pub fn is_known(region: &str) -> bool {
    table().regions.contains_key(region)
}

/// Which API catalogue the table and the requests were made from: the version of the vendor's SDKs.
pub fn catalogue() -> &'static str {
    table().source.rsplit(' ').next().unwrap_or_default()
}

/// The names of all regions in the built-in table.
pub fn names() -> impl Iterator<Item = &'static str> {
    table().regions.keys().map(String::as_str)
}

/// The endpoint of a service in a region: from the table, else by the pattern `https://<service>.<region>.myhuaweicloud.com`
/// that all but a few regions follow.
pub fn endpoint(region: &str, service: Service) -> String {
    table()
        .regions
        .get(region)
        .and_then(|services| services.get(service.name()))
        .cloned()
        .unwrap_or_else(|| format!("https://{}.{region}.myhuaweicloud.com", service.host_label()))
}

/// Reads a region file (`--region-profile`): a YAML mapping of region name to a mapping of service name to endpoint, for
/// regions that are not in the table or are reached another way.
///
/// # Errors
/// The file cannot be read or is not such a mapping.
pub fn read_file(path: &Path) -> Result<BTreeMap<String, BTreeMap<String, String>>, Error> {
    let text = std::fs::read_to_string(path).map_err(|source| Error::File { doing: "read", path: path.to_owned(), source })?;
    serde_saphyr::from_str(&text)
        .map_err(|error| Error::Syntax { path: path.to_owned(), message: crate::settings::yaml::sentence(&error) })
}

#[cfg(test)]
mod tests {
    use super::{Service, endpoint, is_known, names};

    #[test]
    fn the_table_is_readable_and_gives_urls() {
        assert!(names().count() > 30);
        for region in names() {
            for service in Service::ALL {
                assert!(endpoint(region, service).starts_with("https://"), "{region} {service:?}");
            }
        }
        assert!(is_known("cn-north-4"));
        assert!(!is_known("cn-nowhere-1"));
    }

    #[test]
    fn an_unknown_region_follows_the_pattern() {
        assert_eq!(endpoint("cn-nowhere-1", Service::Swr), "https://swr-api.cn-nowhere-1.myhuaweicloud.com");
        assert_eq!(endpoint("ap-southeast-1", Service::ModelArts), "https://modelarts.ap-southeast-1.myhuaweicloud.cn");
    }
}
