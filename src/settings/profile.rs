//! The profile file `~/.modelarts/ma-cli-profile.yaml`: one YAML mapping a profile.
//!
//! Reading is for meaning; writing edits text, so that the comments and unknown keys of other profiles stay as they are.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::settings::{Error, yaml};

/// Mode of the file: the owner alone.
const FILE_MODE: u32 = 0o600;
/// Mode of its directory.
const DIRECTORY_MODE: u32 = 0o700;

/// A profile file, read once.
#[derive(Clone, Debug)]
pub struct ProfileFile {
    path: PathBuf,
    profiles: Map<String, Value>,
    /// The file or its directory can be read by others.
    is_loose: bool,
}

impl ProfileFile {
    /// Reads the file; one that does not exist is an empty one.
    ///
    /// # Errors
    /// [`Error::File`] when it cannot be read, [`Error::Syntax`] when it is not a YAML mapping of mappings.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(source) if source.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(source) => return Err(Error::File { doing: "read", path: path.to_owned(), source }),
        };
        let has_bits = |path: &Path, bits| fs::metadata(path).is_ok_and(|data| data.permissions().mode() & bits != 0);
        // Who may write to the folder may put another file there; a folder of another name is not this tool's to judge.
        let own_folder = path.parent().filter(|folder| folder.ends_with(".modelarts"));
        let is_loose = has_bits(path, 0o077) || own_folder.is_some_and(|folder| has_bits(folder, 0o022));
        Ok(Self { path: path.to_owned(), profiles: parse(path, &text)?, is_loose })
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether others than the owner may read the file, or replace it.
    pub fn is_loose(&self) -> bool {
        self.is_loose
    }

    /// What to say of a file that [is loose](Self::is_loose), with the options that name it.
    pub fn warning(&self, options: &str) -> Option<String> {
        let text = || {
            let path = self.path.display();
            format!(
                "[{path}] is not private: other users can read or replace it; mend it with: ma-cli configure{options} --fix"
            )
        };
        self.is_loose.then(text)
    }

    /// Names of the profiles in the file.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.profiles.keys().map(String::as_str)
    }

    /// What to say when there is no profile of that name.
    pub fn missing(&self, name: &str) -> Error {
        let known = self.names().map(str::to_owned).collect();
        Error::NoProfile { name: name.to_owned(), path: self.path.clone(), known, named: None }
    }

    /// The profile of that name.
    pub fn get(&self, name: &str) -> Option<&Map<String, Value>> {
        self.profiles.get(name).and_then(Value::as_object)
    }
}

/// Sets keys of one profile in the file and leaves all else as it is: other profiles with their comments, and keys of this
/// profile that are not in `changes`. A change to [`Value::Null`] removes the key. The file is replaced atomically under a lock.
///
/// # Errors
/// [`Error::File`] or [`Error::Syntax`]; the old file is then untouched.
pub fn update(path: &Path, profile: &str, changes: Map<String, Value>) -> Result<(), Error> {
    edit(path, profile, |mapping| {
        let mut mapping = mapping.cloned().unwrap_or_default();
        for (key, value) in changes {
            if value.is_null() {
                mapping.remove(&key);
            } else {
                mapping.insert(key, value);
            }
        }
        Some(mapping)
    })
}

/// Takes the profile out of the file and leaves all else as it is.
///
/// # Errors
/// As [`update`].
pub fn remove(path: &Path, profile: &str) -> Result<(), Error> {
    edit(path, profile, |_| None)
}

/// Keeps others out of the file and its folder, where they could. Says whether anything had to be changed.
///
/// # Errors
/// [`Error::File`].
pub fn make_private(path: &Path) -> Result<bool, Error> {
    let failed = |source| Error::File { doing: "change the mode of", path: path.to_owned(), source };
    let mut changed = false;
    for (path, mode) in [(Some(path), FILE_MODE), (path.parent(), DIRECTORY_MODE)] {
        let Some(path) = path.filter(|path| path.exists()) else { continue };
        // A folder that holds more than our files is not ours to close, nor is it the danger while the file is private.
        let is_ours = mode == FILE_MODE || path.file_name().is_some_and(|name| name == ".modelarts");
        if is_ours && fs::metadata(path).map_err(failed)?.permissions().mode() & 0o077 != 0 {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(failed)?;
            changed = true;
        }
    }
    Ok(changed)
}

/// Makes a folder for files of ours, and those above it, for the owner alone whatever the umask says. One that is there stays as it
/// is.
///
/// # Errors
/// It cannot be made.
pub fn make_folder(path: &Path) -> std::io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(path)
}

/// Replaces the profile by what `change` makes of it, or takes it out.
fn edit(
    path: &Path,
    profile: &str,
    change: impl FnOnce(Option<&Map<String, Value>>) -> Option<Map<String, Value>>,
) -> Result<(), Error> {
    let failed = |source| Error::File { doing: "write", path: path.to_owned(), source };
    let path = &behind_links(path).map_err(failed)?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    make_folder(directory).map_err(failed)?;
    let mut lock = open_lock(directory).map_err(failed)?;
    let _guard = lock.write().map_err(failed)?;

    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(source) => return Err(Error::File { doing: "read", path: path.to_owned(), source }),
    };
    let mut profiles = parse(path, &text)?;
    let mapping = change(profiles.get(profile).and_then(Value::as_object));
    let block = mapping.as_ref().map(|mapping| render(profile, mapping)).unwrap_or_default();
    let text = replace_profile(&text, profile, &block);
    match mapping {
        Some(mapping) => profiles.insert(profile.to_owned(), Value::Object(mapping)),
        None => profiles.remove(profile),
    };
    // What we are about to write must read back as intended, the other profiles too; an unusual layout that defeats the editing is
    // refused.
    if parse(path, &text)? != profiles {
        return Err(Error::Syntax {
            path: path.to_owned(),
            message: format!("the layout of profile [{profile}] cannot be edited; move the file away and configure anew"),
        });
    }
    let mut file = tempfile::Builder::new()
        .prefix(".ma-cli-profile.")
        .permissions(fs::Permissions::from_mode(FILE_MODE))
        .tempfile_in(directory)
        .map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.as_file().sync_all()).map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

/// The file that is meant: people keep it in another folder, with a link here. Replacing the link would leave the old secret there.
pub(super) fn behind_links(path: &Path) -> std::io::Result<PathBuf> {
    match fs::canonicalize(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        found => return found,
    }
    // What a link names may still be to come; a ring of links is an error of its own above.
    match fs::read_link(path) {
        Ok(target) => behind_links(&path.parent().unwrap_or(Path::new("")).join(target)),
        Err(_) => Ok(path.to_owned()),
    }
}

fn open_lock(directory: &Path) -> std::io::Result<fd_lock::RwLock<fs::File>> {
    let file = fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(FILE_MODE)
        .open(directory.join(".ma-cli-profile.lock"))?;
    Ok(fd_lock::RwLock::new(file))
}

fn parse(path: &Path, text: &str) -> Result<Map<String, Value>, Error> {
    let syntax = |message: String| Error::Syntax { path: path.to_owned(), message };
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(Map::new());
    }
    let value: Value = serde_saphyr::from_str(text).map_err(|error| syntax(yaml::sentence(&error)))?;
    let Value::Object(profiles) = value else {
        return Err(syntax("expected a mapping of profile names".to_owned()));
    };
    match profiles.iter().find(|(_, profile)| !profile.is_object() && !profile.is_null()) {
        Some((name, _)) => Err(syntax(format!("profile [{name}] is not a mapping"))),
        None => Ok(profiles),
    }
}

/// Puts the block in place of the lines of that top-level key, or at the end.
fn replace_profile(text: &str, profile: &str, block: &str) -> String {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let Some(start) = lines.iter().position(|line| top_level_key(line).as_deref() == Some(profile)) else {
        if block.is_empty() {
            return text.to_owned();
        }
        let line_end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        return format!("{text}{line_end}{block}");
    };
    let rest = &lines[start + 1..];
    let next = rest.iter().position(|line| top_level_key(line).is_some()).unwrap_or(rest.len());
    // The mapping ends with its last indented line; blank lines and comments after that belong to what follows.
    let is_indented = |line: &&str| line.starts_with([' ', '\t']) && !line.trim().is_empty();
    let length = rest[..next].iter().rposition(is_indented).map_or(0, |last| last + 1);
    [&lines[..start].concat(), block, &rest[length..].concat()].concat()
}

fn top_level_key(line: &str) -> Option<String> {
    if line.starts_with([' ', '\t', '#', '-']) {
        return None;
    }
    let (key, _) = line.split_once(':')?;
    Some(key.trim().trim_matches(['"', '\'']).to_owned())
}

fn render(profile: &str, mapping: &Map<String, Value>) -> String {
    let mut top = Map::new();
    top.insert(profile.to_owned(), Value::Object(mapping.clone()));
    let mut text = serde_saphyr::to_string(&Value::Object(top)).expect("a JSON value is always a YAML document");
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use serde_json::{Map, Value, json};

    use super::{ProfileFile, make_private, remove, update};

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn a_new_file_is_private_and_reads_back() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join(".modelarts").join("ma-cli-profile.yaml");
        update(&path, "DEFAULT", object(json!({"auth": "AKSK", "secret_key": "on: 1 # '\"\n"}))).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
        let file = ProfileFile::read(&path).unwrap();
        assert_eq!(file.get("DEFAULT").unwrap()["secret_key"], "on: 1 # '\"\n");
        assert!(!file.is_loose());
    }

    #[test]
    fn a_layout_that_cannot_be_edited_is_left_alone() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("p.yaml");
        // Found by scripts/fuzz: the name ends with a quote, and its line looks like that of the other one.
        for text in ["# mine\nDEFAULT\":\n  auth: AKSK\n", "other: \"\nDEFAULT: x\"\n"] {
            fs::write(&path, text).unwrap();
            let changed = update(&path, "DEFAULT", object(json!({"region": "r"})));
            assert!(changed.is_err() || ProfileFile::read(&path).unwrap().names().count() == 2, "{text}");
            assert!(changed.is_ok() || fs::read_to_string(&path).unwrap() == text, "{text}");
        }
    }

    #[test]
    fn other_profiles_comments_and_unknown_keys_stay() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("profile.yaml");
        fs::write(&path, "# mine\nDEFAULT:\n  auth: PWD\n  flavour: sweet\n\n# work\nwork:\n  auth: AKSK # keep\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(ProfileFile::read(&path).unwrap().is_loose());
        update(&path, "DEFAULT", object(json!({"auth": "AKSK"}))).unwrap();
        update(&path, "new", object(json!({"auth": "PWD"}))).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("# mine\n"), "{text}");
        assert!(text.contains("# work\nwork:\n  auth: AKSK # keep\n"), "{text}");
        let file = ProfileFile::read(&path).unwrap();
        assert_eq!(file.get("DEFAULT").unwrap()["flavour"], "sweet");
        assert_eq!(file.get("DEFAULT").unwrap()["auth"], "AKSK");
        assert_eq!(file.names().collect::<Vec<_>>(), ["DEFAULT", "work", "new"]);
        assert!(!file.is_loose(), "a rewrite makes the file private");
    }

    #[test]
    fn blank_lines_and_comments_inside_a_profile_are_no_end_of_it() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("profile.yaml");
        fs::write(&path, "DEFAULT:\n  auth: AKSK\n\n# the keys\n  access_key: a\n\n# next\nwork: {auth: PWD}\n").unwrap();
        update(&path, "DEFAULT", object(json!({"access_key": "b"}))).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, "DEFAULT:\n  auth: AKSK\n  access_key: b\n\n# next\nwork: {auth: PWD}\n");
    }

    #[test]
    fn a_profile_is_taken_out_with_nothing_else() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("profile.yaml");
        fs::write(&path, "# mine\nDEFAULT:\n  auth: AKSK\n\n# work\nwork: {auth: PWD}\n").unwrap();
        remove(&path, "DEFAULT").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "# mine\n\n# work\nwork: {auth: PWD}\n");
        remove(&path, "gone").unwrap();
        remove(&path, "work").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "# mine\n\n# work\n");
    }

    #[test]
    fn a_link_stays_and_the_file_behind_it_is_written() {
        let home = tempfile::tempdir().unwrap();
        let (path, folder) = (home.path().join("profile.yaml"), home.path().join("dot"));
        std::os::unix::fs::symlink("dot/p.yaml", &path).unwrap();
        // First the file behind the link is still to come, then it is replaced.
        for secret in ["OLD", "NEW"] {
            update(&path, "DEFAULT", object(json!({"secret_key": secret}))).unwrap();
            assert!(fs::symlink_metadata(&path).unwrap().is_symlink());
            assert_eq!(fs::read_to_string(folder.join("p.yaml")).unwrap(), format!("DEFAULT:\n  secret_key: {secret}\n"));
        }
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("profile.yaml", &path).unwrap();
        assert!(update(&path, "DEFAULT", Map::new()).is_err(), "a ring of links");
    }

    #[test]
    fn a_wide_mode_is_mended() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join(".modelarts/ma-cli-profile.yaml");
        update(&path, "DEFAULT", Map::new()).unwrap();
        assert!(!make_private(&path).unwrap());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        fs::set_permissions(path.parent().unwrap(), fs::Permissions::from_mode(0o755)).unwrap();
        assert!(make_private(&path).unwrap());
        let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    }

    #[test]
    fn a_broken_file_is_left_alone() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("profile.yaml");
        fs::write(&path, "DEFAULT: [unclosed").unwrap();
        assert!(update(&path, "DEFAULT", Map::new()).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "DEFAULT: [unclosed");
    }

    proptest::proptest! {
        #[test]
        fn any_value_survives_a_rewrite(secret in "\\PC{0,40}", unknown in "[a-z]{1,8}") {
            let home = tempfile::tempdir().unwrap();
            let path = home.path().join("profile.yaml");
            update(&path, "a b", object(json!({"secret_key": secret, (unknown.clone()): "kept"}))).unwrap();
            update(&path, "DEFAULT", object(json!({"secret_key": secret}))).unwrap();
            update(&path, "a b", object(json!({"region": "x"}))).unwrap();
            let file = ProfileFile::read(&path).unwrap();
            let profile = file.get("a b").unwrap();
            if unknown != "region" { proptest::prop_assert_eq!(&profile[&unknown], "kept"); }
            proptest::prop_assert_eq!(&profile["secret_key"], &json!(secret));
        }
    }
}
