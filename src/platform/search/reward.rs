//! Figures out of what trials print.

use regex::Regex;

use crate::platform::search::plan::Indicator;

/// A decimal number, as programs print them.
const NUMBER: &str = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?";

/// The expression for a figure that is printed by its name: `name: 0.5`, `name=0.5`, `"name": 0.5` and the like.
pub fn expression(name: &str) -> String {
    format!(r#"(?:^|[^\w.-]){}["']?\s*[:=]?\s*({NUMBER})"#, regex::escape(name))
}

/// Checks an expression.
///
/// # Errors
/// What is wrong with it, for the user.
pub fn check(expression: &str) -> Result<(), String> {
    Regex::new(expression).map(drop).map_err(|error| error.to_string())
}

/// Reads the lines of one trial.
#[derive(Debug)]
pub(super) struct Reader {
    indicators: Vec<(Indicator, Regex)>,
    /// The last value of each figure.
    pub(super) last: Vec<Option<f64>>,
    /// How often the optimised figure came.
    pub(super) iterations: u64,
    /// Its best value.
    pub(super) best: Option<f64>,
}

impl Reader {
    pub(super) fn new(indicators: &[Indicator]) -> Result<Self, regex::Error> {
        let read = |indicator: &Indicator| Ok((indicator.clone(), Regex::new(&indicator.regex)?));
        let indicators = indicators.iter().map(read).collect::<Result<Vec<_>, regex::Error>>()?;
        Ok(Self { last: vec![None; indicators.len()], indicators, iterations: 0, best: None })
    }

    /// Looks at a line; of several matches the last counts.
    pub(super) fn feed(&mut self, line: &str) {
        for (index, (indicator, expression)) in self.indicators.iter().enumerate() {
            let found = expression.captures_iter(line).filter_map(|captures| {
                let figure = captures.get(1).or_else(|| captures.get(0))?;
                figure.as_str().trim().parse::<f64>().ok().filter(|value| value.is_finite())
            });
            let Some(value) = found.last() else { continue };
            self.last[index] = Some(value);
            if index == 0 {
                self.iterations += 1;
                let is_better = |best: f64| indicator.reward(value) > indicator.reward(best);
                if self.best.is_none_or(is_better) {
                    self.best = Some(value);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Reader, check, expression};
    use crate::platform::search::plan::Indicator;

    fn reader(regex: String, minimise: bool) -> Reader {
        Reader::new(&[Indicator { name: "loss".into(), minimise, regex }]).unwrap()
    }

    #[test]
    fn the_usual_ways_to_print_a_figure_are_understood() {
        for line in ["loss: 0.25", "epoch 3 loss=0.25 acc=1", "{'loss': 0.25}", "step 4, loss 2.5e-1,", "\"loss\" : .25"] {
            let mut reader = reader(expression("loss"), true);
            reader.feed(line);
            assert_eq!(reader.last, [Some(0.25)], "{line}");
        }
        for line in ["val_loss: 0.25", "lossy 3 times", "loss is fine", "loss: nan", "xloss=1"] {
            let mut reader = reader(expression("loss"), true);
            reader.feed(line);
            assert_eq!(reader.last, [None], "{line}");
        }
    }

    #[test]
    fn the_last_match_counts_and_the_best_is_remembered() {
        let mut reader = reader(r"loss\[(.*?)\]".to_owned(), true);
        for line in ["loss[3] loss[1]", "nothing", "loss[2]", "loss[inf]"] {
            reader.feed(line);
        }
        assert_eq!((reader.last[0], reader.best, reader.iterations), (Some(2.0), Some(1.0), 2));
        assert!(check("(").is_err());
    }
}
