//! Region names and the endpoints of their services.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;

use serde::Deserialize;

use crate::settings::resolve::Reader;
use crate::settings::{Error, Sourced};

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

/// Region names to services to endpoints.
pub type Regions = BTreeMap<String, BTreeMap<String, String>>;

#[derive(Debug, Deserialize)]
struct Table {
    #[serde(rename = "x-source")]
    source: String,
    regions: Regions,
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

/// The name of a region as it can stand in a host name, in small letters; anything else could name another host.
pub fn parse(name: &str) -> Option<String> {
    let name = name.to_ascii_lowercase();
    let is_label = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let is_whole = !name.starts_with('-') && !name.ends_with('-') && (1..=63).contains(&name.len());
    (is_label && is_whole).then_some(name)
}

/// Which API catalogue the table and the requests were made from: the version of the vendor's SDKs.
pub fn catalogue() -> &'static str {
    table().source.rsplit(' ').next().unwrap_or_default()
}

/// The name of a region of another cloud, whose endpoints are given: none is made from it, so it leads to no host.
pub fn foreign(name: &str) -> Option<String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (!name.is_empty() && name.len() <= 63 && name.bytes().all(is_plain)).then(|| name.to_owned())
}

/// The names of all regions in the built-in table.
pub fn names() -> impl Iterator<Item = &'static str> {
    table().regions.keys().map(String::as_str)
}

/// Whether the built-in table has that endpoint, so that it is not made from the name.
pub fn is_listed(region: &str, service: Service) -> bool {
    table().regions.get(region).is_some_and(|services| services.contains_key(service.name()))
}

/// The endpoint of a service in a region: from the table, else by the pattern `https://<service>.<region>.myhuaweicloud.com`
/// that all but a few regions follow. `region` is what [`parse`] gave.
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
pub fn read_file(path: &Path) -> Result<Regions, Error> {
    let text = std::fs::read_to_string(path).map_err(|source| Error::File { doing: "read", path: path.to_owned(), source })?;
    serde_saphyr::from_str(&text)
        .map_err(|error| Error::Syntax { path: path.to_owned(), message: crate::settings::yaml::sentence(&error) })
}

impl Reader<'_> {
    /// The regions of the profile's own file, with their endpoints.
    ///
    /// # Errors
    /// As [`read_file`].
    pub(super) fn regions(&self) -> Result<Regions, Error> {
        match self.text("region_profile")? {
            Some(path) => read_file(&self.env.directory.join(path)),
            None => Ok(Regions::default()),
        }
    }

    /// The region. The profile's own file may name regions as it likes.
    ///
    /// # Errors
    /// What is given is no name of a region.
    pub(super) fn region(&self, regions: &Regions) -> Result<Option<Sourced<String>>, Error> {
        let Some(Sourced { value: name, origin }) = self.value("region", &["REGION_NAME"])? else { return Ok(None) };
        let value = if regions.contains_key(&name) { Some(name.clone()) } else { parse(&name).or_else(|| foreign(&name)) };
        match value {
            Some(value) => Ok(Some(Sourced { value, origin })),
            None => Err(Error::Region { name, origin }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Service, endpoint, is_known, names, parse};
    use crate::settings::env::Env;
    use crate::settings::{Error, Flags, Origin, Settings};

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
    fn a_name_that_could_lead_elsewhere_is_no_region() {
        assert!(names().all(|name| parse(name).as_deref() == Some(name)));
        assert_eq!(parse("CN-NORTH-4").as_deref(), Some("cn-north-4"));
        for name in ["", "-a", "a-", "evil.example/#", "x@127.0.0.1:1/#", "../..", "a\nb", "cn north", "a.b", "cn-n\u{f6}rd"] {
            assert_eq!(parse(name), None, "{name:?}");
        }
        assert_eq!(parse(&"a".repeat(64)), None);
    }

    #[test]
    fn an_unknown_region_follows_the_pattern() {
        assert_eq!(endpoint("cn-nowhere-1", Service::Swr), "https://swr-api.cn-nowhere-1.myhuaweicloud.com");
        assert_eq!(endpoint("ap-southeast-1", Service::ModelArts), "https://modelarts.ap-southeast-1.myhuaweicloud.cn");
    }

    #[test]
    fn a_region_chooses_no_host() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join(".modelarts/ma-cli-profile.yaml");
        fs::create_dir(home.path().join(".modelarts")).unwrap();
        fs::write(home.path().join("regions.yaml"), "My_Region: {iam: 'https://iam.example'}\n").unwrap();
        fs::write(&file, "own: {region: My_Region, region_profile: regions.yaml}\nbad: {region: 'a/b'}\n").unwrap();
        let resolve = |profile: Option<&str>, variables: &[(&str, &str)]| {
            let flags = Flags { profile: profile.map(str::to_owned), ..Flags::default() };
            Settings::resolve(&flags, &Env::for_tests(variables, home.path()))
        };
        for name in ["evil.example/#", "x@127.0.0.1:18443/#", "../..", "cn north"] {
            let error = resolve(None, &[("REGION_NAME", name)]).unwrap_err();
            assert!(matches!(&error, Error::Region { origin: Origin::Environment("REGION_NAME"), .. }), "{error}");
        }
        let settings = resolve(None, &[("REGION_NAME", "CN-North-4")]).unwrap();
        assert_eq!(settings.endpoint(Service::Iam).unwrap().value, "https://iam.cn-north-4.myhuaweicloud.com");
        // A file of one's own names regions as it likes; nothing is derived from such a name.
        let settings = resolve(Some("own"), &[]).unwrap();
        assert_eq!(settings.endpoint(Service::Iam).unwrap().value, "https://iam.example");
        assert!(settings.endpoint(Service::Obs).is_err());
        assert!(matches!(resolve(Some("bad"), &[]), Err(Error::Region { .. })));
    }
}
