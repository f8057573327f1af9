//! `algorithm show`.

use serde_json::Value;
use time::OffsetDateTime;

use crate::api::modelarts::algorithm::{self, Algorithm, Definition};
use crate::commands::algorithm::named;
use crate::ctx::Ctx;
use crate::error::Error;
use crate::ui::{Present, Table, Zone, text};

/// Where a job of an algorithm has its files.
const MOUNT: &str = "/home/ma-user/modelarts";

/// Show an algorithm
///
/// Its settings, its hyperparameters, and the paths that a job of it will have. The document (`-F yaml`) can be given to
/// `algorithm create --file`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ma-cli algorithm show 2e5451fe-913f-4d75-a5a8-2f6e0b1a0001
  ma-cli algorithm show 2e5451fe-913f-4d75-a5a8-2f6e0b1a0001 -F yaml > algorithm.yaml")]
pub struct ShowArgs {
    /// Id of the algorithm
    #[arg(value_name = "ID")]
    id: String,
}

/// Shows the algorithm.
///
/// # Errors
/// There is no such algorithm; the service refuses.
pub async fn run(ctx: &Ctx, args: ShowArgs) -> Result<(), Error> {
    let api = ctx.modelarts()?;
    let algorithm = named::found(&api, &args.id, algorithm::show(&api, &args.id).await).await?;
    ctx.ui.emit(&Detail { algorithm, zone: ctx.ui.zone() })
}

/// Milliseconds since 1970 in local time; empty when there are none.
pub(super) fn time(milliseconds: Option<i64>, zone: Zone) -> String {
    let moment = milliseconds.and_then(|value| OffsetDateTime::from_unix_timestamp(value.div_euclid(1000)).ok());
    moment.map(|moment| text::local_time(moment, zone)).unwrap_or_default()
}

/// One algorithm.
#[derive(Debug)]
pub(super) struct Detail {
    pub(super) algorithm: Algorithm,
    pub(super) zone: Zone,
}

impl Present for Detail {
    fn table(&self) -> Table {
        let mut table = Table::of_properties(["field", "value"]);
        let mut add = |name: String, value: String| {
            if !value.is_empty() {
                table.rows.push(vec![name, value]);
            }
        };
        let algorithm = &self.algorithm;
        for (name, place) in [
            ("id", "/metadata/id"),
            ("name", "/metadata/name"),
            ("description", "/metadata/description"),
            ("workspace", "/metadata/workspace_id"),
            ("user_name", "/metadata/user_name"),
            ("code dir", "/job_config/code_dir"),
            ("boot file", "/job_config/boot_file"),
            ("command", "/job_config/command"),
        ] {
            add(name.to_owned(), algorithm.text(place));
        }
        add("create_time".to_owned(), time(algorithm.create_time(), self.zone));
        add("engine".to_owned(), algorithm.engine());
        let code = algorithm.text("/job_config/code_dir");
        if let Some(folder) = code.trim_end_matches('/').rsplit('/').next().filter(|folder| !folder.is_empty()) {
            add("path of the code".to_owned(), format!("{MOUNT}/user-job-dir/{folder}"));
        }
        for (kind, list) in [("input", "inputs"), ("output", "outputs")] {
            for (index, channel) in algorithm.members(list).iter().enumerate() {
                let name = channel["name"].as_str().unwrap_or_default();
                add(kind.to_owned(), format!("{name} in {MOUNT}/{list}/{name}_{index}"));
            }
        }
        for definition in algorithm.definitions() {
            add(format!("hyperparameter {}", definition.name), describe(&definition));
        }
        if !algorithm.takes_other_parameters() {
            add("other hyperparameters".to_owned(), "not allowed".to_owned());
        }
        for (index, requirement) in algorithm.0["resource_requirements"].as_array().into_iter().flatten().enumerate() {
            let list = ["values", "value"].iter().find_map(|key| requirement[key].as_array());
            let values: Vec<&str> = list.into_iter().flatten().filter_map(Value::as_str).collect();
            let key = algorithm.text(&format!("/resource_requirements/{index}/key"));
            add(key.replace('_', " "), values.join(", "));
        }
        table
    }

    fn document(&self) -> Value {
        self.algorithm.0.clone()
    }
}

fn describe(definition: &Definition) -> String {
    let mut words = vec![definition.kind.to_string()];
    let default = definition.default.as_ref();
    let shown = |default: &String| if definition.sensitive { "not shown".to_owned() } else { default.clone() };
    words.extend(default.map(|default| format!("default {}", shown(default))));
    words.extend(Some(definition.allowed.to_string()).filter(|allowed| !allowed.is_empty()));
    words.extend(definition.required.then(|| "required".to_owned()));
    words.extend((!definition.editable).then(|| "fixed".to_owned()));
    words.extend(Some(definition.description.clone()).filter(|text| !text.is_empty()));
    words.join("; ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Definition, describe};

    #[test]
    fn a_default_that_is_a_secret_is_not_shown() {
        let mut parameter = json!({"name": "key", "value": "s3cret", "constraint": {"type": "String", "editable": false}});
        assert!(describe(&Definition::read(&parameter)).contains("default s3cret"));
        parameter["constraint"]["sensitive"] = json!(true);
        let definition = Definition::read(&parameter);
        let told = format!("{} {}", describe(&definition), definition.check(Some("other")).unwrap_err());
        assert!(told.contains("default not shown") && told.contains("fixed") && !told.contains("s3cret"), "{told}");
    }
}
