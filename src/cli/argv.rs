//! The original's argument grammar (that of Python's click), rewritten into clap's.
//!
//! One pass over the arguments, token for token: a multi-letter name with one dash (`-pn 2`, `-swr=x`) becomes its long form, a
//! value option swallows the next token even if it begins with `-`, one-letter options may be bundled, `-H` is help everywhere.
//! Names come from the clap tree itself: a *hidden* alias of an argument (`alias = "pn"`) is its multi-letter short name, so the
//! table stands beside the flags it names; a *visible* alias is another long name.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use clap::{Arg, ArgAction, Command};

use crate::cli::aliases;

/// What the arguments ask for.
#[derive(Debug, PartialEq, Eq)]
pub enum Parsed {
    /// Arguments for clap, the program name first.
    Run(Vec<OsString>),
    /// Help for the command reached by these names.
    Help(Vec<String>),
    /// The version.
    Version,
    /// An option nobody knows, in the command reached by these names.
    NoSuchOption {
        /// The command.
        path: Vec<String>,
        /// The option as it was written.
        option: String,
    },
    /// A flag was given a value with `=`, or a value option is the last token.
    WrongArity {
        /// The command.
        path: Vec<String>,
        /// The option as it was written.
        option: String,
        /// Whether a value is missing (else: there is one too many).
        is_missing: bool,
    },
}

/// Rewrites the arguments; `arguments[0]` is the program's name.
pub fn rewrite(root: &Command, arguments: &[OsString]) -> Parsed {
    Rewriter { command: root, root, path: Vec::new(), output: arguments.first().cloned().into_iter().collect(), name_at: 0 }
        .run(arguments.get(1..).unwrap_or_default())
}

struct Rewriter<'a> {
    root: &'a Command,
    command: &'a Command,
    path: Vec<String>,
    output: Vec<OsString>,
    /// Where in the output the last name of a command stands.
    name_at: usize,
}

/// What one token stands for.
enum Token<'a> {
    Option { argument: &'a Arg, value: Option<OsString> },
    Bundle(Vec<(&'a Arg, Option<OsString>)>),
    Help,
    Version,
    Unknown,
}

impl<'a> Rewriter<'a> {
    fn run(mut self, arguments: &[OsString]) -> Parsed {
        let mut rest = arguments.iter();
        while let Some(token) = rest.next() {
            let bytes = token.as_bytes();
            if bytes == b"--" {
                self.output.push(token.clone());
                self.output.extend(rest.cloned());
                break;
            }
            if bytes.len() < 2 || bytes[0] != b'-' {
                if !self.positional(token) {
                    break;
                }
                continue;
            }
            let options = match self.lex(token) {
                Token::Help => return Parsed::Help(self.path),
                Token::Version => return Parsed::Version,
                Token::Unknown => {
                    return Parsed::NoSuchOption { path: self.path, option: token.to_string_lossy().into_owned() };
                }
                Token::Option { argument, value } => vec![(argument, value)],
                Token::Bundle(options) => options,
            };
            for (argument, value) in options {
                if is_flag(argument) {
                    if value.is_some() {
                        return self.wrong_arity(token, false);
                    }
                    self.output.push(long(argument));
                    continue;
                }
                let Some(value) = value.or_else(|| rest.next().cloned()) else {
                    return self.wrong_arity(token, true);
                };
                let mut joined = long(argument);
                joined.push("=");
                joined.push(value);
                self.output.push(joined);
            }
        }
        Parsed::Run(self.output)
    }

    fn wrong_arity(self, token: &OsStr, is_missing: bool) -> Parsed {
        Parsed::WrongArity { path: self.path, option: token.to_string_lossy().into_owned(), is_missing }
    }

    /// Takes a word that is no option. Whether there is more to understand: what follows a command that nobody knows is its own.
    fn positional(&mut self, token: &OsString) -> bool {
        let name = token.to_str().unwrap_or_default();
        let is_first = self.command.is_subcommand_required_set();
        if is_first && let Some(names) = aliases::moved(&self.path, name) {
            // In the place of the group's name, where there is one.
            if !self.path.is_empty() {
                self.output.remove(self.name_at);
            }
            (self.path, self.command) = (Vec::new(), self.root);
            return names.iter().all(|name| self.positional(&OsString::from(name)));
        }
        let child = self.command.find_subcommand(name);
        let is_known = child.is_some() || !self.command.is_subcommand_required_set();
        if let Some(child) = child {
            self.path.push(child.get_name().to_owned());
            self.name_at = self.output.len();
            self.command = child;
        }
        self.output.push(token.clone());
        is_known
    }

    fn lex(&self, token: &OsStr) -> Token<'a> {
        let bytes = token.as_bytes();
        if let Some(body) = bytes.strip_prefix(b"--") {
            let (name, value) = split(body);
            return match name {
                "help" => Token::Help,
                "version" if self.path.is_empty() => Token::Version,
                _ => self.named(name, value, false),
            };
        }
        let (name, value) = split(&bytes[1..]);
        match name {
            "h" | "H" => Token::Help,
            "v" | "V" if self.path.is_empty() => Token::Version,
            _ => match self.named(name, value, true) {
                Token::Unknown => self.bundle(&bytes[1..]),
                found => found,
            },
        }
    }

    /// An option by its whole name: the command's own first, then the global ones.
    fn named(&self, name: &str, value: Option<OsString>, is_single_dash: bool) -> Token<'a> {
        match self.find(|argument| has_name(argument, name, is_single_dash)) {
            Some(argument) => Token::Option { argument, value },
            None => Token::Unknown,
        }
    }

    /// One-letter options in one token: `-vD`, `-tGPU`, `-t=GPU`.
    fn bundle(&self, bytes: &[u8]) -> Token<'a> {
        let mut options = Vec::new();
        let mut rest = bytes;
        while let Some((&letter, tail)) = rest.split_first() {
            if matches!(letter, b'h' | b'H') {
                return Token::Help;
            }
            let Some(argument) = self.find(|argument| argument.get_short() == Some(char::from(letter))) else {
                return Token::Unknown;
            };
            if is_flag(argument) {
                options.push((argument, None));
                rest = tail;
                continue;
            }
            let value = tail.strip_prefix(b"=").unwrap_or(tail);
            options.push((argument, (!tail.is_empty()).then(|| OsString::from_vec(value.to_vec()))));
            break;
        }
        Token::Bundle(options)
    }

    fn find(&self, matches: impl Fn(&Arg) -> bool) -> Option<&'a Arg> {
        let own = self.command.get_arguments().filter(|argument| !argument.is_positional());
        let global = self.root.get_arguments().filter(|argument| argument.is_global_set());
        own.chain(global).find(|argument| matches(argument))
    }
}

/// Name and value of `name=value`. A name that is not UTF-8 is no name of ours.
fn split(body: &[u8]) -> (&str, Option<OsString>) {
    match body.iter().position(|&byte| byte == b'=') {
        Some(at) => (str::from_utf8(&body[..at]).unwrap_or_default(), Some(OsString::from_vec(body[at + 1..].to_vec()))),
        None => (str::from_utf8(body).unwrap_or_default(), None),
    }
}

/// Whether the argument goes by that name. With one dash, long names are tolerated too (the documents print them so), with `_`
/// for `-`.
fn has_name(argument: &Arg, name: &str, is_single_dash: bool) -> bool {
    if is_single_dash && name.len() == 1 {
        return argument.get_short().is_some_and(|short| name == short.encode_utf8(&mut [0; 4]));
    }
    let is_long =
        |name: &str| argument.get_long() == Some(name) || argument.get_visible_aliases().unwrap_or_default().contains(&name);
    if is_single_dash && short_names(argument).any(|short| short == name) {
        return true;
    }
    is_long(name) || (is_single_dash && name.contains('_') && is_long(&name.replace('_', "-")))
}

/// The multi-letter names with one dash: the hidden aliases.
pub fn short_names(argument: &Arg) -> impl Iterator<Item = &str> {
    argument.get_aliases().unwrap_or_default().into_iter()
}

/// Whether the option takes no value.
pub fn is_flag(argument: &Arg) -> bool {
    matches!(argument.get_action(), ArgAction::SetTrue | ArgAction::SetFalse | ArgAction::Count)
}

fn long(argument: &Arg) -> OsString {
    let name = argument.get_long().expect("every option has a long name, as a test checks");
    OsString::from(format!("--{name}"))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use clap::{Arg, ArgAction, Command};

    use super::{Parsed, rewrite};

    /// A tree with one of everything: multi-letter names, one-letter names that are their beginnings, flags, several values.
    fn tree() -> Command {
        let value = |long: &'static str| Arg::new(long).long(long);
        let flag = |long: &'static str| Arg::new(long).long(long).action(ArgAction::SetTrue);
        let mut root = Command::new("ma-cli")
            .arg(value("profile").short('P').global(true))
            .arg(flag("debug").short('D').global(true))
            .subcommand(
                Command::new("group").subcommand(
                    Command::new("get")
                        .visible_alias("g")
                        .arg(value("page-num").alias("pn"))
                        .arg(value("page-size").alias("ps"))
                        .arg(value("swr-path").alias("swr"))
                        .arg(value("project-id").alias("pi"))
                        .arg(value("password").short('p'))
                        .arg(value("type").short('t'))
                        .arg(value("py-files").alias("pf").visible_alias("python-files"))
                        .arg(value("tag").action(ArgAction::Append))
                        .arg(flag("verbose").short('v'))
                        .arg(Arg::new("source"))
                        .arg(Arg::new("target")),
                ),
            );
        root.build();
        root
    }

    fn run(line: &str) -> Parsed {
        let arguments: Vec<OsString> =
            std::iter::once("ma-cli").chain(line.split(' ').filter(|word| !word.is_empty())).map(OsString::from).collect();
        rewrite(&tree(), &arguments)
    }

    #[test]
    fn every_row_of_the_grammar() {
        // (what the user types, what clap gets); rules numbered as in the reference, section 2
        let rows = [
            // 1. both forms of long options
            ("group get --page-num 2", "group get --page-num=2"),
            ("group get --type=DEDICATED", "group get --type=DEDICATED"),
            // 2. multi-letter names with one dash, alone, glued by `=`; bundles; a whole name wins over letters
            ("group get -ps 5 -pn=2", "group get --page-size=5 --page-num=2"),
            ("group get -swr x", "group get --swr-path=x"),
            ("group get -swr=x=y", "group get --swr-path=x=y"),
            ("group get -vD", "group get --verbose --debug"),
            ("group get -vtGPU", "group get --verbose --type=GPU"),
            ("group get -tGPU", "group get --type=GPU"),
            ("group get -t=GPU", "group get --type=GPU"),
            ("group get -pi X", "group get --project-id=X"),
            ("group get -px", "group get --password=x"),
            // 3. any order, `--` ends options
            ("group get a -v b", "group get a --verbose b"),
            ("group get a -- -v -pn", "group get a -- -v -pn"),
            ("-P dev group get", "--profile=dev group get"),
            ("group -P dev get -D", "group --profile=dev get --debug"),
            // 4. a value may begin with a dash
            ("group get -t -v --page-num -1 -pn -pn", "group get --type=-v --page-num=-1 --page-num=-pn"),
            ("group get --tag -- x", "group get --tag=-- x"),
            // 5. repeated options are all handed on, in order
            ("group get --tag a --tag b -t x -t y", "group get --tag=a --tag=b --type=x --type=y"),
            // 9. long names with one dash, `_` for `-`
            ("group get -page-num 3 -page_size=4", "group get --page-num=3 --page-size=4"),
            ("group get --python-files a -pf b", "group get --py-files=a --py-files=b"),
            // a lone dash is a word; aliases of commands are commands
            ("group g - -v", "group g - --verbose"),
        ];
        for (typed, expected) in rows {
            let expected: Vec<OsString> = std::iter::once("ma-cli").chain(expected.split(' ')).map(OsString::from).collect();
            assert_eq!(run(typed), Parsed::Run(expected), "{typed}");
        }
    }

    #[test]
    fn help_and_version() {
        for typed in ["group get -h", "group get -H", "group get --help", "group get -vh", "group get a --tag x -H"] {
            assert_eq!(run(typed), Parsed::Help(vec!["group".to_owned(), "get".to_owned()]), "{typed}");
        }
        assert_eq!(run("-H"), Parsed::Help(Vec::new()));
        for typed in ["-v", "-V", "--version"] {
            assert_eq!(run(typed), Parsed::Version, "{typed}");
        }
        assert!(matches!(run("group get -t -h"), Parsed::Run(_)), "a value that looks like help is a value");
    }

    #[test]
    fn misuse_names_the_whole_token() {
        let path = vec!["group".to_owned(), "get".to_owned()];
        for option in ["-swr5", "-x", "--pag", "-vx", "-Version", "--page_num"] {
            let expected = Parsed::NoSuchOption { path: path.clone(), option: option.to_owned() };
            assert_eq!(run(&format!("group get {option}")), expected);
        }
        let missing = Parsed::WrongArity { path: path.clone(), option: "-pn".to_owned(), is_missing: true };
        assert_eq!(run("group get -pn"), missing);
        let extra = Parsed::WrongArity { path, option: "--verbose=1".to_owned(), is_missing: false };
        assert_eq!(run("group get --verbose=1"), extra);
    }

    proptest::proptest! {
        #[test]
        fn never_panics_and_keeps_values(words in proptest::collection::vec("[-a-zA-Z0-9=é ]{0,8}", 0..8)) {
            let arguments: Vec<OsString> = std::iter::once("ma-cli".to_owned()).chain(words).map(OsString::from).collect();
            let _ = rewrite(&tree(), &arguments);
        }
    }
}
