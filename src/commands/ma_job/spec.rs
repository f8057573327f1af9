//! What `submit` was told: job files and options, merged.
//!
//! A job file's keys are the option names, with `-` or `_`. Later files win over earlier ones and options over all files; a list
//! replaces a list as a whole.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::api::modelarts::training_job::{Folder, Notification, Volume};

/// What the value of a key looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// One text.
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A whole number from one to another.
    Number(u32, u32),
    /// Hours: `4`, `4h`, `2d`.
    Hours,
    /// True or false.
    Truth,
    /// A list of names.
    Names,
    /// Inputs or outputs.
    Folders,
    /// `NAME=value` pairs.
    Pairs,
    /// Hyperparameters.
    Parameters,
    /// Mounts.
    Volumes,
    /// A topic and events.
    Notification,
}

/// Every key of a job file, in the order in which job files are written.
pub(super) const KEYS: [(&str, Shape); 43] = [
    ("name", Shape::Text),
    ("description", Shape::Text),
    ("workspace-id", Shape::Text),
    ("experiment", Shape::Text),
    ("algorithm-id", Shape::Text),
    ("subscription-id", Shape::Text),
    ("item-version-id", Shape::Text),
    ("framework-type", Shape::Text),
    ("framework-version", Shape::Text),
    ("image-url", Shape::Text),
    ("uid", Shape::Text),
    ("code-dir", Shape::Text),
    ("boot-file", Shape::Text),
    ("user-command", Shape::Text),
    ("local-code-dir", Shape::Text),
    ("working-dir", Shape::Text),
    ("data-url", Shape::Text),
    ("input", Shape::Folders),
    ("input-env", Shape::Names),
    ("output", Shape::Folders),
    ("output-env", Shape::Names),
    ("predownload", Shape::Names),
    ("parameters", Shape::Parameters),
    ("env-variables", Shape::Pairs),
    ("obs-path", Shape::Text),
    ("log-url", Shape::Text),
    ("train-instance-type", Shape::Text),
    ("train-instance-count", Shape::Number(1, u32::MAX)),
    ("pool-id", Shape::Text),
    ("policy", Shape::Word(&POLICIES)),
    ("priority", Shape::Number(1, 3)),
    ("preemptible", Shape::Truth),
    ("affinity", Shape::Word(&AFFINITIES)),
    ("volumes", Shape::Volumes),
    ("auto-restart", Shape::Number(0, 128)),
    ("unconditional-restart", Shape::Truth),
    ("restart-on-hang", Shape::Truth),
    ("auto-stop", Shape::Hours),
    ("notify", Shape::Notification),
    ("custom-metrics", Shape::Text),
    ("ssh-key", Shape::Names),
    ("tag", Shape::Pairs),
    ("quiet", Shape::Truth),
];

/// Keys that are another word for one of the others.
const SYNONYMS: [(&str, &str); 3] = [("tags", "tag"), ("timeout", "auto-stop"), ("mounts", "volumes")];

/// Name of the input that `data-url` is.
pub(super) const DATA_INPUT: &str = "data_url";

/// Values of `policy`.
pub(super) const POLICIES: [&str; 4] = ["regular", "economic", "turbo", "auto"];

/// Values of `affinity`: what the nodes of a job must have in common.
pub(super) const AFFINITIES: [&str; 3] = ["cabinet", "hyperinstance", "networkTopology"];

/// A merged description of a job; what is not there was not said.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Spec {
    /// Values of keys with one text or word.
    pub(super) texts: BTreeMap<&'static str, String>,
    /// Values of keys with one number, hours included.
    pub(super) numbers: BTreeMap<&'static str, u32>,
    /// Values of keys that are true or false.
    pub(super) truths: BTreeMap<&'static str, bool>,
    /// Values of keys with a list of names.
    pub(super) names: BTreeMap<&'static str, Vec<String>>,
    /// `env-variables` and `tag`.
    pub(super) pairs: BTreeMap<&'static str, Vec<(String, String)>>,
    /// `output`.
    pub(super) outputs: Option<Vec<Folder>>,
    /// `input`.
    pub(super) inputs: Option<Vec<Folder>>,
    /// `parameters`; one without value is a flag.
    pub(super) parameters: Option<Vec<(String, Option<String>)>>,
    /// `volumes`.
    pub(super) volumes: Option<Vec<Volume>>,
    /// `notify`.
    pub(super) notification: Option<Notification>,
    /// The search for hyperparameters, as the service documents it; no key of a job file.
    pub(super) policies: Option<Value>,
}

impl Spec {
    /// Whether that key is true.
    pub(super) fn is_set(&self, key: &str) -> bool {
        self.truths.get(key).copied().unwrap_or_default()
    }

    /// The text of a key, if it is not empty.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.texts.get(key).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// What `later` says wins. A later `data-url` replaces the input of that name, which says the same in other words.
    #[must_use]
    pub(super) fn merge(mut self, later: Self) -> Self {
        if later.texts.contains_key("data-url")
            && let Some(inputs) = &mut self.inputs
        {
            inputs.retain(|input| input.name != DATA_INPUT);
        }
        self.texts.extend(later.texts);
        self.numbers.extend(later.numbers);
        self.truths.extend(later.truths);
        self.names.extend(later.names);
        self.pairs.extend(later.pairs);
        Self {
            outputs: later.outputs.or(self.outputs),
            inputs: later.inputs.or(self.inputs),
            parameters: later.parameters.or(self.parameters),
            volumes: later.volumes.or(self.volumes),
            notification: later.notification.or(self.notification),
            policies: later.policies.or(self.policies),
            ..self
        }
    }
}

/// The key that a written one means, and the shape of its value.
pub(super) fn key(written: &str) -> Option<(&'static str, Shape)> {
    let key = written.replace('_', "-").to_ascii_lowercase();
    let meant = SYNONYMS.iter().find(|(synonym, _)| *synonym == key).map_or(key.as_str(), |(_, meant)| meant);
    KEYS.iter().find(|(known, _)| *known == meant).copied()
}
