//! `ma-job trials`.

use futures_util::TryStreamExt as _;
use serde_json::{Map, Value};

use crate::api::modelarts::autosearch::{self, Trial};
use crate::commands::ma_job::job_id::JobIdArgs;
use crate::commands::ma_job::named;
use crate::ctx::Ctx;
use crate::error::Error;
use crate::ui::{Format, Present, Table};

/// List the trials of a search for hyperparameters, and the best one
///
/// The search is what `submit --autosearch FILE` asked for. Its program is run with other values again and again: they come as
/// --NAME=VALUE, a line like `accuracy: 0.93` in the log is the result (the last one counts), and on the embedded platform each trial
/// has a folder of its own in every output and its id in the variable MA_TRIAL_ID.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ma-cli ma-job trials 494b55e1-f2b8-4932-bbb1-c9768b0000aa
  ma-cli ma-job trials 494b55e1-f2b8-4932-bbb1-c9768b0000aa --trial trial-3
  ma-cli ma-job trials 494b55e1-f2b8-4932-bbb1-c9768b0000aa --importance
  ma-cli ma-job trials 494b55e1-f2b8-4932-bbb1-c9768b0000aa --best -F json

A search, as a file for `submit --autosearch`:
  search_space:
    - type: continuous_param
      params: [{name: lr, start: 0.001, stop: 0.1}]
    - type: discrete_param
      params: [{name: batch_size, values: [16, 32, 64]}]
  search_algorithm:
    type: tpe_search          # or bayes_opt_search, anneal_search, grid_search, random_search
    reward_attr: accuracy     # the name of the figure; regex: finds one that is printed in another way
    mode: max
    num_samples: 20
    max_concurrent: 1")]
pub struct TrialsArgs {
    #[command(flatten)]
    job: JobIdArgs,
    /// Only this trial
    #[arg(long, value_name = "TEXT", conflicts_with = "importance")]
    trial: Option<String>,
    /// Only the best trial
    #[arg(long, conflicts_with_all = ["trial", "importance"])]
    best: bool,
    /// How much each hyperparameter matters, instead
    #[arg(long)]
    importance: bool,
}

/// Shows the trials.
///
/// # Errors
/// There is no such job or trial, the job searches for nothing, the service refuses.
pub async fn run(ctx: &Ctx, args: TrialsArgs) -> Result<(), Error> {
    let api = ctx.modelarts()?;
    let id = args.job.id()?;
    if args.importance {
        return ctx.ui.emit(&Importance(named::found(&api, id, autosearch::importance(&api, id).await).await?));
    }
    if let Some(trial) = &args.trial {
        let context = |error| Error::from(error).context(&format!("training job [{id}], trial [{trial}]"));
        return ctx.ui.emit(&Trials(vec![autosearch::trial(&api, id, trial).await.map_err(context)?]));
    }
    let mut trials: Vec<Trial> = named::found(&api, id, autosearch::trials(&api, id).try_collect().await).await?;
    let job = named::show(&api, id).await?;
    let minimise = job.text("/algorithm/policies/auto_search/reward_attrs/0/mode") == "min";
    let best = autosearch::best(&trials, minimise).cloned();
    if args.best {
        trials = best.into_iter().collect();
        return ctx.ui.emit(&Trials(trials));
    }
    ctx.ui.emit(&Trials(trials))?;
    match best {
        Some(best) if ctx.ui.format() == Format::Table => {
            let figure = best.figure().unwrap_or_default();
            ctx.ui.ok(&format!("The best trial is {}: {} = {figure}, {}", best.id(), best.indicator(), best.values()))
        }
        _ => Ok(()),
    }
}

struct Trials(Vec<Trial>);

impl Present for Trials {
    fn table(&self) -> Table {
        let mut table = Table::new(["trial_id", "status", "indicator", "value", "best", "seconds", "values"]);
        for trial in &self.0 {
            table.rows.push(vec![
                trial.id().to_owned(),
                trial.status().to_owned(),
                trial.indicator().to_owned(),
                trial.cell(trial.indicator()).to_owned(),
                trial.cell("best_reward").to_owned(),
                trial.cell("time_total_s").to_owned(),
                trial.values(),
            ]);
        }
        table
    }

    /// Objects instead of the service's rows, with its columns as keys.
    fn document(&self) -> Value {
        let object = |trial: &Trial| -> Value {
            trial.cells.iter().map(|(name, cell)| (name.clone(), Value::from(cell.as_str()))).collect::<Map<_, _>>().into()
        };
        self.0.iter().map(object).collect()
    }
}

struct Importance(Vec<(String, String)>);

impl Present for Importance {
    fn table(&self) -> Table {
        let mut table = Table::new(["parameter", "importance (mean/std)"]);
        table.rows.extend(self.0.iter().map(|(name, importance)| vec![name.clone(), importance.clone()]));
        table
    }

    fn document(&self) -> Value {
        self.0.iter().map(|(name, importance)| serde_json::json!({"parameter": name, "importance": importance})).collect()
    }
}
