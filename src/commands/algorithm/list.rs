//! `algorithm list`.

use futures_util::TryStreamExt as _;
use serde_json::Value;

use crate::api::modelarts::algorithm::{self, Algorithm, Filter};
use crate::commands::algorithm::show;
use crate::ctx::Ctx;
use crate::error::Error;
use crate::ui::{Present, Table, Zone};

/// List algorithms
///
/// All of the project, newest first.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ma-cli algorithm list
  ma-cli algorithm list --name mnist -F jsonl")]
pub struct ListArgs {
    /// Only those whose name contains this
    #[arg(short, long, value_name = "TEXT")]
    name: Option<String>,
    /// Only those of this workspace
    #[arg(long, value_name = "TEXT")]
    workspace_id: Option<String>,
}

/// Shows the list.
///
/// # Errors
/// The service refuses.
pub async fn run(ctx: &Ctx, args: ListArgs) -> Result<(), Error> {
    let api = ctx.modelarts()?;
    let filter = Filter { name: args.name, workspace_id: args.workspace_id };
    let algorithms: Vec<Algorithm> =
        algorithm::list(&api, &filter).try_collect().await.map_err(|error| Error::from(error).context("listing algorithms"))?;
    ctx.ui.emit(&List { algorithms, zone: ctx.ui.zone() })
}

#[derive(Debug)]
struct List {
    algorithms: Vec<Algorithm>,
    zone: Zone,
}

impl Present for List {
    fn table(&self) -> Table {
        let mut table = Table::new(["index", "id", "name", "engine", "hyperparameters", "create_time", "description"]);
        for (index, algorithm) in self.algorithms.iter().enumerate() {
            let names: Vec<String> = algorithm.definitions().into_iter().map(|definition| definition.name).collect();
            table.rows.push(vec![
                (index + 1).to_string(),
                algorithm.id(),
                algorithm.name(),
                algorithm.engine(),
                names.join(" "),
                show::time(algorithm.create_time(), self.zone),
                algorithm.text("/metadata/description"),
            ]);
        }
        table
    }

    fn document(&self) -> Value {
        self.algorithms.iter().map(|algorithm| algorithm.0.clone()).collect()
    }
}
