//! Metrics of a task as charts, rows and document.

use serde_json::Value;

use crate::api::modelarts::training_metrics::{Metrics, Series};
use crate::ui::chart::{Chart, Ink};
use crate::ui::{Present, Table};

/// Lines of one plot.
const HEIGHT: usize = 5;

/// What the names mean, and whether they are percentages (API reference, running metrics of a task).
const KNOWN: [(&str, &str); 6] = [
    ("cpuUsage", "processors (cpuUsage), % of the node"),
    ("memUsage", "memory (memUsage), % of the node"),
    ("gpuUtil", "GPU (gpuUtil), %"),
    ("gpuMemUsage", "GPU memory (gpuMemUsage), %"),
    ("npuUtil", "NPU (npuUtil), %"),
    ("npuMemUsage", "NPU memory (npuMemUsage), %"),
];

/// The metrics of one task.
#[derive(Debug)]
pub(super) struct MetricsView {
    pub(super) metrics: Metrics,
}

impl MetricsView {
    /// One chart below the other.
    pub(super) fn charts(&self, width: usize, ink: Ink) -> String {
        self.metrics.series.iter().map(|series| chart(series, width, ink)).collect::<Vec<_>>().join("\n")
    }
}

fn chart(series: &Series, width: usize, ink: Ink) -> String {
    let known = KNOWN.iter().find(|(name, _)| *name == series.name);
    let seen: Vec<f64> = series.values.iter().flatten().copied().collect();
    #[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
    let mean = seen.iter().sum::<f64>() / seen.len().max(1) as f64;
    let peak = seen.iter().copied().fold(0.0, f64::max);
    let last = seen.last().copied().unwrap_or_default();
    let title = format!(
        "{}: {last:.1} now, {mean:.1} on average, {peak:.1} at most",
        known.map_or(series.name.as_str(), |(_, title)| title)
    );
    let top = if known.is_some() { 100.0 } else { 0.0 };
    let end = format!("{} min", series.values.len());
    Chart { title: &title, values: &series.values, top, ends: ("0", &end) }.draw(width, HEIGHT, ink)
}

impl Present for MetricsView {
    /// One row a minute and metric.
    fn table(&self) -> Table {
        let mut table = Table::new(["minute", "metric", "value"]);
        let minutes = self.metrics.series.iter().map(|series| series.values.len()).max().unwrap_or_default();
        for minute in 0..minutes {
            for series in &self.metrics.series {
                if let Some(Some(value)) = series.values.get(minute) {
                    table.rows.push(vec![minute.to_string(), series.name.clone(), value.to_string()]);
                }
            }
        }
        table
    }

    fn document(&self) -> Value {
        self.metrics.document.clone()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Metrics, MetricsView};
    use crate::ui::Present as _;
    use crate::ui::chart::Ink;

    #[test]
    fn each_metric_has_a_chart_and_rows() {
        let metrics = Metrics::new(json!({"metrics": [
            {"metric": "cpuUsage", "value": [10, -1, 30]}, {"metric": "diskBytes", "value": [5_000_000, 1, 1]},
        ]}));
        let view = MetricsView { metrics };
        let text = view.charts(80, Ink::Ascii);
        assert!(
            text.contains("processors (cpuUsage), % of the node: 30.0 now, 20.0 on average, 30.0 at most\n    100 |"),
            "{text}"
        );
        assert!(text.contains("diskBytes: 1.0 now") && text.contains("\n  5000k |"), "{text}");
        assert_eq!(view.table().rows[1..3], [["0", "diskBytes", "5000000"], ["1", "diskBytes", "1"]]);
    }
}
