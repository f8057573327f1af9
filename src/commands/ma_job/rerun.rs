//! `ma-job rerun`.

use serde_json::Value;

use crate::api::modelarts::training_tags;
use crate::commands::ma_job::autosearch_args::AutosearchArgs;
use crate::commands::ma_job::job_id::JobIdArgs;
use crate::commands::ma_job::launch::Launch;
use crate::commands::ma_job::named;
use crate::commands::ma_job::submit;
use crate::commands::ma_job::submit_options::JobOptions;
use crate::commands::ma_job::watch_options::WatchArgs;
use crate::commands::ma_job::{again, from_job, written};
use crate::ctx::Ctx;
use crate::error::Error;

/// Submit a training job once more, with changes
///
/// The new job is made as the old one was, but for what is given here; what changes is shown. A list that is given replaces the
/// whole list. Without --name it gets the old name with a number. Waits as submit does.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ma-cli ma-job rerun 494b55e1-f2b8-4932-bbb1-c9768b0000aa
  ma-cli ma-job rerun 494b55e1-f2b8-4932-bbb1-c9768b0000aa --parameters \"epoch 50\" --train-instance-count 2
  ma-cli ma-job rerun 494b55e1-f2b8-4932-bbb1-c9768b0000aa --resume --auto-restart 3
  ma-cli ma-job rerun 494b55e1-f2b8-4932-bbb1-c9768b0000aa --code-dir ./src --dry-run")]
pub struct RerunArgs {
    #[command(flatten)]
    id: JobIdArgs,
    #[command(flatten)]
    job: JobOptions,
    /// Download what the outputs hold before the job runs, so that it goes on from there
    #[arg(long)]
    resume: bool,
    #[command(flatten)]
    search: AutosearchArgs,
    /// Return once the job is accepted
    #[arg(short, long)]
    quiet: bool,
    /// Show what changes and print the request, submit nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    watching: WatchArgs,
}

/// Submits the new job.
///
/// # Errors
/// There is no such job; as `submit`.
pub async fn run(ctx: &Ctx, args: RerunArgs) -> Result<(), Error> {
    let id = args.id.id()?.to_owned();
    let mut overrides = args.job.spec()?;
    overrides.policies = args.search.policies(&ctx.env.directory)?;
    let api = ctx.modelarts()?;
    let job = named::show(&api, &id).await?;
    let tags = training_tags::list(&api, &id).await.map(|(tags, _)| tags).unwrap_or_default();
    let before = from_job::spec(&job, tags);
    for part in from_job::left_out(&job) {
        ctx.ui.warn(&format!("the new job does not take over {part}"));
    }
    let after = again::after(before.clone(), overrides, args.resume);
    let secret = from_job::sensitive(&job);
    for (key, old, new) in written::changes(&before, &after) {
        for (sign, value) in [("-", old), ("+", new)] {
            if let Some(value) = value {
                ctx.ui.note(&format!("{sign} {key}: {}", shown(&key, &value, &secret)));
            }
        }
    }
    let launch = Launch::new(ctx, after)?;
    if args.dry_run { launch.show(ctx).await } else { submit::attend(ctx, launch, args.quiet, &args.watching).await }
}

/// A value as a difference shows it. What is shown here may be kept: of environment variables, which may hold secrets, and of
/// hyperparameters that are `secret` there is the name.
fn shown(key: &str, value: &Value, secret: &[String]) -> String {
    match value {
        Value::Array(parameters) if key == "parameters" && !secret.is_empty() => {
            let mut parameters = parameters.clone();
            for (name, value) in parameters.iter_mut().filter_map(Value::as_object_mut).flatten() {
                if secret.contains(name) {
                    *value = "…".into();
                }
            }
            Value::Array(parameters).to_string()
        }
        Value::Object(variables) if key == "env-variables" => {
            variables.keys().map(|name| format!("{name}=…")).collect::<Vec<_>>().join(" ")
        }
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::shown;

    #[test]
    fn a_difference_shows_no_value_of_a_variable() {
        let variables = json!({"TOKEN": "s3cret", "COLOUR": "blue"});
        assert_eq!(shown("env-variables", &variables, &[]), "TOKEN=… COLOUR=…");
        let parameters = json!([{"epoch": "1"}, {"key": "s3cret"}]);
        assert_eq!(shown("parameters", &parameters, &["key".to_owned()]), r#"[{"epoch":"1"},{"key":"…"}]"#);
        assert_eq!(shown("name", &json!("n"), &[]), "n");
    }
}
