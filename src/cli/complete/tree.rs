//! What the command tree knows of the current word.

use clap::{Arg, ArgAction, Command, ValueHint};

use crate::cli::complete::Candidate;
use crate::cli::complete::names::{Source, Wanted};
use crate::cli::{aliases, argv, help};

/// Candidates that the tree has, and what else has to be looked up.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) candidates: Vec<Candidate>,
    pub(super) wanted: Option<Wanted>,
}

impl From<Vec<Candidate>> for Found {
    fn from(candidates: Vec<Candidate>) -> Self {
        Self { candidates, wanted: None }
    }
}

/// What the current word could become after the words before it (the program's name left out).
pub(super) fn candidates(root: &Command, words: &[String], current: &str) -> Found {
    let place = Place::after(root, words);
    if place.is_lost {
        return Found::default();
    }
    if let Some(argument) = place.awaited {
        return place.values(argument, "", current);
    }
    if current.starts_with('-') && !place.is_options_ended {
        if let Some((name, typed)) = current.split_once('=')
            && let Some(argument) = place.option(name)
        {
            return place.values(argument, &format!("{name}="), typed);
        }
        return place.options(current).into();
    }
    let is_named = place.positionals.is_empty();
    let mut found = Found::from(if is_named { children(place.command, current) } else { Vec::new() });
    let positional = place.command.get_positionals().nth(place.positionals.len());
    let repeated = || place.command.get_positionals().last().filter(|last| matches!(last.get_action(), ArgAction::Append));
    if let Some(argument) = positional.or_else(repeated) {
        let values = place.values(argument, "", current);
        found.candidates.extend(values.candidates);
        found.wanted = values.wanted;
    }
    found
}

/// Names of the commands below this one.
fn children(command: &Command, current: &str) -> Vec<Candidate> {
    let commands = command.get_subcommands().filter(|child| !child.is_hide_set());
    let names = commands.flat_map(|child| {
        let help = child.get_about().map(ToString::to_string).unwrap_or_default();
        let names = std::iter::once(child.get_name()).chain(child.get_visible_aliases());
        names.map(move |name| Candidate::plain(name, &help)).collect::<Vec<_>>()
    });
    names.filter(|candidate| candidate.value.starts_with(current)).collect()
}

/// Where in the command tree the cursor is.
struct Place<'a> {
    root: &'a Command,
    command: &'a Command,
    /// Names of the commands from the root on.
    path: Vec<&'a str>,
    /// The value option whose value comes next.
    awaited: Option<&'a Arg>,
    /// Options with their values, by the argument's id.
    given: Vec<(String, String)>,
    /// Positional words the command has already.
    positionals: Vec<String>,
    is_options_ended: bool,
    /// Whether there was a word that stands for nothing: nobody knows what may follow it.
    is_lost: bool,
}

impl<'a> Place<'a> {
    fn after(root: &'a Command, words: &[String]) -> Self {
        let mut place = Self {
            root,
            command: root,
            path: Vec::new(),
            awaited: None,
            given: Vec::new(),
            positionals: Vec::new(),
            is_options_ended: false,
            is_lost: false,
        };
        for word in words {
            if let Some(argument) = place.awaited.take() {
                place.given.push((argument.get_id().to_string(), word.clone()));
            } else if place.is_options_ended || !word.starts_with('-') || word.len() < 2 {
                place.positional(word);
            } else if word == "--" {
                place.is_options_ended = true;
            } else if let Some((name, value)) = word.split_once('=') {
                let given = place.option(name).map(|argument| (argument.get_id().to_string(), value.to_owned()));
                place.is_lost |= given.is_none() && word.starts_with("--");
                place.given.extend(given);
            } else if let Some(argument) = place.option(word) {
                if argv::is_flag(argument) {
                    place.given.push((argument.get_id().to_string(), String::new()));
                } else {
                    place.awaited = Some(argument);
                }
            } else {
                // With one dash it may be several options in one.
                place.is_lost |= word.starts_with("--");
            }
        }
        place
    }

    fn positional(&mut self, word: &str) {
        if self.positionals.is_empty()
            && self.command.is_subcommand_required_set()
            && let Some(names) = aliases::moved(&self.path, word)
        {
            (self.path, self.command) = (Vec::new(), self.root);
            names.iter().for_each(|name| self.positional(name));
            return;
        }
        match self.command.find_subcommand(word) {
            Some(child) if self.positionals.is_empty() => {
                self.command = child;
                self.path.push(child.get_name());
            }
            _ => {
                self.is_lost |= self.command.is_subcommand_required_set();
                self.positionals.push(word.to_owned());
            }
        }
    }

    fn arguments(&self) -> impl Iterator<Item = &'a Arg> {
        let own = self.command.get_arguments().filter(|argument| !argument.is_positional() && !argument.is_global_set());
        own.chain(self.root.get_arguments().filter(|argument| argument.is_global_set()))
    }

    fn option(&self, name: &str) -> Option<&'a Arg> {
        self.arguments().find(|argument| spellings(argument).iter().any(|spelling| spelling == name))
    }

    fn options(&self, current: &str) -> Vec<Candidate> {
        let mut found = Vec::new();
        for argument in self.arguments().filter(|argument| !argument.is_hide_set()) {
            let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
            let matching = spellings(argument).into_iter().filter(|spelling| spelling.starts_with(current));
            found.extend(matching.map(|spelling| Candidate::plain(spelling, &help)));
        }
        let help = ["-h", "-H", "--help"].iter().filter(|name| name.starts_with(current));
        found.extend(help.map(|name| Candidate::plain(*name, "Show help")));
        found
    }

    /// Values of an argument: its choices, which match in any case; names to look up; or the shell's own path completion.
    fn values(&self, argument: &Arg, prefix: &str, typed: &str) -> Found {
        // Of a list, the last member is completed.
        let listed = argument.get_value_delimiter().and_then(|delimiter| typed.rfind(delimiter)).map_or(0, |at| at + 1);
        let (prefix, typed) = (format!("{prefix}{}", &typed[..listed]), &typed[listed..]);
        let choices = help::choices(argument);
        if !choices.is_empty() {
            let start = typed.to_ascii_lowercase();
            let matching = choices.iter().filter(|choice| choice.to_ascii_lowercase().starts_with(&start));
            return matching.map(|choice| Candidate::plain(format!("{prefix}{choice}"), "")).collect::<Vec<_>>().into();
        }
        let id = argument.get_id().as_str();
        if self.path == ["help"] && id == "words" {
            return self.pages(typed).into();
        }
        // After the id of `ma-job tag` come tags.
        let is_tag = id == "words" && !self.positionals.is_empty();
        let source = Source::of(&self.path, id).filter(|_| !is_tag);
        let is_named_so = |name: &clap::builder::Str| {
            matches!(name.as_str(), "PATH" | "FILE" | "YAML_FILE") && source != Some(Source::ApiPath)
        };
        let is_path = matches!(argument.get_value_hint(), ValueHint::AnyPath | ValueHint::FilePath)
            || source == Some(Source::ObjectOrFile)
            || argument.get_value_names().is_some_and(|names| names.iter().any(is_named_so));
        let mut found = Found::default();
        let typed_path = format!("{prefix}{typed}");
        match argument.get_value_hint() {
            ValueHint::DirPath => found.candidates.push(Candidate::path("dir", typed_path)),
            _ if is_path && !typed.contains("://") => found.candidates.push(Candidate::path("file", typed_path)),
            _ => {}
        }
        found.wanted = source.map(|source| self.wanted(source, prefix, typed));
        found
    }

    fn wanted(&self, source: Source, prefix: String, typed: &str) -> Wanted {
        let job = self.given("job_id").or_else(|| self.positionals.first().map(String::as_str));
        Wanted {
            source,
            prefix,
            typed: typed.to_owned(),
            job: job.map(str::to_owned),
            flags: crate::settings::Flags {
                config_file: self.given("config_file").map(Into::into),
                profile: self.given("profile").map(str::to_owned),
                ca_bundle: self.given("ca_bundle").map(Into::into),
                no_verify_ssl: self.given("no_verify_ssl").is_some(),
            },
        }
    }

    fn given(&self, id: &str) -> Option<&str> {
        self.given.iter().rev().find(|(name, _)| name == id).map(|(_, value)| value.as_str())
    }

    /// Commands below the ones that `help` was given, and topics.
    fn pages(&self, typed: &str) -> Vec<Candidate> {
        let command = help::find(self.root, &self.positionals);
        let mut found = children(command, typed);
        if self.positionals.is_empty() {
            let topics = crate::commands::help::topics();
            found.extend(
                topics.iter().filter(|(name, _)| name.starts_with(typed)).map(|(name, _)| Candidate::plain(*name, "Topic")),
            );
        }
        found
    }
}

fn spellings(argument: &Arg) -> Vec<String> {
    let mut all: Vec<_> =
        argument.get_long_and_visible_aliases().unwrap_or_default().iter().map(|long| format!("--{long}")).collect();
    all.extend(argv::short_names(argument).map(|short| format!("-{short}")));
    all.extend(argument.get_short().map(|short| format!("-{short}")));
    all
}
