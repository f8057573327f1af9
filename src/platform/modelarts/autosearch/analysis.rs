//! How much each parameter matters: the share of the results' variance that it explains alone (the correlation ratio), over resampled
//! trials.

use crate::platform::search::plan::SearchPlan;
use crate::platform::search::report::{Report, TrialStatus};
use crate::platform::search::space::Domain;

/// Groups that a continuous parameter's trials are sorted into.
const GROUPS: f64 = 4.0;
/// How often trials are drawn anew.
const RESAMPLES: usize = 50;
/// With fewer results nothing can be said.
const FEWEST: usize = 4;

/// Name, mean and deviation of the importance of each parameter; 0 where there are too few results.
pub(super) fn importance(plan: &SearchPlan, report: &Report) -> Vec<(String, f64, f64)> {
    let counts = |status| matches!(status, TrialStatus::Completed | TrialStatus::Stopped);
    let trials: Vec<(&[f64], f64)> = report
        .trials
        .iter()
        .filter(|trial| counts(trial.status))
        .filter_map(|trial| Some((trial.point.as_slice(), trial.figures.first().copied().flatten()?)))
        .collect();
    let one = |(index, parameter): (usize, &crate::platform::search::space::Parameter)| {
        let group = |point: &[f64]| match parameter.domain {
            Domain::Continuous(..) => (point[index] * GROUPS).min(GROUPS - 1.0) as usize,
            Domain::Discrete(_) => point[index] as usize,
        };
        let grouped: Vec<(usize, f64)> = trials.iter().map(|(point, figure)| (group(point), *figure)).collect();
        let (mean, deviation) = resampled(&grouped);
        (parameter.name.clone(), mean, deviation)
    };
    plan.space.0.iter().enumerate().map(one).collect()
}

fn resampled(trials: &[(usize, f64)]) -> (f64, f64) {
    if trials.len() < FEWEST {
        return (0.0, 0.0);
    }
    // The same trials give the same answer, whenever it is asked for.
    let mut random = fastrand::Rng::with_seed(1);
    let ratios: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let drawn: Vec<(usize, f64)> = trials.iter().map(|_| trials[random.usize(..trials.len())]).collect();
            ratio(&drawn)
        })
        .collect();
    let mean = ratios.iter().sum::<f64>() / RESAMPLES as f64;
    let variance = ratios.iter().map(|ratio| (ratio - mean).powi(2)).sum::<f64>() / RESAMPLES as f64;
    (mean, variance.sqrt())
}

/// Variance between groups by variance in all.
fn ratio(trials: &[(usize, f64)]) -> f64 {
    let count = trials.len() as f64;
    let mean = trials.iter().map(|(_, figure)| figure).sum::<f64>() / count;
    let total: f64 = trials.iter().map(|(_, figure)| (figure - mean).powi(2)).sum();
    if total <= f64::MIN_POSITIVE {
        return 0.0;
    }
    let groups: std::collections::BTreeSet<usize> = trials.iter().map(|(group, _)| *group).collect();
    let between: f64 = groups
        .into_iter()
        .map(|group| {
            let members: Vec<f64> = trials.iter().filter(|(own, _)| *own == group).map(|(_, figure)| *figure).collect();
            let own = members.iter().sum::<f64>() / members.len() as f64;
            members.len() as f64 * (own - mean).powi(2)
        })
        .sum();
    between / total
}

#[cfg(test)]
mod tests {
    use super::{ratio, resampled};

    #[test]
    fn a_parameter_that_decides_explains_all() {
        let decides: Vec<(usize, f64)> = (0..12).map(|index| (index % 3, (index % 3) as f64)).collect();
        assert!((ratio(&decides) - 1.0).abs() < 1e-12);
        let idle: Vec<(usize, f64)> = (0..12).map(|index| (index % 3, (index / 3) as f64)).collect();
        assert_eq!(ratio(&idle), 0.0);
        assert!(resampled(&decides).0 > resampled(&idle).0 + 0.3);
        assert_eq!(resampled(&decides[..2]), (0.0, 0.0));
    }
}
