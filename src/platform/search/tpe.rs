//! Tree-structured Parzen estimators (Bergstra, Bardenet, Bengio, Kégl: Algorithms for Hyper-Parameter Optimization, 2011): the
//! point that is most likely among the good trials compared with the others.

use std::f64::consts::{PI, SQRT_2};

use crate::platform::search::sampler::{Observation, normal, normal_below};
use crate::platform::search::space::{Domain, Point, Space};

/// Points that are drawn and compared for each proposal, as in the authors' program.
const CANDIDATES: usize = 24;

/// The next point. `ranked` are the trials so far, best first, at least two.
pub(super) fn propose(space: &Space, ranked: &[&Observation], gamma: f64, random: &mut fastrand::Rng) -> Point {
    let good = ((gamma * ranked.len() as f64).ceil() as usize).clamp(1, ranked.len().saturating_sub(1).max(1));
    let (good, rest) = ranked.split_at(good);
    let choose = |(index, domain): (usize, &Domain)| {
        let of = |trials: &[&Observation]| -> Vec<f64> { trials.iter().map(|trial| trial.point[index]).collect() };
        let (good, rest) = (of(good), of(rest));
        match domain {
            Domain::Continuous(..) => continuous(&good, &rest, random),
            Domain::Discrete(values) => discrete(&good, &rest, values.len(), random),
        }
    };
    space.0.iter().map(|parameter| &parameter.domain).enumerate().map(choose).collect()
}

fn continuous(good: &[f64], rest: &[f64], random: &mut fastrand::Rng) -> f64 {
    let (good, rest) = (Mixture::around(good), Mixture::around(rest));
    let candidates = (0..CANDIDATES).map(|_| good.draw(random));
    let promise = |at: f64| good.density(at).ln() - rest.density(at).ln();
    candidates.max_by(|&left, &right| promise(left).total_cmp(&promise(right))).unwrap_or(0.5)
}

fn discrete(good: &[f64], rest: &[f64], size: usize, random: &mut fastrand::Rng) -> f64 {
    // One trial more for each value than there were, so that none is ruled out.
    let chances = |trials: &[f64]| {
        let mut counts = vec![1.0; size];
        for &trial in trials {
            if let Some(count) = counts.get_mut(trial as usize) {
                *count += 1.0;
            }
        }
        counts
    };
    let (good, rest) = (chances(good), chances(rest));
    let total: f64 = good.iter().sum();
    let draw = |random: &mut fastrand::Rng| {
        let mut left = random.f64() * total;
        good.iter().position(|count| {
            left -= count;
            left < 0.0
        })
    };
    let candidates: Vec<usize> = (0..CANDIDATES).filter_map(|_| draw(random)).collect();
    let promise = |index: usize| good[index] / rest[index];
    let best = candidates.into_iter().max_by(|&left, &right| promise(left).total_cmp(&promise(right)));
    best.unwrap_or(0) as f64
}

/// Normal distributions within 0 to 1: one around each trial, as wide as the gap to the next one, and a wide one around the middle.
struct Mixture(Vec<(f64, f64)>);

impl Mixture {
    fn around(trials: &[f64]) -> Self {
        let mut means: Vec<f64> = trials.iter().copied().chain([0.5]).collect();
        means.sort_by(f64::total_cmp);
        let narrowest = 1.0 / (1.0 + means.len() as f64).min(100.0);
        let width = |index: usize| {
            let below = index.checked_sub(1).map_or(0.0, |below| means[below]);
            let above = means.get(index + 1).copied().unwrap_or(1.0);
            (means[index] - below).max(above - means[index]).clamp(narrowest, 1.0)
        };
        let prior = means.iter().position(|&mean| mean == 0.5);
        let components = (0..means.len()).map(|index| (means[index], if Some(index) == prior { 1.0 } else { width(index) }));
        Self(components.collect())
    }

    fn draw(&self, random: &mut fastrand::Rng) -> f64 {
        let (mean, width) = self.0[random.usize(..self.0.len())];
        // Each component has a good part of itself within the bounds, so this ends soon.
        loop {
            let value = mean + width * normal(random);
            if (0.0..=1.0).contains(&value) {
                return value;
            }
        }
    }

    fn density(&self, at: f64) -> f64 {
        let one = |&(mean, width): &(f64, f64)| {
            let inside = normal_below((1.0 - mean) / width) - normal_below(-mean / width);
            let distance = (at - mean) / width;
            (-0.5 * distance * distance).exp() / (width * SQRT_2 * PI.sqrt() * inside)
        };
        self.0.iter().map(one).sum::<f64>() / self.0.len() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::{Mixture, discrete};

    #[test]
    fn a_mixture_is_a_density_over_its_interval() {
        let mixture = Mixture::around(&[0.1, 0.15, 0.9]);
        let sum: f64 = (0..1000).map(|index| mixture.density((f64::from(index) + 0.5) / 1000.0) / 1000.0).sum();
        assert!((sum - 1.0).abs() < 0.01, "{sum}");
        assert!(mixture.density(0.12) > mixture.density(0.4));
    }

    #[test]
    fn values_of_good_trials_are_preferred() {
        let mut random = fastrand::Rng::with_seed(1);
        let chosen = discrete(&[2.0, 2.0, 2.0], &[0.0, 1.0, 0.0, 1.0], 3, &mut random);
        assert_eq!(chosen, 2.0);
    }
}
