//! `ma-cli help`: pages for commands, and topics that belong to no single command.

use std::fmt::Write as _;

use crate::ctx::Ctx;
use crate::error::{Error, Kind};

/// Show help for a command or a topic
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ma-cli help ma-job submit
  ma-cli help exit-codes
  ma-cli help environment")]
pub struct HelpArgs {
    /// Names of a command, or a topic: exit-codes, environment
    #[arg(value_name = "COMMAND")]
    pub(crate) words: Vec<String>,
}

/// Prints a topic. Pages of commands are printed before a command runs, by `cli`.
///
/// # Errors
/// The topic does not exist.
pub fn run(ctx: &Ctx, args: &HelpArgs) -> Result<(), Error> {
    let page = match args.words.first().map(String::as_str) {
        Some("exit-codes") => exit_codes(),
        Some("environment") => ENVIRONMENT.to_owned(),
        _ => {
            return Err(Error::new(Kind::Usage, format!("there is no command or topic [{}]", args.words.join(" ")))
                .hint("topics are: exit-codes, environment; `ma-cli -h` lists the commands"));
        }
    };
    ctx.ui.write(page.as_bytes())
}

fn exit_codes() -> String {
    const MEANINGS: [(u8, &str); 10] = [
        (0, "done"),
        (1, "failed"),
        (2, "the command line is wrong"),
        (3, "partly done: some items failed, the rest was carried out"),
        (4, "not authenticated or not allowed"),
        (5, "not found"),
        (6, "waited too long"),
        (10, "the remote job failed"),
        (11, "the remote job was stopped"),
        (130, "interrupted"),
    ];
    let mut page = "Exit codes, and the kinds of error (as printed with -F json) that lead to them:\n\n".to_owned();
    for (code, meaning) in MEANINGS {
        let kinds: Vec<_> =
            Kind::ALL.iter().filter(|kind| kind.exit_code() == code && code != 0).map(|kind| kind.name()).collect();
        let kinds = if kinds.is_empty() { String::new() } else { format!(" [{}]", kinds.join(", ")) };
        // Writing to a String cannot fail.
        let _ = writeln!(page, "{code:>5}  {meaning}{kinds}");
    }
    page
}

const ENVIRONMENT: &str = "\
Environment variables. Order: options (an explicit -P or -C among them), then these, then the DEFAULT profile.

  MA_CLI_PROFILE                 profile to use
  MA_CLI_CONFIG_FILE             profile file to use
  MA_CLI_FORMAT                  output format: table, json, jsonl, yaml, csv
  MA_CLI_PLATFORM_DIR            data directory of the embedded platform
  HUAWEICLOUD_SDK_AK             access key
  HUAWEICLOUD_SDK_SK             secret key
  HUAWEICLOUD_SDK_SECURITY_TOKEN security token of temporary keys
  HUAWEICLOUD_SDK_PROJECT_ID     project id
  PROJECT_ID                     project id
  REGION_NAME                    region
  MA_CLI_MODELARTS_ENDPOINT      URL of ModelArts
  MA_CLI_OBS_ENDPOINT            URL of OBS or any S3-compatible store
  MA_CLI_IAM_ENDPOINT            URL of IAM
  MA_CLI_SWR_ENDPOINT            URL of SWR
  MA_CLI_DLI_ENDPOINT            URL of DLI
  HTTPS_PROXY, HTTP_PROXY        proxies; loopback addresses never take one
  NO_PROXY                       hosts reached without a proxy
  NO_COLOR, CLICOLOR_FORCE       colours off, on
";
