//! An evaluation as rows: figures of each label computed from predictions, or the file field by field.

use serde_json::{Value, json};

use crate::ui::{Present, Table};

/// Longer lists are told by their length.
const LONGEST_LIST: usize = 12;

/// An evaluation file.
#[derive(Debug)]
pub(super) struct EvaluationView {
    document: Value,
    scores: Option<Scores>,
}

/// How good predictions are.
#[derive(Debug)]
struct Scores {
    labels: Vec<String>,
    /// For each true label, how often each label was predicted.
    confusion: Vec<Vec<u64>>,
}

impl EvaluationView {
    /// Reads the file; predictions are recognised by `pred_list` and `label_list` (user guide, evaluation of training results).
    pub(super) fn new(document: Value) -> Self {
        let scores = Scores::read(&document);
        Self { document, scores }
    }
}

impl Scores {
    fn read(document: &Value) -> Option<Self> {
        let predictions = document["pred_list"].as_array()?;
        let labels = document["label_list"].as_array()?;
        let pairs: Vec<(usize, usize)> =
            predictions.iter().zip(labels).filter_map(|(predicted, label)| Some((index(label)?, index(predicted)?))).collect();
        let count = pairs.iter().map(|(label, predicted)| label.max(predicted) + 1).max()?;
        let mut confusion = vec![vec![0; count]; count];
        pairs.iter().for_each(|&(label, predicted)| confusion[label][predicted] += 1);
        // The map of names may be a text that holds JSON.
        let names = match &document["label_map_dict"] {
            Value::String(text) => serde_json::from_str(text).unwrap_or_default(),
            names => names.clone(),
        };
        let name = |label: usize| names[label.to_string()].as_str().map_or_else(|| label.to_string(), str::to_owned);
        Some(Self { labels: (0..count).map(name).collect(), confusion })
    }

    /// Precision, recall, F1 and number of images of one label.
    fn of(&self, label: usize) -> (f64, f64, f64, u64) {
        let hits = self.confusion[label][label];
        let images: u64 = self.confusion[label].iter().sum();
        let predicted: u64 = self.confusion.iter().map(|row| row[label]).sum();
        let (precision, recall) = (ratio(hits, predicted), ratio(hits, images));
        let both = precision + recall;
        let harmonic = if both > 0.0 { 2.0 * precision * recall / both } else { 0.0 };
        (precision, recall, harmonic, images)
    }

    fn accuracy(&self) -> f64 {
        let hits = (0..self.labels.len()).map(|label| self.confusion[label][label]).sum();
        ratio(hits, self.confusion.iter().flatten().sum())
    }
}

#[expect(clippy::cast_precision_loss, reason = "numbers of images are far below 2^52")]
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// A label: its number, or the place of the greatest of its probabilities. Numbers beyond any set of labels are none.
fn index(value: &Value) -> Option<usize> {
    const MOST_LABELS: usize = 4096;
    let found = match value {
        Value::Array(probabilities) => {
            let values = probabilities.iter().map(|value| value.as_f64().unwrap_or(f64::MIN));
            values.enumerate().max_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(place, _)| place)
        }
        number => number.as_u64().and_then(|number| usize::try_from(number).ok()),
    };
    found.filter(|&label| label < MOST_LABELS)
}

impl Present for EvaluationView {
    fn table(&self) -> Table {
        let Some(scores) = &self.scores else {
            let mut table = Table::of_properties(["field", "value"]);
            flatten("", &self.document, &mut table.rows);
            return table;
        };
        let mut table = Table::new(["label", "precision", "recall", "f1", "images"]);
        let figure = |value: f64| format!("{value:.4}");
        for (label, name) in scores.labels.iter().enumerate() {
            let (precision, recall, harmonic, images) = scores.of(label);
            table.rows.push(vec![name.clone(), figure(precision), figure(recall), figure(harmonic), images.to_string()]);
        }
        let images: u64 = scores.confusion.iter().flatten().sum();
        table.rows.push(vec![
            "accuracy".to_owned(),
            figure(scores.accuracy()),
            String::new(),
            String::new(),
            images.to_string(),
        ]);
        table
    }

    fn document(&self) -> Value {
        let Some(scores) = &self.scores else { return self.document.clone() };
        let label = |label: usize| {
            let (precision, recall, harmonic, images) = scores.of(label);
            json!({"label": scores.labels[label], "precision": precision, "recall": recall, "f1": harmonic, "images": images})
        };
        let labels: Vec<Value> = (0..scores.labels.len()).map(label).collect();
        json!({"accuracy": scores.accuracy(), "labels": labels, "confusion_matrix": scores.confusion, "file": self.document})
    }
}

/// One row a value, with the path to it.
fn flatten(path: &str, value: &Value, rows: &mut Vec<Vec<String>>) {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match value {
        Value::Object(members) if !members.is_empty() => {
            members.iter().for_each(|(key, member)| flatten(&below(key), member, rows));
        }
        Value::Array(elements)
            if elements.iter().any(|element| element.is_object() || element.is_array()) && elements.len() <= LONGEST_LIST =>
        {
            elements.iter().enumerate().for_each(|(place, element)| flatten(&format!("{path}[{place}]"), element, rows));
        }
        Value::Array(elements) if elements.len() > LONGEST_LIST => {
            rows.push(vec![path.to_owned(), format!("[{} values]", elements.len())]);
        }
        Value::String(text) => rows.push(vec![path.to_owned(), text.clone()]),
        other => rows.push(vec![path.to_owned(), other.to_string()]),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::EvaluationView;
    use crate::ui::Present as _;

    #[test]
    fn figures_are_computed_from_predictions() {
        let view = EvaluationView::new(json!({
            "pred_list": [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.3, 0.7]], "label_list": [0, 1, 1, 1],
            "label_map_dict": "{\"0\": \"cat\", \"1\": \"dog\"}",
        }));
        let rows = view.table().rows;
        assert_eq!(rows[0], ["cat", "0.5000", "1.0000", "0.6667", "1"]);
        assert_eq!(rows[1], ["dog", "1.0000", "0.6667", "0.8000", "3"]);
        assert_eq!(rows[2][..2], ["accuracy", "0.7500"]);
        assert_eq!(view.document()["confusion_matrix"], json!([[1, 0], [1, 2]]));
    }

    #[test]
    fn other_files_are_shown_field_by_field() {
        let view =
            EvaluationView::new(json!({"accuracy": 0.9, "by": {"cat": [1, 2]}, "long": vec![1; 99], "runs": [{"loss": 1.5}]}));
        let rows = view.table().rows;
        assert_eq!(rows, [["accuracy", "0.9"], ["by.cat", "[1,2]"], ["long", "[99 values]"], ["runs[0].loss", "1.5"]]);
        assert_eq!(view.document()["accuracy"], 0.9);
        // Labels that cannot be are no reason to take all memory.
        assert!(EvaluationView::new(json!({"pred_list": [4_000_000_000_u64], "label_list": [1]})).scores.is_none());
    }
}
