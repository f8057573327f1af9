//! The one function that knows the order of precedence.

use std::path::PathBuf;

use serde_json::{Map, Value};

use crate::settings::env::Env;
use crate::settings::place::{config_file, missing_profile, profile_name};
use crate::settings::profile::ProfileFile;
use crate::settings::region::Regions;
use crate::settings::{Error, Flags, Origin, Service, Settings, Sourced, endpoint, region, unknown};

impl Settings {
    /// Resolves all settings from flags, environment and files.
    ///
    /// # Errors
    /// A file that cannot be read or understood, a profile that was named and is not there.
    pub fn resolve(flags: &Flags, env: &Env) -> Result<Self, Error> {
        Self::resolve_with(flags, env, None)
    }

    /// As [`Self::resolve`], with `draft` in place of the profile in the file: one that is about to be written.
    ///
    /// # Errors
    /// As [`Self::resolve`].
    pub fn resolve_with(flags: &Flags, env: &Env, draft: Option<&Map<String, Value>>) -> Result<Self, Error> {
        let profile = profile_name(flags, env);
        let config_file = config_file(flags, env, &profile.value);
        let file = ProfileFile::read(&config_file.value)?;
        let entry = draft.or_else(|| file.get(&profile.value));
        // Whoever names a profile or a file means it; falling through to other credentials would act on another account.
        if entry.is_none() && (profile.origin != Origin::Default || config_file.origin != Origin::Default) {
            return Err(missing_profile(flags, &profile.value, &config_file.value, &file));
        }
        let empty = Map::new();
        let reader = Reader {
            env,
            entry: entry.unwrap_or(&empty),
            origin: Origin::Profile { name: profile.value.clone(), path: config_file.value.clone() },
            // An explicit `-P` or `-C` is a flag and beats the environment; the DEFAULT profile does not.
            is_profile_first: flags.profile.is_some() || flags.config_file.is_some(),
        };
        let regions = reader.regions()?;
        let region = reader.region(&regions)?;
        let found = reader.identity(&profile.value)?;
        // An agency is for whoever its profile says. Keys that come before the profile are used as they are, unless the command line
        // names the profile: they may be the agency's own, exported.
        let comes_before = matches!(&found.identity, Some(Sourced { origin: Origin::Environment(_), .. }));
        let agency = if comes_before && !reader.is_profile_first { None } else { reader.agency()? };
        // Writing makes the file private.
        let warnings = if draft.is_none() { file.warning(&flags.options()).into_iter().collect() } else { Vec::new() };
        Ok(Self {
            project_id: reader.value("project_id", &["HUAWEICLOUD_SDK_PROJECT_ID", "PROJECT_ID"])?,
            identity: found.identity,
            identity_steps: found.steps,
            agency,
            store: reader.sourced_store()?,
            unknown_keys: unknown::find(reader.entry),
            network: reader.network(flags)?,
            endpoints: reader.endpoints(region.as_ref(), &regions)?,
            region,
            profile,
            config_file,
            verify_tls: !flags.no_verify_ssl,
            warnings,
        })
    }
}

/// Reads single values from profile and environment in the order that holds for this run.
pub(super) struct Reader<'a> {
    pub(super) env: &'a Env,
    pub(super) entry: &'a Map<String, Value>,
    pub(super) origin: Origin,
    pub(super) is_profile_first: bool,
}

impl Reader<'_> {
    /// A text value: from the profile's key or the first of the variables that is set.
    pub(super) fn value(&self, key: &str, variables: &[&'static str]) -> Result<Option<Sourced<String>>, Error> {
        let from_profile = self.text(key)?.map(|value| Sourced { value, origin: self.origin.clone() });
        let from_environment = variables.iter().find_map(|name| {
            let value = self.env.get(name)?.to_owned();
            Some(Sourced { value, origin: Origin::Environment(name) })
        });
        Ok(self.first(from_profile, from_environment))
    }

    pub(super) fn first<T>(&self, from_profile: Option<T>, from_environment: Option<T>) -> Option<T> {
        if self.is_profile_first { from_profile.or(from_environment) } else { from_environment.or(from_profile) }
    }

    /// A profile value as text; numbers are taken as written, anything nested is an error.
    pub(super) fn text(&self, key: &str) -> Result<Option<String>, Error> {
        match self.entry.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            Some(_) => Err(self.wrong(key, "a text is expected")),
        }
    }

    pub(super) fn wrong(&self, key: &str, message: &str) -> Error {
        let (profile, path) = match &self.origin {
            Origin::Profile { name, path } => (name.clone(), path.clone()),
            _ => (String::new(), PathBuf::new()),
        };
        Error::Value { path, profile, key: key.to_owned(), message: message.to_owned() }
    }

    fn endpoints(&self, region: Option<&Sourced<String>>, regions: &Regions) -> Result<Vec<(Service, Sourced<String>)>, Error> {
        let in_profile = match self.entry.get("endpoints") {
            None | Some(Value::Null) => None,
            Some(Value::Object(endpoints)) => Some(endpoints),
            Some(_) => return Err(self.wrong("endpoints", "a mapping of service to URL is expected")),
        };
        let mut found = Vec::new();
        for service in Service::ALL {
            let profile_value = in_profile
                .and_then(|endpoints| endpoints.get(service.name()))
                .and_then(Value::as_str)
                .filter(|url| !url.is_empty())
                .or_else(|| regions.get(&region?.value)?.get(service.name()).map(String::as_str))
                .map(|url| Sourced { value: url.to_owned(), origin: self.origin.clone() });
            let from_environment = self
                .env
                .get(service.variable())
                .map(|url| Sourced { value: url.to_owned(), origin: Origin::Environment(service.variable()) });
            let derived = || {
                let name = region::parse(&region?.value)?;
                Some(Sourced { value: region::endpoint(&name, service), origin: Origin::Region })
            };
            if let Some(mut endpoint) = self.first(profile_value, from_environment).or_else(derived) {
                endpoint.value = endpoint::parse(&endpoint.value).map_err(|message| Error::Endpoint {
                    service: service.name(),
                    origin: endpoint.origin.clone(),
                    message,
                })?;
                found.push((service, endpoint));
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::{Flags, Service, Settings};
    use crate::auth::report::Outcome;
    use crate::settings::env::Env;
    use crate::settings::{Broken, Error, Identity, Origin};

    const PROFILES: &str = "
DEFAULT: {auth: AKSK, access_key: AK0, secret_key: SK0, region: cn-north-4, project_id: p0}
work:
  auth: PWD
  username: ann
  password: secret
  region: cn-east-3
  endpoints: {obs: 'http://127.0.0.1:9000/'}
half: {secret_key: SK}
out: {auth: PWD, account: acme, username: ann, region: cn-north-4}
spent: {access_key: AK}
bare: {region: cn-north-4}
net: {proxy: 'http://proxy.example:3128', connect_timeout: 3, read_timeout: 1.5, ca_bundle: ca.pem}
wrong: {attempts: 0}
agent: {agency_name: helper, agency_domain: acme}
lost: {agency_name: helper}
";

    fn home() -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join(".modelarts")).unwrap();
        fs::write(home.path().join(".modelarts/ma-cli-profile.yaml"), PROFILES).unwrap();
        home
    }

    fn resolve(home: &Path, profile: Option<&str>, variables: &[(&str, &str)]) -> Result<Settings, Error> {
        let flags = Flags { profile: profile.map(str::to_owned), ..Flags::default() };
        Settings::resolve(&flags, &Env::for_tests(variables, home))
    }

    fn access_key(settings: &Settings) -> Option<&str> {
        match &settings.identity.as_ref()?.value {
            Identity::Keys { access_key, .. } => Some(access_key),
            _ => None,
        }
    }

    #[test]
    fn the_environment_beats_the_default_profile() {
        let home = home();
        let variables =
            [("HUAWEICLOUD_SDK_AK", "AK1"), ("HUAWEICLOUD_SDK_SK", "SK1"), ("REGION_NAME", "la-south-2"), ("PROJECT_ID", "p1")];
        let settings = resolve(home.path(), None, &variables).unwrap();
        assert_eq!(access_key(&settings), Some("AK1"));
        assert_eq!(settings.region.unwrap().value, "la-south-2");
        assert_eq!(settings.project_id.unwrap().value, "p1");
    }

    #[test]
    fn an_explicit_profile_beats_the_environment() {
        let home = home();
        let variables = [
            ("HUAWEICLOUD_SDK_AK", "AK1"),
            ("HUAWEICLOUD_SDK_SK", "SK1"),
            ("REGION_NAME", "la-south-2"),
            ("MA_CLI_OBS_ENDPOINT", "http://elsewhere"),
        ];
        let settings = resolve(home.path(), Some("work"), &variables).unwrap();
        assert!(matches!(&settings.identity.as_ref().unwrap().value,
            Identity::Password { account, username, .. } if account == "ann" && username == "ann"));
        assert_eq!(settings.endpoint(Service::Obs).unwrap().value, "http://127.0.0.1:9000");
        assert_eq!(settings.endpoint(Service::ModelArts).unwrap().value, "https://modelarts.cn-east-3.myhuaweicloud.com");
    }

    #[test]
    fn nothing_configured_is_not_an_error_until_it_is_needed() {
        let home = tempfile::tempdir().unwrap();
        let settings = resolve(home.path(), None, &[]).unwrap();
        assert!(settings.identity.is_none());
        assert!(matches!(settings.endpoint(Service::Obs), Err(Error::NoEndpoint { service: "obs", .. })));
    }

    #[test]
    fn a_named_profile_must_exist() {
        let home = home();
        let error = resolve(home.path(), Some("wrok"), &[]).unwrap_err();
        assert!(
            matches!(error, Error::NoProfile { known, .. } if known.starts_with(&["DEFAULT".to_owned(), "work".to_owned()]))
        );
        assert!(matches!(resolve(home.path(), Some("local"), &[]), Err(Error::NoPlatform { .. })));
    }

    #[test]
    fn a_named_file_must_hold_the_profile() {
        let home = home();
        let keys = [("HUAWEICLOUD_SDK_AK", "AK1"), ("HUAWEICLOUD_SDK_SK", "SK1")];
        let flags = Flags { config_file: Some("no-such-file.yaml".into()), ..Flags::default() };
        assert!(matches!(Settings::resolve(&flags, &Env::for_tests(&keys, home.path())), Err(Error::NoProfile { .. })));
        let variables = [keys[0], keys[1], ("MA_CLI_CONFIG_FILE", "no-such-file.yaml")];
        assert!(matches!(resolve(home.path(), None, &variables), Err(Error::NoProfile { .. })));
    }

    #[test]
    fn half_a_key_is_no_identity_and_the_rest_is_known_all_the_same() {
        let home = home();
        let cases = [(Some("half"), vec![], "access_key"), (None, vec![("HUAWEICLOUD_SDK_AK", "x")], "HUAWEICLOUD_SDK_SK")];
        for (profile, variables, lacking) in cases {
            let settings = resolve(home.path(), profile, &variables).unwrap();
            let Some(Identity::Broken(Broken::Half { missing, .. })) = settings.identity.map(|identity| identity.value) else {
                panic!("{lacking}: half a key was taken, or others were")
            };
            assert_eq!(missing, lacking);
            assert!(settings.identity_steps.iter().any(|step| step.outcome == Outcome::Failed));
        }
    }

    #[test]
    fn nobody_stands_in_for_a_profile_that_is_logged_out() {
        let home = home();
        let keys = [("HUAWEICLOUD_SDK_AK", "OTHER"), ("HUAWEICLOUD_SDK_SK", "x")];
        for (profile, who, what) in [("out", "ann", "password"), ("spent", "AK", "secret_key")] {
            let settings = resolve(home.path(), Some(profile), &keys).unwrap();
            let Some(Identity::LoggedOut { name, missing }) = settings.identity.map(|identity| identity.value) else {
                panic!("{profile} passed on to other credentials")
            };
            assert_eq!((name.as_deref(), missing), (Some(who), what));
            let step = &settings.identity_steps[0];
            assert!(step.outcome == Outcome::Failed && step.reason.contains(&format!("has no {what}")), "{step:?}");
            let settings = resolve(home.path(), None, &[("MA_CLI_PROFILE", profile)]).unwrap();
            assert!(matches!(settings.identity.unwrap().value, Identity::LoggedOut { .. }), "{profile}");
        }
        assert_eq!(access_key(&resolve(home.path(), Some("bare"), &keys).unwrap()), Some("OTHER"));
    }

    #[test]
    fn each_place_says_why_it_was_passed_over() {
        let home = home();
        let keys = [("HUAWEICLOUD_SDK_AK", "AK1"), ("HUAWEICLOUD_SDK_SK", "SK1")];
        let steps = |profile, variables: &[(&str, &str)]| {
            let settings = resolve(home.path(), profile, variables).unwrap();
            settings.identity_steps.iter().map(|step| (step.link.name(), step.outcome)).collect::<Vec<_>>()
        };
        use Outcome::{NotAsked, PassedOver, Used};
        assert_eq!(steps(None, &keys), [("options", PassedOver), ("environment", Used), ("profile", NotAsked)]);
        assert_eq!(steps(None, &[]), [("options", PassedOver), ("environment", PassedOver), ("profile", Used)]);
        assert_eq!(steps(Some("work"), &keys), [("options", Used), ("environment", NotAsked), ("profile", NotAsked)]);
        assert_eq!(steps(Some("bare"), &[]), [("options", PassedOver), ("environment", PassedOver), ("profile", NotAsked)]);
    }

    #[test]
    fn a_chosen_profile_is_used_when_none_is_named() {
        let home = home();
        let chosen = home.path().join(".modelarts/current-profile");
        fs::write(&chosen, "work\n").unwrap();
        let settings = resolve(home.path(), None, &[]).unwrap();
        assert_eq!((settings.profile.value.as_str(), &settings.profile.origin), ("work", &Origin::Chosen(chosen.clone())));
        assert_eq!(resolve(home.path(), None, &[("MA_CLI_PROFILE", "DEFAULT")]).unwrap().profile.value, "DEFAULT");
        fs::write(&chosen, "gone\n").unwrap();
        assert!(matches!(resolve(home.path(), None, &[]), Err(Error::NoProfile { .. })));
    }

    #[test]
    fn the_network_is_set_by_profile_environment_and_options() {
        let home = home();
        let settings = resolve(home.path(), None, &[]).unwrap();
        assert_eq!(settings.network.attempts.origin, Origin::Default);
        let settings = resolve(home.path(), Some("net"), &[("HTTPS_PROXY", "http://other:1")]).unwrap();
        let network = settings.network;
        assert_eq!(network.https_proxy.unwrap().value, "http://proxy.example:3128");
        assert_eq!(network.http_proxy.unwrap().value, "http://proxy.example:3128");
        assert_eq!((network.connect_timeout.value.as_secs(), network.read_timeout.value.as_millis()), (3, 1500));
        assert_eq!(network.ca_bundle.unwrap().value, home.path().join("ca.pem"));
        let settings = resolve(home.path(), None, &[("HTTPS_PROXY", "http://other:1"), ("no_proxy", "a")]).unwrap();
        assert_eq!(settings.network.https_proxy.unwrap().origin, Origin::Environment("HTTPS_PROXY"));
        assert_eq!(settings.network.no_proxy.unwrap().origin, Origin::Environment("no_proxy"));
        assert!(matches!(resolve(home.path(), Some("wrong"), &[]), Err(Error::Value { key, .. }) if key == "attempts"));
    }

    #[test]
    fn an_agency_needs_an_account() {
        let home = home();
        let agency = resolve(home.path(), Some("agent"), &[]).unwrap().agency.unwrap().value;
        assert_eq!((agency.name.as_str(), agency.domain.as_str()), ("helper", "acme"));
        assert!(matches!(resolve(home.path(), Some("lost"), &[]), Err(Error::Value { key, .. }) if key == "agency_domain"));
        let keys = [("HUAWEICLOUD_SDK_AK", "AK1"), ("HUAWEICLOUD_SDK_SK", "SK1")];
        let used = |profile, variables: &[(&str, &str)]| resolve(home.path(), profile, variables).unwrap().agency.is_some();
        let chosen = ("MA_CLI_PROFILE", "agent");
        assert!(used(None, &[chosen]) && used(Some("agent"), &keys));
        assert!(!used(None, &[chosen, keys[0], keys[1]]), "keys of the environment may be the agency's own");
    }
}
