//! Keys of a profile that nothing reads: most are slips of the keyboard.

use serde_json::{Map, Value};

use crate::settings::Service;
use crate::settings::stored::LOGGED_OUT;

/// The keys that have a meaning.
const KEYS: [&str; 21] = [
    "auth",
    "account",
    "username",
    "password",
    "access_key",
    "secret_key",
    "security_token",
    "region",
    "region_profile",
    "project_id",
    "endpoints",
    "store",
    LOGGED_OUT,
    "agency_name",
    "agency_domain",
    "proxy",
    "no_proxy",
    "ca_bundle",
    "connect_timeout",
    "read_timeout",
    "attempts",
];

/// A key without a meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// The key as it is written.
    pub key: String,
    /// The keys that have a meaning at its place.
    pub known: Vec<&'static str>,
}

/// The keys of a profile, and of its endpoints, that have no meaning.
pub(super) fn find(entry: &Map<String, Value>) -> Vec<Unknown> {
    let endpoints = entry.get("endpoints").and_then(Value::as_object);
    let services: Vec<&'static str> = Service::ALL.iter().map(|service| service.name()).collect();
    let places = [(Some(entry), KEYS.to_vec()), (endpoints, services)];
    let unknown = places.into_iter().flat_map(|(mapping, known)| {
        let keys = mapping.into_iter().flat_map(Map::keys).cloned().collect::<Vec<_>>();
        keys.into_iter()
            .filter(|key| !known.contains(&key.as_str()))
            .map(|key| Unknown { key, known: known.clone() })
            .collect::<Vec<_>>()
    });
    unknown.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::find;

    #[test]
    fn keys_without_a_meaning_are_found_below_endpoints_too() {
        let entry = json!({"auth": "AKSK", "regoin": "r", "endpoints": {"obs": "h", "modelart": "h"}});
        let found = find(entry.as_object().unwrap());
        let keys: Vec<&str> = found.iter().map(|unknown| unknown.key.as_str()).collect();
        assert_eq!(keys, ["regoin", "modelart"]);
        assert!(found[0].known.contains(&"region") && found[1].known.contains(&"modelarts"));
    }
}
