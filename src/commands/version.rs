//! `ma-cli version`: what this binary is made of.

use serde_json::{Value, json};

use crate::ctx::Ctx;
use crate::error::Error;
use crate::settings::region;
use crate::ui::{Present, Table};

/// The commit that was built; set by `scripts/release`, so that no other build depends on Git.
const COMMIT: Option<&str> = option_env!("MA_CLI_COMMIT");
/// The date of that commit, `YYYY-MM-DD`: the same commit gives the same binary.
const BUILD_DATE: Option<&str> = option_env!("MA_CLI_BUILD_DATE");

/// Show version, commit, build date, catalogue and features
///
/// Commit and build date are those of the release; a binary that was built another way says `unknown`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ma-cli version
  ma-cli version -F json
  ma-cli version --query commit")]
pub struct VersionArgs {}

/// Shows them.
///
/// # Errors
/// Standard output cannot be written.
pub fn run(ctx: &Ctx, _: &VersionArgs) -> Result<(), Error> {
    ctx.ui.emit(&Version)
}

#[derive(Debug)]
struct Version;

impl Version {
    fn fields() -> [(&'static str, Value); 6] {
        let features = [
            ("keyring", cfg!(feature = "keyring")),
            ("platform", cfg!(feature = "platform")),
            ("static", cfg!(target_feature = "crt-static")),
        ];
        let features: Vec<_> = features.iter().filter(|(_, is_there)| *is_there).map(|(name, _)| *name).collect();
        [
            ("version", json!(env!("CARGO_PKG_VERSION"))),
            ("commit", json!(COMMIT.unwrap_or("unknown"))),
            ("build_date", json!(BUILD_DATE.unwrap_or("unknown"))),
            ("catalogue", json!(region::catalogue())),
            ("target", json!(format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS))),
            ("features", json!(features)),
        ]
    }
}

impl Present for Version {
    fn table(&self) -> Table {
        let mut table = Table::of_properties(["item", "value"]);
        table.rows.extend(Self::fields().into_iter().map(|(name, value)| {
            let words = value.as_array().map(|list| list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "));
            vec![name.replace('_', " "), words.unwrap_or_else(|| value.as_str().unwrap_or_default().to_owned())]
        }));
        table
    }

    fn document(&self) -> Value {
        Self::fields().into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<serde_json::Map<_, _>>().into()
    }
}
