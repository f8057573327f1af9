//! `ma-job get-flavor`.

use clap::builder::PossibleValuesParser;
use serde_json::Value;

use crate::api::modelarts::training_job;
use crate::ctx::Ctx;
use crate::error::Error;
use crate::ui::{Present, Table};

/// Kinds of flavors, as the service spells them.
const TYPES: [&str; 3] = ["CPU", "GPU", "Ascend"];

/// List the resource flavors jobs can run on
///
/// The flavor id is what `submit` takes as --train-instance-type.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ma-cli ma-job get-flavor
  ma-cli ma-job get-flavor -t GPU -v")]
pub struct GetFlavorArgs {
    /// Only flavors of this type [default: all]
    #[arg(short = 't', long, value_name = "TYPE", value_parser = PossibleValuesParser::new(TYPES))]
    flavor_type: Option<String>,
    /// Show cores, memory, accelerators and node limit too
    #[arg(short, long)]
    verbose: bool,
}

/// Shows the flavors.
///
/// # Errors
/// The service refuses.
pub async fn run(ctx: &Ctx, args: GetFlavorArgs) -> Result<(), Error> {
    let kind = args.flavor_type.and_then(|typed| TYPES.into_iter().find(|kind| kind.eq_ignore_ascii_case(&typed)));
    let flavors = training_job::flavors(&ctx.modelarts()?, kind).await?;
    ctx.ui.emit(&FlavorList { flavors, verbose: args.verbose })
}

#[derive(Debug)]
struct FlavorList {
    flavors: Vec<Value>,
    verbose: bool,
}

impl Present for FlavorList {
    fn table(&self) -> Table {
        let mut columns = vec!["index", "flavor id", "flavor name", "flavor type"];
        if self.verbose {
            columns.extend(["cores", "memory", "accelerators", "most nodes"]);
        }
        let mut table = Table::new(columns);
        for (index, flavor) in self.flavors.iter().enumerate() {
            let text = |place: &str| plain(flavor.pointer(place));
            let mut row = vec![(index + 1).to_string(), text("/flavor_id"), text("/flavor_name"), text("/flavor_type")];
            if self.verbose {
                let memory = format!("{} {}", text("/flavor_info/memory/size"), text("/flavor_info/memory/unit"));
                row.extend([
                    text("/flavor_info/cpu/core_num"),
                    memory.trim().to_owned(),
                    accelerators(flavor),
                    most_nodes(flavor),
                ]);
            }
            table.rows.push(row);
        }
        table
    }

    fn document(&self) -> Value {
        Value::Array(self.flavors.clone())
    }
}

fn plain(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    }
}

fn accelerators(flavor: &Value) -> String {
    let kinds = ["gpu", "npu"].iter().filter_map(|kind| flavor.pointer(&format!("/flavor_info/{kind}")));
    let shown = kinds.map(|unit| format!("{} x {}", plain(unit.get("unit_num")), plain(unit.get("product_name"))));
    shown.collect::<Vec<_>>().join(", ")
}

fn most_nodes(flavor: &Value) -> String {
    plain(flavor.pointer("/flavor_info/max_num").or_else(|| flavor.get("max_num")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::FlavorList;
    use crate::ui::Present as _;

    #[test]
    fn rows_follow_the_columns() {
        let flavors = vec![json!({"flavor_id": "f", "flavor_name": "n", "flavor_type": "GPU", "flavor_info": {
            "max_num": 4, "cpu": {"core_num": 8}, "memory": {"size": 64, "unit": "GB"}, "gpu": {"unit_num": 1, "product_name": "V100"}}})];
        let short = FlavorList { flavors: flavors.clone(), verbose: false }.table();
        assert_eq!(short.rows, [["1", "f", "n", "GPU"]]);
        let long = FlavorList { flavors, verbose: true }.table();
        assert_eq!(long.rows[0][4..], ["8", "64 GB", "1 x V100", "4"]);
        assert_eq!(long.rows[0].len(), long.columns.len());
    }
}
