//! `ma-job get-engine`.

use serde_json::Value;

use crate::api::modelarts::training_job;
use crate::ctx::Ctx;
use crate::error::Error;
use crate::ui::{Present, Table};

/// List the engines jobs can run on
///
/// The engine id is what `submit` takes as --framework-version, the engine name as --framework-type.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ma-cli ma-job get-engine
  ma-cli ma-job get-engine -v")]
pub struct GetEngineArgs {
    /// Show version and images too
    #[arg(short, long)]
    verbose: bool,
}

/// Shows the engines.
///
/// # Errors
/// The service refuses.
pub async fn run(ctx: &Ctx, args: GetEngineArgs) -> Result<(), Error> {
    let engines = training_job::engines(&ctx.modelarts()?).await?;
    ctx.ui.emit(&EngineList { engines, verbose: args.verbose })
}

#[derive(Debug)]
struct EngineList {
    engines: Vec<Value>,
    verbose: bool,
}

impl Present for EngineList {
    fn table(&self) -> Table {
        let mut columns = vec!["index", "engine id", "engine name", "run user"];
        if self.verbose {
            columns.extend(["engine version", "cpu image", "gpu image"]);
        }
        let mut table = Table::new(columns);
        for (index, engine) in self.engines.iter().enumerate() {
            let text = |place: &str| engine.pointer(place).and_then(Value::as_str).unwrap_or_default().to_owned();
            let mut row = vec![(index + 1).to_string(), text("/engine_id"), text("/engine_name"), text("/run_user")];
            if self.verbose {
                row.extend([text("/engine_version"), text("/image_info/cpu_image_url"), text("/image_info/gpu_image_url")]);
            }
            table.rows.push(row);
        }
        table
    }

    fn document(&self) -> Value {
        Value::Array(self.engines.clone())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::EngineList;
    use crate::ui::Present as _;

    #[test]
    fn rows_follow_the_columns() {
        let engines = vec![json!({"engine_id": "e", "engine_name": "PyTorch", "run_user": "1000", "engine_version": "v"})];
        let short = EngineList { engines: engines.clone(), verbose: false }.table();
        assert_eq!(short.columns, ["index", "engine id", "engine name", "run user"]);
        assert_eq!(short.rows, [["1", "e", "PyTorch", "1000"]]);
        let long = EngineList { engines, verbose: true }.table();
        assert_eq!((long.rows[0].len(), long.rows[0][4].as_str()), (long.columns.len(), "v"));
    }
}
