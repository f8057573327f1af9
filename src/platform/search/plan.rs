//! What is searched, and how.

use serde::{Deserialize, Serialize};

use crate::platform::search::space::Space;

/// A whole search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SearchPlan {
    /// What trials print; the first one is what is optimised. Never empty.
    pub indicators: Vec<Indicator>,
    /// What is varied.
    pub space: Space,
    /// How values are chosen: one search after the other. Never empty.
    pub methods: Vec<MethodPlan>,
    /// Most trials that run at the same time, at least 1.
    pub max_concurrent: usize,
}

/// A figure that trials print.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Indicator {
    /// Name.
    pub name: String,
    /// Whether less is better.
    pub minimise: bool,
    /// Regular expression; its first group, or all of it without one, is the figure.
    pub regex: String,
}

impl Indicator {
    /// The value as a reward: more is better.
    pub fn reward(&self, value: f64) -> f64 {
        if self.minimise { -value } else { value }
    }
}

/// One search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MethodPlan {
    /// How.
    pub method: Method,
    /// Number of trials.
    pub samples: usize,
    /// Seed of its random choices: the same seed and the same results of trials give the same choices.
    pub seed: u64,
}

/// A way to choose what to try next.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Method {
    /// Anything, with equal chances.
    Random,
    /// All of an even grid, in order.
    Grid,
    /// Tree-structured Parzen estimators.
    Tpe {
        /// Random trials before it begins.
        initial: usize,
        /// Share of the trials that count as good, between 0 and 1.
        gamma: f64,
    },
    /// Simulated annealing.
    Anneal {
        /// Mean rank of the trial whose neighbourhood is tried, 1 being the best; above 1.
        mean_rank: f64,
        /// How fast neighbourhoods shrink.
        shrinking: f64,
    },
    /// Bayesian optimisation with a Gaussian process.
    Bayes {
        /// What makes a point worth trying.
        acquisition: Acquisition,
    },
}

/// What makes a point worth trying, by the mean and the deviation that are expected there.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Acquisition {
    /// Mean plus so many deviations.
    UpperBound(f64),
    /// Expected gain over the best, less this.
    ExpectedGain(f64),
    /// Probability of a gain of at least this.
    ProbabilityOfGain(f64),
}
