//! Values of `configure show` that need more than a look into the settings.

use time::format_description::well_known::Rfc3339;

use crate::auth::Credential;
use crate::auth::secret::{MASK, masked};
use crate::commands::configure::show::Row;
use crate::settings::{Origin, Service, Settings, Sourced, region};

/// Where an endpoint comes from; whether the region's is known or made from its name.
pub(super) fn origin(settings: &Settings, service: Service, endpoint: &Sourced<String>) -> String {
    match (&endpoint.origin, &settings.region) {
        (Origin::Region, Some(found)) if !region::is_listed(&found.value, service) => {
            format!("guessed from region [{}]", found.value)
        }
        (Origin::Region, _) => "table of regions".to_owned(),
        (origin, _) => origin.to_string(),
    }
}

/// The keys that the surroundings gave.
pub(super) fn given(keys: &Credential, origin: &str) -> Vec<Row> {
    let token = keys.security_token.as_ref().map(|_| ("security_token", MASK.to_owned()));
    let end = keys.expires_at.and_then(|end| end.format(&Rfc3339).ok()).map(|end| ("expires_at", end));
    let values = [("access_key", masked(&keys.access_key)), ("secret_key", MASK.to_owned())];
    let values = values.into_iter().chain(token).chain(end);
    values.map(|(name, value)| (name.to_owned(), value.into(), origin.to_owned())).collect()
}
