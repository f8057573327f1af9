//! Hyperparameters against the definitions of an algorithm.

use std::fmt;

use serde_json::Value;

use crate::api::modelarts::algorithm::Algorithm;
use crate::api::modelarts::text;

/// What the values of a hyperparameter are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueKind {
    /// Any text.
    String,
    /// A whole number.
    Integer,
    /// A number.
    Float,
    /// `true` or `false`; as a flag, without a value.
    Boolean,
}

impl ValueKind {
    /// The kinds, by the API's names.
    pub const ALL: [Self; 4] = [Self::String, Self::Integer, Self::Float, Self::Boolean];

    /// Reads the API's name in any case; what is not known holds any text.
    pub fn read(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.to_string().eq_ignore_ascii_case(name))
    }

    /// Whether a value is of this kind.
    pub fn holds(self, value: &str) -> bool {
        match self {
            Self::String => true,
            Self::Integer => value.parse::<i64>().is_ok(),
            Self::Float => value.parse::<f64>().is_ok_and(f64::is_finite),
            Self::Boolean => value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("false"),
        }
    }

    fn describe(self) -> &'static str {
        match self {
            Self::String => "a text",
            Self::Integer => "a whole number",
            Self::Float => "a number",
            Self::Boolean => "true or false",
        }
    }

    fn is_number(self) -> bool {
        matches!(self, Self::Integer | Self::Float)
    }
}

impl fmt::Display for ValueKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self:?}")
    }
}

/// Which values are allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// All of the kind.
    Any,
    /// Numbers from the first to the second, both included.
    Range(String, String),
    /// One of these.
    Choice(Vec<String>),
}

impl fmt::Display for Allowed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => Ok(()),
            Self::Range(low, high) => write!(formatter, "{low} to {high}"),
            Self::Choice(values) => formatter.write_str(&values.join(", ")),
        }
    }
}

/// The definition of one hyperparameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// Name.
    pub name: String,
    /// Default; `None` when there is none.
    pub default: Option<String>,
    /// What it is for.
    pub description: String,
    /// What its values are.
    pub kind: ValueKind,
    /// A job cannot do without it.
    pub required: bool,
    /// A job may give it another value than the default.
    pub editable: bool,
    /// Its values are secrets.
    pub sensitive: bool,
    /// Which values it may have.
    pub allowed: Allowed,
}

impl Definition {
    /// Reads a member of `job_config.parameters`.
    pub fn read(document: &Value) -> Self {
        let constraint = &document["constraint"];
        let range = constraint["valid_range"].as_array().into_iter().flatten();
        let values: Vec<String> = range.map(|value| text(value, "")).filter(|value| !value.is_empty()).collect();
        let allowed = match (text(constraint, "/valid_type").to_ascii_lowercase().as_str(), values.as_slice()) {
            ("range", [low, high]) => Allowed::Range(low.clone(), high.clone()),
            ("choice", [_, ..]) => Allowed::Choice(values),
            _ => Allowed::Any,
        };
        Self {
            name: text(document, "/name"),
            default: Some(text(document, "/value")).filter(|value| !value.is_empty()),
            description: text(document, "/description"),
            kind: ValueKind::read(&text(constraint, "/type")).unwrap_or(ValueKind::String),
            required: constraint["required"].as_bool().unwrap_or_default(),
            editable: constraint["editable"].as_bool().unwrap_or(true),
            sensitive: constraint["sensitive"].as_bool().unwrap_or_default(),
            allowed,
        }
    }

    /// What is wrong with a value; `None` is a flag. No problem is `Ok`.
    ///
    /// # Errors
    /// A text for the user, which does not name the hyperparameter.
    pub fn check(&self, value: Option<&str>) -> Result<(), String> {
        let Some(value) = value else {
            return match self.kind {
                ValueKind::Boolean | ValueKind::String => Ok(()),
                kind => Err(format!("needs a value: {}", kind.describe())),
            };
        };
        // Errors are kept where secrets must not be.
        let shown = |value| if self.sensitive { "…" } else { value };
        let given = shown(value);
        if !self.kind.holds(value) {
            return Err(format!("must be {}, not [{given}]", self.kind.describe()));
        }
        if !self.editable && self.default.as_deref().is_some_and(|default| !self.same(default, value)) {
            return Err(format!("is fixed by the algorithm: {}", shown(self.default.as_deref().unwrap_or_default())));
        }
        let number = |text: &str| text.parse::<f64>().ok();
        match &self.allowed {
            Allowed::Any => Ok(()),
            Allowed::Range(low, high) => {
                let is_inside = number(value).is_some_and(|value| {
                    number(low).is_none_or(|low| low <= value) && number(high).is_none_or(|high| value <= high)
                });
                if is_inside { Ok(()) } else { Err(format!("must be {low} to {high}, not [{given}]")) }
            }
            Allowed::Choice(values) if values.iter().any(|choice| self.same(choice, value)) => Ok(()),
            Allowed::Choice(values) => Err(format!("must be one of {}, not [{given}]", values.join(", "))),
        }
    }

    /// Whether two spellings mean the same value.
    fn same(&self, left: &str, right: &str) -> bool {
        let numbers = || left.parse::<f64>().ok().zip(right.parse::<f64>().ok());
        left == right
            || (self.kind == ValueKind::Boolean && left.eq_ignore_ascii_case(right))
            || (self.kind.is_number() && numbers().is_some_and(|(left, right)| left == right))
    }
}

/// Checks a job's hyperparameters (one without a value is a flag) against the algorithm it is made from. Returns all that is
/// wrong, one sentence each without a full stop; empty when nothing is.
pub fn check_parameters(algorithm: &Algorithm, given: &[(String, Option<String>)]) -> Vec<String> {
    let definitions = algorithm.definitions();
    let mut problems = Vec::new();
    for (name, value) in given {
        match definitions.iter().find(|definition| definition.name == *name) {
            Some(definition) => {
                if let Err(problem) = definition.check(value.as_deref()) {
                    problems.push(format!("hyperparameter [{name}] {problem}"));
                }
            }
            None if algorithm.takes_other_parameters() => {}
            None => problems.push(unknown(name, &definitions)),
        }
    }
    for definition in definitions.iter().filter(|definition| definition.required && definition.default.is_none()) {
        if !given.iter().any(|(name, _)| *name == definition.name) {
            problems.push(format!("hyperparameter [{}] is required by the algorithm and has no default", definition.name));
        }
    }
    problems
}

fn unknown(name: &str, definitions: &[Definition]) -> String {
    let likeness = |definition: &&Definition| strsim::jaro_winkler(name, &definition.name);
    let nearest = definitions.iter().max_by(|left, right| likeness(left).total_cmp(&likeness(right)));
    // Below that, a suggestion is a guess.
    let advice = match nearest.filter(|definition| likeness(definition) > 0.75) {
        Some(definition) => format!("; did you mean [{}]?", definition.name),
        None => String::new(),
    };
    format!("hyperparameter [{name}] is not defined by the algorithm, which takes no others{advice}")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Algorithm, check_parameters};

    fn parameter(name: &str, value: &str, kind: &str, valid: (&str, &[&str]), required: bool, editable: bool) -> Value {
        let (valid_type, valid_range) = valid;
        let constraint = json!({"type": kind, "required": required, "editable": editable, "valid_type": valid_type,
            "valid_range": valid_range});
        json!({"name": name, "value": value, "constraint": constraint})
    }

    fn algorithm(others: bool) -> Algorithm {
        let parameters = [
            parameter("lr", "0.01", "Float", ("range", &["0.001", "0.1"]), true, true),
            parameter("epochs", "", "Integer", ("None", &[]), true, true),
            parameter("optimizer", "sgd", "String", ("choice", &["sgd", "adam"]), false, true),
            parameter("amp", "true", "Boolean", ("None", &[]), false, false),
        ];
        Algorithm(json!({"job_config": {"parameters": parameters, "parameters_customization": others}}))
    }

    fn problems(others: bool, given: &[(&str, Option<&str>)]) -> Vec<String> {
        let given: Vec<_> = given.iter().map(|(name, value)| ((*name).to_owned(), value.map(str::to_owned))).collect();
        check_parameters(&algorithm(others), &given)
    }

    #[test]
    fn what_fits_the_definitions_is_no_problem() {
        let fits = [("epochs", Some("3")), ("lr", Some("1e-2")), ("optimizer", Some("adam")), ("amp", Some("True"))];
        assert!(problems(false, &fits).is_empty());
        assert!(problems(true, &[("epochs", Some("3")), ("amp", None), ("other", None)]).is_empty());
    }

    #[test]
    fn every_problem_is_told_with_what_is_allowed() {
        let found =
            problems(false, &[("lr", Some("0.5")), ("epoch", Some("3")), ("optimizer", Some("lion")), ("amp", Some("false"))]);
        assert_eq!(
            found,
            [
                "hyperparameter [lr] must be 0.001 to 0.1, not [0.5]",
                "hyperparameter [epoch] is not defined by the algorithm, which takes no others; did you mean [epochs]?",
                "hyperparameter [optimizer] must be one of sgd, adam, not [lion]",
                "hyperparameter [amp] is fixed by the algorithm: true",
                "hyperparameter [epochs] is required by the algorithm and has no default",
            ]
        );
        assert_eq!(problems(true, &[("epochs", Some("2.5"))]), ["hyperparameter [epochs] must be a whole number, not [2.5]"]);
        assert_eq!(problems(true, &[("epochs", None)]), ["hyperparameter [epochs] needs a value: a whole number"]);
        assert_eq!(problems(true, &[("epochs", Some("1")), ("lr", Some("NaN"))]).len(), 1);
    }
}
