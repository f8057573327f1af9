//! The process environment, copied once at the start: the only place that reads it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

/// A snapshot of what surrounds the process. Tests build their own.
#[derive(Clone, Debug, Default)]
pub struct Env {
    variables: BTreeMap<String, String>,
    /// The working directory.
    pub directory: PathBuf,
    /// The user's home directory.
    pub home: PathBuf,
    /// Whether standard input is a terminal.
    pub stdin_is_terminal: bool,
    /// Whether standard output is a terminal.
    pub stdout_is_terminal: bool,
    /// Whether standard error is a terminal.
    pub stderr_is_terminal: bool,
    /// Whether standard error goes into a file.
    pub stderr_is_file: bool,
}

impl Env {
    /// Reads the environment of this process. Variables that are not UTF-8 are left out: no name or value of ours is.
    #[expect(clippy::disallowed_methods, reason = "asks what the streams are, writes nothing")]
    pub fn from_process() -> Self {
        let variables: BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let directory = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
        let users = || std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let home = home(variables.get("HOME"), &directory, rustix::process::geteuid().as_raw(), users);
        Self {
            variables,
            directory,
            home,
            stdin_is_terminal: std::io::stdin().is_terminal(),
            stdout_is_terminal: std::io::stdout().is_terminal(),
            stderr_is_terminal: std::io::stderr().is_terminal(),
            stderr_is_file: rustix::fs::fstat(std::io::stderr())
                .is_ok_and(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode).is_file()),
        }
    }

    /// A snapshot for tests: these variables, no terminal.
    pub fn for_tests(variables: &[(&str, &str)], home: &Path) -> Self {
        Self {
            variables: variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            directory: home.to_owned(),
            home: home.to_owned(),
            ..Self::default()
        }
    }

    /// The value of a variable; one that is set but empty counts as not set.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// `TZ`; an empty one names UTC.
    pub fn time_zone(&self) -> Option<&str> {
        self.variables.get("TZ").map(String::as_str)
    }

    /// All variables, by name.
    pub fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether the locale does not say that more than ASCII can be shown.
    pub fn is_ascii(&self) -> bool {
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| self.get(name)).unwrap_or_default();
        let locale = locale.to_ascii_lowercase();
        !(locale.contains("utf-8") || locale.contains("utf8"))
    }

    /// Whether a cell of a Jupyter notebook shows what goes to standard error: kernels leave these variables to what they start.
    pub fn is_notebook(&self) -> bool {
        let has_kernel = self.get("JPY_PARENT_PID").is_some() || self.get("JPY_SESSION_NAME").is_some();
        has_kernel && !self.stderr_is_file
    }

    /// The folder of the tool's own files, `~/.modelarts`.
    pub fn state_directory(&self) -> PathBuf {
        self.home.join(".modelarts")
    }

    /// The profile file when neither `-C` nor `MA_CLI_CONFIG_FILE` names one.
    pub fn profile_path(&self) -> PathBuf {
        self.state_directory().join("ma-cli-profile.yaml")
    }

    /// The file that keeps which profile `configure use` chose.
    pub fn chosen_profile_path(&self) -> PathBuf {
        self.state_directory().join("current-profile")
    }

    /// What replaces the address of the metadata service: `Some(None)` not to ask it. Only for tests, so `MA_CLI_METADATA_ENDPOINT`
    /// is `off` or an address of this machine; any other one is ignored, as it could have a server's keys sent there.
    pub fn metadata_endpoint(&self) -> Option<Option<String>> {
        match self.get("MA_CLI_METADATA_ENDPOINT")? {
            "off" => Some(None),
            address => {
                let port: u16 = address.strip_prefix("http://127.0.0.1:")?.parse().ok()?;
                Some(Some(format!("http://127.0.0.1:{port}")))
            }
        }
    }

    /// The embedded platform's data directory: `MA_CLI_PLATFORM_DIR`, else `~/.modelarts/platform`.
    pub fn platform_directory(&self) -> PathBuf {
        match self.get("MA_CLI_PLATFORM_DIR") {
            Some(path) => self.directory.join(path),
            None => self.state_directory().join("platform"),
        }
    }
}

/// The user's home directory: `HOME`, else what the table of users says (cron and systemd may set no `HOME`). Never the working
/// directory, in which a secret would lie among files that are shared. The table is read as a file, as the static binary cannot ask
/// the system's other sources.
fn home(variable: Option<&String>, directory: &Path, user: u32, users: impl FnOnce() -> String) -> PathBuf {
    if let Some(home) = variable.filter(|home| !home.is_empty()) {
        return directory.join(home);
    }
    let users = users();
    let entry = |line: &str| {
        let fields: Vec<&str> = line.split(':').collect();
        let home = PathBuf::from(fields.get(5)?);
        (fields.get(2)?.parse() == Ok(user) && home.is_absolute()).then_some(home)
    };
    // Nobody but the superuser can make a folder at the root, so that whoever is not in the table is told that nothing can be kept.
    let unknown = if user == 0 { "/root" } else { "/nonexistent" };
    users.lines().find_map(entry).unwrap_or_else(|| PathBuf::from(unknown))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Env, home};

    #[test]
    fn without_home_the_table_of_users_is_asked_and_never_the_working_directory() {
        let users =
            "root:x:0:0:root:/root:/bin/sh\n# note\nodd:x:1000\nann:x:1000:1000:,,,:/home/ann:/bin/sh\nrel:x:7:7::rel:\n";
        let found = |variable: Option<&str>, user| {
            home(variable.map(str::to_owned).as_ref(), Path::new("/work"), user, || users.to_owned()).display().to_string()
        };
        assert_eq!(found(Some("/h"), 1000), "/h");
        assert_eq!(found(Some("below"), 1000), "/work/below");
        for unset in [None, Some("")] {
            assert_eq!(found(unset, 1000), "/home/ann");
            assert_eq!((found(unset, 7), found(unset, 8)), ("/nonexistent".to_owned(), "/nonexistent".to_owned()));
            assert_eq!(home(None, Path::new("/work"), 0, String::new), Path::new("/root"));
        }
    }

    #[test]
    fn the_first_variable_of_the_locale_decides_what_can_be_shown() {
        let is_ascii = |variables: &[(&str, &str)]| Env::for_tests(variables, Path::new("/home/u")).is_ascii();
        assert!(is_ascii(&[]) && is_ascii(&[("LC_ALL", "C"), ("LANG", "en_US.UTF-8")]));
        assert!(!is_ascii(&[("LANG", "C.utf8")]) && !is_ascii(&[("LC_ALL", "de_DE.UTF-8"), ("LANG", "C")]));
    }

    #[test]
    fn only_this_machine_stands_in_for_the_metadata_service() {
        let endpoint =
            |value: &str| Env::for_tests(&[("MA_CLI_METADATA_ENDPOINT", value)], Path::new("/home/u")).metadata_endpoint();
        assert_eq!(endpoint("off"), Some(None));
        assert_eq!(endpoint("http://127.0.0.1:81"), Some(Some("http://127.0.0.1:81".to_owned())));
        for elsewhere in
            ["http://10.0.0.1:81", "http://127.0.0.1:81@evil.example", "http://127.0.0.1", "https://evil.example", ""]
        {
            assert_eq!(endpoint(elsewhere), None, "{elsewhere}");
        }
    }
}
