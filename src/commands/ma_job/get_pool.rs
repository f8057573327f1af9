//! `ma-job get-pool`.

use clap::value_parser;
use serde_json::Value;

use crate::api::modelarts::pool::{self, Pool};
use crate::ctx::Ctx;
use crate::error::Error;
use crate::ui::{Present, Table};

/// List the dedicated pools jobs can run on
///
/// The id is what `submit` takes as --pool-id.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ma-cli ma-job get-pool
  ma-cli ma-job get-pool -ps 50 -v")]
pub struct GetPoolArgs {
    /// Page to list
    #[arg(long, alias = "pn", value_name = "INTEGER", default_value_t = 1, value_parser = value_parser!(u64).range(1..))]
    page_num: u64,
    /// Pools a page
    #[arg(long, alias = "ps", value_name = "INTEGER", default_value_t = 10, value_parser = value_parser!(u64).range(1..))]
    page_size: u64,
    /// Show type, scope and the service's message too
    #[arg(short, long)]
    verbose: bool,
}

/// Shows a page of pools.
///
/// # Errors
/// The service refuses.
pub async fn run(ctx: &Ctx, args: GetPoolArgs) -> Result<(), Error> {
    let all = pool::list(&ctx.modelarts()?).await?;
    // The service answers all pools at once; the pages are cut here.
    let size = usize::try_from(args.page_size).unwrap_or(usize::MAX);
    let before = usize::try_from(args.page_num - 1).unwrap_or(usize::MAX).saturating_mul(size);
    let pools = all.into_iter().filter(Pool::takes_training).skip(before).take(size).collect();
    ctx.ui.emit(&PoolList { pools, verbose: args.verbose })
}

#[derive(Debug)]
struct PoolList {
    pools: Vec<Pool>,
    verbose: bool,
}

impl Present for PoolList {
    fn table(&self) -> Table {
        let mut columns = vec!["index", "id", "name", "status", "flavor", "nodes"];
        if self.verbose {
            columns.extend(["type", "scope", "message"]);
        }
        let mut table = Table::new(columns);
        for (index, pool) in self.pools.iter().enumerate() {
            let resources = pool.resources();
            let flavors: Vec<_> = resources.iter().map(|(flavor, _)| flavor.as_str()).collect();
            let nodes: u64 = resources.iter().map(|(_, count)| count).sum();
            let mut row =
                vec![(index + 1).to_string(), pool.id(), pool.name(), pool.phase(), flavors.join(", "), nodes.to_string()];
            if self.verbose {
                row.extend([pool.kind(), pool.scope().join(", "), pool.message()]);
            }
            table.rows.push(row);
        }
        table
    }

    fn document(&self) -> Value {
        self.pools.iter().map(|pool| pool.0.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Pool, PoolList};
    use crate::ui::Present as _;

    #[test]
    fn rows_follow_the_columns() {
        let pool = Pool(json!({
            "metadata": {"name": "pool-1", "labels": {"os.modelarts/name": "mine"}},
            "spec": {"type": "Dedicate", "scope": ["Train", "Infer"], "resources": [{"flavor": "a", "count": 2}, {"flavor": "b", "count": 1}]},
            "status": {"phase": "Running"},
        }));
        let table = PoolList { pools: vec![pool], verbose: true }.table();
        assert_eq!(table.rows, [["1", "pool-1", "mine", "Running", "a, b", "3", "Dedicate", "Train, Infer", ""]]);
    }

    #[test]
    fn pools_for_other_work_are_told_apart() {
        let scoped = |scope: serde_json::Value| Pool(json!({"spec": {"scope": scope}})).takes_training();
        assert!(scoped(json!(["Train"])) && scoped(json!([])) && !scoped(json!(["Infer"])));
    }
}
