//! What `--include` and `--exclude` leave.

use crate::copy::select::glob::Glob;

/// Patterns over names relative to the source. A name is taken if no exclude matches it and, where there are includes, one of
/// them does.
///
/// A pattern with a `/` in it is about the path from the source on; one without is about a name at any depth. A pattern that
/// matches a folder is about all that is below it, except that `folder/*` is only about what is directly in it. A `/` at its end
/// makes it a pattern for folders alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    includes: Vec<Rule>,
    excludes: Vec<Rule>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    glob: Glob,
    // Compared with one part of the name, at any depth.
    any_depth: bool,
    only_folders: bool,
    // Whether a folder that matches brings what is below it.
    takes_folders: bool,
}

impl Filter {
    /// Compiles patterns.
    ///
    /// # Errors
    /// Which pattern cannot be used, and why.
    pub fn new(includes: &[String], excludes: &[String]) -> Result<Self, String> {
        let rules = |patterns: &[String]| patterns.iter().map(|pattern| Rule::parse(pattern)).collect::<Result<Vec<_>, _>>();
        Ok(Self { includes: rules(includes)?, excludes: rules(excludes)? })
    }

    /// Whether everything is taken.
    pub fn is_empty(&self) -> bool {
        self.includes.is_empty() && self.excludes.is_empty()
    }

    /// Whether a file is taken.
    pub fn takes(&self, name: &str) -> bool {
        let included = self.includes.is_empty() || self.includes.iter().any(|rule| rule.matches_file(name));
        included && !self.excludes.iter().any(|rule| rule.matches_file(name))
    }

    /// Whether an empty folder is taken.
    pub fn takes_folder(&self, name: &str) -> bool {
        let included = self.includes.is_empty() || self.includes.iter().any(|rule| rule.matches_folder(name));
        included && !self.excludes.iter().any(|rule| rule.matches_folder(name))
    }

    /// Whether anything below a folder can be taken.
    pub fn enters(&self, name: &str) -> bool {
        let can_hold = |rule: &Rule| {
            let prefix = rule.glob.literal_prefix();
            let common = prefix.len().min(name.len());
            let slash = prefix.as_bytes().get(name.len()).is_none_or(|next| *next == b'/');
            // Above what the pattern begins with, or below it.
            rule.any_depth || (prefix.as_bytes()[..common] == name.as_bytes()[..common] && slash)
        };
        (self.includes.is_empty() || self.includes.iter().any(can_hold))
            && !self.excludes.iter().any(|rule| rule.matches_folder(name))
    }
}

impl Rule {
    fn parse(pattern: &str) -> Result<Self, String> {
        let path = pattern.strip_prefix("./").unwrap_or(pattern);
        let anchored = path.strip_prefix('/');
        let path = anchored.unwrap_or(path);
        let trimmed = path.trim_end_matches('/');
        let glob = Glob::parse(trimmed).map_err(|reason| format!("the pattern [{pattern}] cannot be used: {reason}"))?;
        let only_folders = trimmed.len() < path.len();
        let last = trimmed.rsplit('/').next().unwrap_or(trimmed);
        Ok(Self {
            glob,
            any_depth: anchored.is_none() && !trimmed.contains('/'),
            only_folders,
            takes_folders: only_folders || last != "*",
        })
    }

    fn matches_file(&self, name: &str) -> bool {
        let own = if self.any_depth { name.rsplit('/').next().unwrap_or(name) } else { name };
        (!self.only_folders && self.glob.matches(own))
            || name.rsplit_once('/').is_some_and(|(above, _)| self.matches_folder(above))
    }

    /// Whether it matches this folder or one that it is in.
    fn matches_folder(&self, name: &str) -> bool {
        if !self.takes_folders {
            return false;
        }
        if self.any_depth {
            return name.split('/').any(|part| self.glob.matches(part));
        }
        let ends = name.match_indices('/').map(|(end, _)| end).chain([name.len()]);
        ends.into_iter().any(|end| self.glob.matches(&name[..end]))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Filter;

    /// Includes, excludes, what passes, what does not.
    type Row = (&'static [&'static str], &'static [&'static str], &'static [&'static str], &'static [&'static str]);

    fn filter(includes: &[&str], excludes: &[&str]) -> Filter {
        let owned = |patterns: &[&str]| patterns.iter().map(|pattern| (*pattern).to_owned()).collect::<Vec<_>>();
        Filter::new(&owned(includes), &owned(excludes)).unwrap()
    }

    #[test]
    fn takes_what_is_asked_for() {
        let table: &[Row] = &[
            // includes, excludes, taken, left
            (&[], &[], &["a", "a/b"], &[]),
            (&["*.txt"], &[], &["a.txt", "d/e/a.txt", "x.txt/below"], &["a.jpg", "a.txt.gz"]),
            (&["*.txt", "*.md"], &[], &["a.txt", "d/b.md"], &["c"]),
            (&[], &["*.tmp"], &["a", "a.tmp.txt"], &["a.tmp", "d/a.tmp"]),
            (&["*.txt"], &["secret*"], &["a.txt"], &["secret.txt", "d/secret.txt", "secrets/a.txt"]),
            (&[], &[".git"], &["a", ".gitignore"], &[".git/config", "sub/.git/objects/x"]),
            (&[], &["build/"], &["build", "sub/build"], &["build/a", "sub/build/b/c"]),
            (&[], &["/build/"], &["sub/build/b"], &["build/a"]),
            (&[], &["data/raw"], &["raw/x", "x/data/raw/y"], &["data/raw", "data/raw/x"]),
            (&["data/*"], &[], &["data/a"], &["data/sub/b", "a"]),
            (&["data/**"], &[], &["data/a", "data/sub/b"], &["a", "other/data/a"]),
            (&["data/"], &[], &["data/a", "x/data/b/c"], &["data", "a"]),
            (&["./data/*.csv"], &[], &["data/a.csv"], &["data/sub/a.csv"]),
            (&["**/raw/*.csv"], &[], &["raw/a.csv", "x/y/raw/a.csv"], &["raw/x/a.csv", "a.csv"]),
            (&["/*"], &[], &["a"], &["a/b"]),
            (&["part-[0-3]?"], &[], &["part-01", "d/part-39"], &["part-41", "part-1"]),
            (&[], &["*"], &[], &["a", "a/b"]),
        ];
        for (includes, excludes, taken, left) in table {
            let filter = filter(includes, excludes);
            for name in *taken {
                assert!(filter.takes(name), "+{includes:?} -{excludes:?} should take {name}");
            }
            for name in *left {
                assert!(!filter.takes(name), "+{includes:?} -{excludes:?} should leave {name}");
            }
        }
    }

    #[test]
    fn walks_only_where_something_can_be() {
        let table: &[Row] = &[
            // includes, excludes, entered, left alone
            (&[], &["a/*.tmp", ".git", "b/"], &["a", "c"], &[".git", "a/.git", "b", "b/c"]),
            (&["a/b/*.txt"], &[], &["a", "a/b"], &["b", "ab"]),
            (&["a/b*/c"], &[], &["a", "a/bc", "a/b"], &["b"]),
            (&["*.txt"], &[], &["a", "b/c"], &[]),
        ];
        for (includes, excludes, entered, left) in table {
            let filter = filter(includes, excludes);
            for name in *entered {
                assert!(filter.enters(name), "+{includes:?} -{excludes:?} {name}");
            }
            for name in *left {
                assert!(!filter.enters(name), "+{includes:?} -{excludes:?} {name}");
            }
        }
        assert!(filter(&["keep/"], &[]).takes_folder("x/keep"));
        assert!(!filter(&["*.txt"], &[]).takes_folder("x"));
    }

    #[test]
    fn names_the_pattern_that_is_wrong() {
        assert!(Filter::new(&["ok".to_owned(), "[a".to_owned()], &[]).unwrap_err().contains("[[a]"));
        assert!(Filter::new(&[], &["/".to_owned()]).is_err());
    }

    proptest! {
        /// What is not walked has nothing that would be taken.
        #[test]
        fn leaves_no_folder_out(
            includes in proptest::collection::vec("[ab*/]{1,5}", 0..3),
            excludes in proptest::collection::vec("[ab*/]{1,5}", 0..2),
            name in "[ab]{1,2}(/[ab]{1,2}){1,3}",
        ) {
            if let Ok(filter) = Filter::new(&includes, &excludes) && filter.takes(&name) {
                for (end, _) in name.match_indices('/') {
                    prop_assert!(filter.enters(&name[..end]), "{:?} {}", filter, &name[..end]);
                }
            }
        }
    }
}
