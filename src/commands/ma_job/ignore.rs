//! `.maignore`: what of a folder is not uploaded, in the language of `.gitignore`.

use std::path::Path;

use crate::copy::select::glob::Glob;
use crate::error::{Error, Kind};

/// Name of the file, at the top of the folder.
pub(super) const FILE: &str = ".maignore";

/// What no job needs; `!.git/` in a `.maignore` takes it back.
const ALWAYS: [&str; 3] = [".git/", "__pycache__/", FILE];

/// Patterns in order: the last one that matches decides.
#[derive(Clone, Debug, Default)]
pub(super) struct Ignore {
    rules: Vec<Rule>,
}

#[derive(Clone, Debug)]
struct Rule {
    glob: Glob,
    is_taken_back: bool,
    only_folders: bool,
    any_depth: bool,
}

impl Ignore {
    /// Reads the `.maignore` of a folder, if it has one.
    ///
    /// # Errors
    /// It cannot be read, or a line of it is no pattern.
    pub(super) fn of(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(Error::new(Kind::Local, format!("cannot read [{}]", path.display())).caused_by(error)),
        };
        Self::parse(&text)
            .map_err(|(line, reason)| Error::new(Kind::Config, format!("[{}], line {line}: {reason}", path.display())))
    }

    fn parse(text: &str) -> Result<Self, (usize, String)> {
        let mut rules = Vec::new();
        for pattern in ALWAYS {
            rules.extend(Rule::parse(pattern).map_err(|reason| (0, reason))?);
        }
        for (index, line) in text.lines().enumerate() {
            rules.extend(Rule::parse(line).map_err(|reason| (index + 1, reason))?);
        }
        Ok(Self { rules })
    }

    /// Whether a file or folder is left out; `name` is relative to the folder, with `/` between its parts. What is below a folder
    /// that is left out is not asked for.
    pub(super) fn leaves_out(&self, name: &str, is_folder: bool) -> bool {
        let deciding = self.rules.iter().rev().find(|rule| rule.matches(name, is_folder));
        deciding.is_some_and(|rule| !rule.is_taken_back)
    }
}

impl Rule {
    /// A line; `None` if it says nothing.
    fn parse(line: &str) -> Result<Option<Self>, String> {
        let line = line.strip_suffix('\r').unwrap_or(line);
        let trimmed = line.trim_end_matches(' ');
        // A blank at the end counts only after a backslash.
        let line = if trimmed.ends_with('\\') && trimmed.len() < line.len() { &line[..=trimmed.len()] } else { trimmed };
        if line.is_empty() || line.starts_with('#') {
            return Ok(None);
        }
        let (is_taken_back, pattern) = line.strip_prefix('!').map_or((false, line), |pattern| (true, pattern));
        let path = pattern.strip_suffix('/').unwrap_or(pattern);
        let only_folders = path.len() < pattern.len();
        let any_depth = !path.contains('/');
        let path = path.strip_prefix('/').unwrap_or(path);
        let glob = Glob::parse(path).map_err(|reason| format!("the pattern [{line}] cannot be used: {reason}"))?;
        Ok(Some(Self { glob, is_taken_back, only_folders, any_depth }))
    }

    fn matches(&self, name: &str, is_folder: bool) -> bool {
        let own = if self.any_depth { name.rsplit('/').next().unwrap_or(name) } else { name };
        (is_folder || !self.only_folders) && self.glob.matches(own)
    }
}

#[cfg(test)]
mod tests {
    use super::Ignore;

    #[test]
    fn the_last_pattern_that_matches_decides() {
        let text = "# comment\n\n*.log\n!keep.log\n/build\ndocs/*.md\ndata/\n**/tmp/*.bin\n\\!odd\n\\#odd\nend\\ \nraw/**\n";
        let ignore = Ignore::parse(text).unwrap();
        for (name, is_folder, expected) in [
            ("a.log", false, true),
            ("deep/b.log", false, true),
            ("deep/keep.log", false, false),
            ("build", true, true),
            ("deep/build", true, false),
            ("docs/a.md", false, true),
            ("docs/deep/a.md", false, false),
            ("data", true, true),
            ("data", false, false),
            ("x/data", true, true),
            ("tmp/a.bin", false, true),
            ("x/y/tmp/a.bin", false, true),
            ("!odd", false, true),
            ("#odd", false, true),
            ("end ", false, true),
            ("end", false, false),
            ("raw/x/y", false, true),
            (".git", true, true),
            (".gitignore", false, false),
            ("pkg/__pycache__", true, true),
            (".maignore", false, true),
        ] {
            assert_eq!(ignore.leaves_out(name, is_folder), expected, "{name}");
        }
        assert!(!Ignore::parse("!.git/\n").unwrap().leaves_out(".git", true));
        let (line, reason) = Ignore::parse("ok\n[a\n").unwrap_err();
        assert!(line == 2 && reason.contains("[[a]"), "{reason}");
    }
}
