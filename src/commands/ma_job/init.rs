//! `ma-job init`.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::PathBuf;

use clap::ValueEnum;
use serde_json::json;

use crate::ctx::Ctx;
use crate::error::{Error, Kind};

/// What all kinds of job files end with.
const COMMON: &str = include_str!("templates/common.yaml");

/// Write a job file to begin with
///
/// Every key is in it, with what it means; what is not needed is commented out. A file that is there already stays as it is.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ma-cli ma-job init
  ma-cli ma-job init --from custom jobs/image.yaml")]
pub struct InitArgs {
    /// The file to write
    #[arg(value_name = "FILE", default_value = ".ma/train.yaml")]
    file: PathBuf,
    /// What the job runs: code on an engine of the service, an image of your own, or an algorithm that the service keeps
    #[arg(long, value_enum, value_name = "KIND", default_value_t = Template::Preset)]
    from: Template,
}

/// Template of jobs.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Template {
    Preset,
    Custom,
    Algorithm,
}

impl Template {
    fn text(self) -> String {
        let own = match self {
            Self::Preset => include_str!("templates/preset.yaml"),
            Self::Custom => include_str!("templates/custom.yaml"),
            Self::Algorithm => include_str!("templates/algorithm.yaml"),
        };
        format!("{own}{COMMON}")
    }
}

/// Writes the file.
///
/// # Errors
/// There is such a file already, or it cannot be written.
pub async fn run(ctx: &Ctx, args: InitArgs) -> Result<(), Error> {
    let path = ctx.env.directory.join(&args.file);
    let shown = args.file.display();
    let unwritable = |error| Error::new(Kind::Local, format!("cannot write [{shown}]")).caused_by(error);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(unwritable)?;
    }
    let mut file = File::create_new(&path).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => {
            Error::new(Kind::Conflict, format!("[{shown}] is there already, and stays as it is")).hint("name another file")
        }
        _ => unwritable(error),
    })?;
    file.write_all(args.from.text().as_bytes()).map_err(unwritable)?;
    ctx.ui.done(&format!("Successfully write [{shown}]"), json!({"file": shown.to_string()}))?;
    ctx.ui.note(&format!("edit it, then: ma-cli ma-job validate {shown}"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::Template;
    use crate::commands::ma_job::job_file::{Read, parse};
    use crate::commands::ma_job::request;
    use crate::commands::ma_job::spec::KEYS;

    #[test]
    fn templates_are_job_files_in_good_order_that_name_every_key() {
        let mut all = String::new();
        for kind in Template::value_variants() {
            let text = kind.text();
            let Read { spec, problems, .. } = parse(&text, &|_| None);
            assert!(problems.is_empty(), "{kind:?}: {problems:?}");
            assert_eq!(request::build(spec).unwrap().problems(), [""; 0], "{kind:?}");
            // What is commented out is in good order too.
            let uncommented: Vec<_> =
                text.lines().map(|line| line.strip_prefix("# ").filter(|rest| is_member(rest)).unwrap_or(line)).collect();
            for line in uncommented.iter().filter(|line| !line.starts_with([' ', '#']) && line.contains(':')) {
                let key = line.split(':').next().unwrap();
                assert!(crate::commands::ma_job::spec::key(key).is_some(), "{kind:?}: {line}");
            }
            all.push_str(&text);
        }
        for (key, _) in KEYS {
            let is_named = |line: &str| line.trim_start_matches("# ").starts_with(&format!("{key}:"));
            assert!(all.lines().any(is_named), "{key} is in no template");
        }
    }

    fn is_member(line: &str) -> bool {
        line.split_once(':').is_some_and(|(key, _)| !key.contains(' ') && !key.starts_with(char::is_uppercase))
    }
}
