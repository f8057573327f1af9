//! What is varied: a box of continuous and discrete parameters.

use serde::{Deserialize, Serialize};

/// One parameter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parameter {
    /// Name of the hyperparameter.
    pub name: String,
    /// Its values.
    pub domain: Domain,
}

/// The values of a parameter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Domain {
    /// Every number from the first to the second.
    Continuous(f64, f64),
    /// These, at least one.
    Discrete(Vec<String>),
}

/// The parameters, at least one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Space(pub Vec<Parameter>);

/// One coordinate a parameter: a continuous one in 0 to 1, a discrete one the number of its value.
pub type Point = Vec<f64>;

impl Space {
    /// A point with equal chances for all.
    pub fn random(&self, random: &mut fastrand::Rng) -> Point {
        self.0.iter().map(|parameter| parameter.domain.random(random)).collect()
    }

    /// The values at a point, as a program is given them.
    pub fn values(&self, point: &Point) -> Vec<(String, String)> {
        let pairs = self.0.iter().zip(point);
        pairs.map(|(parameter, &coordinate)| (parameter.name.clone(), parameter.domain.value(coordinate))).collect()
    }

    /// How many points there are, when all parameters are discrete.
    pub fn count(&self) -> Option<usize> {
        self.0.iter().try_fold(1_usize, |count, parameter| match &parameter.domain {
            Domain::Continuous(..) => None,
            Domain::Discrete(values) => count.checked_mul(values.len()),
        })
    }
}

impl Domain {
    /// Number of values of a discrete one.
    pub fn size(&self) -> Option<usize> {
        match self {
            Self::Continuous(..) => None,
            Self::Discrete(values) => Some(values.len()),
        }
    }

    /// A coordinate with equal chances for all.
    pub fn random(&self, random: &mut fastrand::Rng) -> f64 {
        match self {
            Self::Continuous(..) => random.f64(),
            Self::Discrete(values) => random.usize(..values.len().max(1)) as f64,
        }
    }

    fn value(&self, coordinate: f64) -> String {
        match self {
            // The bounds themselves, not what arithmetic makes of them.
            Self::Continuous(low, _) if coordinate <= 0.0 => low.to_string(),
            Self::Continuous(_, high) if coordinate >= 1.0 => high.to_string(),
            Self::Continuous(low, high) => (low + coordinate * (high - low)).to_string(),
            Self::Discrete(values) => values.get(coordinate as usize).cloned().unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Domain, Parameter, Space};

    #[test]
    fn points_become_values_of_their_parameters() {
        let parameter = |name: &str, domain| Parameter { name: name.into(), domain };
        let discrete = |values: &[&str]| Domain::Discrete(values.iter().map(|&value| value.to_owned()).collect());
        let space = Space(vec![parameter("lr", Domain::Continuous(0.001, 0.1)), parameter("kind", discrete(&["a", "b"]))]);
        let text =
            |point: Vec<f64>| space.values(&point).into_iter().map(|(name, value)| name + "=" + &value).collect::<Vec<_>>();
        assert_eq!(text(vec![0.0, 1.0]), ["lr=0.001", "kind=b"]);
        assert_eq!(text(vec![1.0, 0.0]), ["lr=0.1", "kind=a"]);
        let middle: f64 = space.values(&vec![0.5, 0.0])[0].1.parse().unwrap();
        assert!((middle - 0.0505).abs() < 1e-12);
        assert_eq!(space.count(), None);
        assert_eq!(Space(vec![space.0[1].clone(), space.0[1].clone()]).count(), Some(4));
        let mut random = fastrand::Rng::with_seed(1);
        assert!(
            (0..100)
                .all(|_| matches!(space.random(&mut random)[..], [x, y] if (0.0..1.0).contains(&x) && (y == 0.0 || y == 1.0)))
        );
    }
}
