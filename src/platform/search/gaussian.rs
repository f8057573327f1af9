//! Bayesian optimisation: a Gaussian process is fitted to the trials so far, and the point with the greatest acquisition is tried.
//! The kernel is Matérn 5/2 (Snoek, Larochelle, Adams: Practical Bayesian Optimization, 2012), its length chosen by likelihood.

use std::f64::consts::{PI, SQRT_2};

use crate::platform::search::plan::Acquisition;
use crate::platform::search::sampler::{Observation, normal, normal_below};
use crate::platform::search::space::{Domain, Point, Space};

/// Lengths that are tried, in units of the box.
const LENGTHS: [f64; 6] = [0.05, 0.1, 0.2, 0.4, 0.8, 1.6];
/// Variance of the noise of a standardised figure: keeps equal points from making the matrix singular.
const NOISE: f64 = 1e-4;
/// Random points that are compared.
const CANDIDATES: usize = 600;
/// Points near the best that are compared as well.
const NEIGHBOURS: usize = 200;
/// The process takes time with the third power of its trials, so only this many are looked at: the best and the last.
const MOST_TRIALS: usize = 200;

/// The next point. `ranked` are the trials so far, best first, at least two; `pending` are tried right now.
pub(super) fn propose(
    space: &Space,
    ranked: &[&Observation],
    pending: &[Point],
    acquisition: Acquisition,
    random: &mut fastrand::Rng,
) -> Point {
    let known = &ranked[..ranked.len().min(MOST_TRIALS)];
    let (mean, deviation) = spread(known);
    let standard = |reward: f64| (reward - mean) / deviation;
    let mut trials: Vec<(Point, f64)> = known.iter().map(|trial| (trial.point.clone(), standard(trial.reward))).collect();
    // As if they had come out as the mean: makes their neighbourhood known, and neither good nor bad.
    trials.extend(pending.iter().map(|point| (point.clone(), 0.0)));
    let processes = LENGTHS.iter().filter_map(|&length| Process::fit(space, &trials, length));
    let Some(process) = processes.max_by(|left, right| left.likelihood.total_cmp(&right.likelihood)) else {
        return space.random(random);
    };
    let best = standard(known[0].reward);
    let mut candidates: Vec<Point> = (0..CANDIDATES).map(|_| space.random(random)).collect();
    for index in 0..NEIGHBOURS {
        let centre = &known[index % known.len().min(5)].point;
        candidates.push(neighbour(space, centre, if index % 2 == 0 { 0.1 } else { 0.02 }, random));
    }
    let value = |point: &Point| {
        let (mean, deviation) = process.predict(space, point);
        worth(acquisition, mean, deviation, best)
    };
    let valued = candidates.into_iter().map(|point| (value(&point), point));
    valued.max_by(|left, right| left.0.total_cmp(&right.0)).map_or_else(|| space.random(random), |(_, point)| point)
}

fn spread(trials: &[&Observation]) -> (f64, f64) {
    let count = trials.len() as f64;
    let mean = trials.iter().map(|trial| trial.reward).sum::<f64>() / count;
    let variance = trials.iter().map(|trial| (trial.reward - mean).powi(2)).sum::<f64>() / count;
    let deviation = variance.sqrt();
    (mean, if deviation > f64::MIN_POSITIVE { deviation } else { 1.0 })
}

fn neighbour(space: &Space, centre: &Point, step: f64, random: &mut fastrand::Rng) -> Point {
    let near = |(domain, &centre): (&Domain, &f64)| match domain {
        Domain::Continuous(..) => (centre + step * normal(random)).clamp(0.0, 1.0),
        Domain::Discrete(_) if random.f64() < step => domain.random(random),
        Domain::Discrete(_) => centre,
    };
    space.0.iter().map(|parameter| &parameter.domain).zip(centre).map(near).collect()
}

fn worth(acquisition: Acquisition, mean: f64, deviation: f64, best: f64) -> f64 {
    let gain = |margin: f64| (mean - best - margin, (mean - best - margin) / deviation);
    match acquisition {
        Acquisition::UpperBound(kappa) => mean + kappa * deviation,
        Acquisition::ExpectedGain(margin) => {
            let (gain, ratio) = gain(margin);
            gain * normal_below(ratio) + deviation * (-0.5 * ratio * ratio).exp() / (SQRT_2 * PI.sqrt())
        }
        Acquisition::ProbabilityOfGain(margin) => normal_below(gain(margin).1),
    }
}

/// A Gaussian process through points.
struct Process {
    points: Vec<Point>,
    length: f64,
    /// Lower triangle of the Cholesky factor of the covariance.
    factor: Vec<Vec<f64>>,
    /// The inverse covariance times the figures.
    weights: Vec<f64>,
    /// Logarithm of the likelihood of the figures, up to a constant.
    likelihood: f64,
}

impl Process {
    /// `None` when the covariance is singular.
    fn fit(space: &Space, trials: &[(Point, f64)], length: f64) -> Option<Self> {
        let points: Vec<Point> = trials.iter().map(|(point, _)| point.clone()).collect();
        let mut factor: Vec<Vec<f64>> = Vec::with_capacity(points.len());
        for (row, point) in points.iter().enumerate() {
            let mut line: Vec<f64> = points[..=row].iter().map(|other| covariance(space, point, other, length)).collect();
            line[row] += NOISE;
            for column in 0..=row {
                let above: &[f64] = if column == row { &line } else { &factor[column] };
                let product: f64 = line[..column].iter().zip(&above[..column]).map(|(left, right)| left * right).sum();
                let rest = line[column] - product;
                line[column] = if column == row { rest.sqrt() } else { rest / factor[column][column] };
            }
            if !line[row].is_finite() || line[row] <= 0.0 {
                return None;
            }
            factor.push(line);
        }
        let figures: Vec<f64> = trials.iter().map(|(_, figure)| *figure).collect();
        let half = forward(&factor, &figures);
        let weights = backward(&factor, &half);
        let fit: f64 = half.iter().map(|value| value * value).sum();
        let volume: f64 = factor.iter().enumerate().map(|(row, line)| line[row].ln()).sum();
        Some(Self { points, length, factor, weights, likelihood: -0.5 * fit - volume })
    }

    /// Mean and deviation that are expected at a point.
    fn predict(&self, space: &Space, point: &Point) -> (f64, f64) {
        let near: Vec<f64> = self.points.iter().map(|other| covariance(space, point, other, self.length)).collect();
        let mean = near.iter().zip(&self.weights).map(|(left, right)| left * right).sum();
        let known: f64 = forward(&self.factor, &near).iter().map(|value| value * value).sum();
        (mean, (1.0 - known).max(1e-12).sqrt())
    }
}

fn covariance(space: &Space, left: &Point, right: &Point, length: f64) -> f64 {
    let apart = |(domain, (left, right)): (&Domain, (&f64, &f64))| match domain {
        Domain::Continuous(..) => (left - right).powi(2),
        // Another value is as far as the box is wide.
        Domain::Discrete(_) => f64::from(u8::from(left != right)),
    };
    let domains = space.0.iter().map(|parameter| &parameter.domain);
    let distance = domains.zip(left.iter().zip(right)).map(apart).sum::<f64>().sqrt();
    let scaled = 5.0_f64.sqrt() * distance / length;
    (1.0 + scaled + scaled * scaled / 3.0) * (-scaled).exp()
}

/// Solves with the lower triangle.
fn forward(factor: &[Vec<f64>], right: &[f64]) -> Vec<f64> {
    let mut solved: Vec<f64> = Vec::with_capacity(right.len());
    for (row, line) in factor.iter().enumerate() {
        let product: f64 = line[..row].iter().zip(&solved).map(|(left, right)| left * right).sum();
        solved.push((right[row] - product) / line[row]);
    }
    solved
}

/// Solves with the transposed lower triangle.
fn backward(factor: &[Vec<f64>], right: &[f64]) -> Vec<f64> {
    let mut solved = vec![0.0; right.len()];
    for row in (0..right.len()).rev() {
        let product: f64 = (row + 1..right.len()).map(|below| factor[below][row] * solved[below]).sum();
        solved[row] = (right[row] - product) / factor[row][row];
    }
    solved
}

#[cfg(test)]
mod tests {
    use super::{Acquisition, Process, worth};
    use crate::platform::search::space::{Domain, Parameter, Space};

    #[test]
    fn a_process_goes_through_its_points_and_doubts_between_them() {
        let space = Space(vec![Parameter { name: "x".into(), domain: Domain::Continuous(0.0, 1.0) }]);
        let trials = [(vec![0.0], -1.0), (vec![0.5], 1.0), (vec![1.0], 0.0)];
        let process = Process::fit(&space, &trials, 0.2).unwrap();
        for (point, figure) in &trials {
            let (mean, deviation) = process.predict(&space, point);
            assert!((mean - figure).abs() < 0.01 && deviation < 0.02, "{mean} {deviation}");
        }
        assert!(process.predict(&space, &vec![0.25]).1 > 0.3);
        // Two equal points do not break it.
        assert!(Process::fit(&space, &[(vec![0.5], 1.0), (vec![0.5], -1.0)], 0.2).is_some());
    }

    #[test]
    fn acquisitions_weigh_mean_and_doubt() {
        assert_eq!(worth(Acquisition::UpperBound(2.0), 1.0, 0.5, 9.0), 2.0);
        let gain = |mean, deviation| worth(Acquisition::ExpectedGain(0.0), mean, deviation, 1.0);
        assert!(gain(1.0, 0.5) > gain(1.0, 0.1) && gain(2.0, 0.1) > 0.99);
        assert!((worth(Acquisition::ProbabilityOfGain(0.0), 1.0, 0.3, 1.0) - 0.5).abs() < 1e-6);
    }
}
