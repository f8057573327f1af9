//! The points of an even grid, in order.

use crate::platform::search::space::{Domain, Point, Space};

/// A grid: the values of discrete parameters, and as many of each continuous one as the number of samples allows, at least two,
/// its bounds among them.
#[derive(Debug)]
pub(super) struct Grid {
    axes: Vec<Vec<f64>>,
    next: usize,
}

impl Grid {
    pub(super) fn new(space: &Space, samples: usize) -> Self {
        let discrete: usize = space.0.iter().filter_map(|parameter| parameter.domain.size()).product();
        let continuous = space.0.iter().filter(|parameter| parameter.domain.size().is_none()).count();
        let share = (samples / discrete.max(1)) as f64;
        // A little more than the root, which may fall short of a whole number.
        let each = ((share.powf(1.0 / continuous.max(1) as f64) + 1e-9) as usize).max(2);
        let axis = |domain: &Domain| match domain {
            Domain::Discrete(values) => (0..values.len()).map(|index| index as f64).collect(),
            Domain::Continuous(..) => (0..each).map(|index| index as f64 / (each - 1) as f64).collect(),
        };
        Self { axes: space.0.iter().map(|parameter| axis(&parameter.domain)).collect(), next: 0 }
    }

    /// The next point; `None` after the last.
    pub(super) fn next(&mut self) -> Option<Point> {
        let mut index = self.next;
        let mut point = vec![0.0; self.axes.len()];
        // The last parameter changes fastest.
        for (coordinate, axis) in point.iter_mut().zip(&self.axes).rev() {
            *coordinate = axis[index % axis.len()];
            index /= axis.len();
        }
        self.next += 1;
        (index == 0).then_some(point)
    }
}

#[cfg(test)]
mod tests {
    use super::Grid;
    use crate::platform::search::space::{Domain, Parameter, Space};

    #[test]
    fn all_combinations_come_once() {
        let discrete = Domain::Discrete(vec!["a".into(), "b".into()]);
        let parameters = [Domain::Continuous(0.0, 1.0), discrete].map(|domain| Parameter { name: String::new(), domain });
        let mut grid = Grid::new(&Space(parameters.to_vec()), 6);
        let points: Vec<_> = std::iter::from_fn(|| grid.next()).collect();
        assert_eq!(points, [[0.0, 0.0], [0.0, 1.0], [0.5, 0.0], [0.5, 1.0], [1.0, 0.0], [1.0, 1.0]]);
    }
}
