//! Simulated annealing as hyperparameter searches do it (Bergstra, Yamins, Cox: Making a Science of Model Search, 2013, and the
//! program hyperopt that came with it): the neighbourhood of one of the best trials so far, ever smaller.

use crate::platform::search::sampler::Observation;
use crate::platform::search::space::{Domain, Point, Space};

/// The next point. `ranked` are the trials so far, best first.
pub(super) fn propose(
    space: &Space,
    ranked: &[&Observation],
    mean_rank: f64,
    shrinking: f64,
    random: &mut fastrand::Rng,
) -> Point {
    let Some(last) = ranked.len().checked_sub(1) else { return space.random(random) };
    let centre = &ranked[geometric(mean_rank, random).min(last)].point;
    let width = 1.0 / (1.0 + ranked.len() as f64 * shrinking);
    let near = |(domain, &centre): (&Domain, &f64)| match domain {
        Domain::Continuous(..) => {
            let (low, high) = ((centre - width / 2.0).max(0.0), (centre + width / 2.0).min(1.0));
            low + random.f64() * (high - low)
        }
        Domain::Discrete(_) if random.f64() < width => domain.random(random),
        Domain::Discrete(_) => centre,
    };
    space.0.iter().map(|parameter| &parameter.domain).zip(centre).map(near).collect()
}

/// A number from 0 with geometric chances, whose mean rank counted from 1 is `mean`.
fn geometric(mean: f64, random: &mut fastrand::Rng) -> usize {
    let success = (1.0 / mean).clamp(1e-6, 1.0);
    if success >= 1.0 {
        return 0;
    }
    ((1.0 - random.f64()).ln() / (1.0 - success).ln()) as usize
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_best_trials_are_chosen_most_often() {
        let mut random = fastrand::Rng::with_seed(3);
        let mut counts = [0_u32; 4];
        for _ in 0..4000 {
            counts[super::geometric(2.0, &mut random).min(3)] += 1;
        }
        assert!((1800..2200).contains(&counts[0]) && (800..1200).contains(&counts[1]), "{counts:?}");
        assert_eq!(super::geometric(1.0, &mut random), 0);
    }
}
