//! Where credentials were looked for, and why each place was passed over.

use std::fmt;

/// A place where credentials are looked for, in the order of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// A profile or file that the command line names.
    Options,
    /// Access keys in the environment.
    Environment,
    /// The profile that is used when none is named.
    Profile,
    /// What a notebook or a training container was given for its agency.
    Notebook,
    /// The agency of the cloud server this runs on.
    Ecs,
}

impl Link {
    /// The word for it in documents.
    pub fn name(self) -> &'static str {
        match self {
            Self::Options => "options",
            Self::Environment => "environment",
            Self::Profile => "profile",
            Self::Notebook => "notebook",
            Self::Ecs => "ecs",
        }
    }

    /// The words for it in tables.
    pub fn title(self) -> &'static str {
        match self {
            Self::Options => "options",
            Self::Environment => "environment",
            Self::Profile => "profile",
            Self::Notebook => "notebook agency",
            Self::Ecs => "ECS metadata",
        }
    }
}

/// What came of looking there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It gave the credentials that are used.
    Used,
    /// It has none.
    PassedOver,
    /// It should have some, and they cannot be had.
    Failed,
    /// An earlier place had some.
    NotAsked,
}

impl Outcome {
    /// The word for it in documents.
    pub fn name(self) -> &'static str {
        match self {
            Self::Used => "used",
            Self::PassedOver => "passed_over",
            Self::Failed => "failed",
            Self::NotAsked => "not_asked",
        }
    }

    /// The words for it in tables.
    pub fn title(self) -> &'static str {
        match self {
            Self::Used => "used",
            Self::PassedOver => "passed over",
            Self::Failed => "failed",
            Self::NotAsked => "not asked",
        }
    }
}

/// One place that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The place.
    pub link: Link,
    /// What came of it.
    pub outcome: Outcome,
    /// Why, in words for a person; names variables, files and addresses, never a secret.
    pub reason: String,
}

impl Step {
    /// A step with its reason.
    pub fn new(link: Link, outcome: Outcome, reason: impl Into<String>) -> Self {
        Self { link, outcome, reason: reason.into() }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.link.title(), self.reason)
    }
}

/// Every place of the chain, in the order in which they were looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CredentialReport {
    /// The places.
    pub steps: Vec<Step>,
}

impl CredentialReport {
    /// The place whose credentials are used, if there is one.
    pub fn used(&self) -> Option<&Step> {
        self.steps.iter().find(|step| step.outcome == Outcome::Used)
    }
}
