//! `ma-cli auto-completion`: the line to paste, nothing is installed.

use serde_json::json;

use crate::ctx::Ctx;
use crate::error::Error;
use crate::ui::{Document, Format};

/// Print the line that turns on completion in your shell
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ma-cli auto-completion
  ma-cli auto-completion Fish
  ma-cli auto-completion PowerShell
  eval \"$(_MA_CLI_COMPLETE=bash_source ma-cli)\"")]
pub struct AutoCompletionArgs {
    /// Shell to complete in
    #[arg(value_name = "[Bash|Zsh|Fish|PowerShell|Elvish]", default_value = "Bash",
          value_parser = ["Bash", "Zsh", "Fish", "PowerShell", "Elvish"])]
    shell: String,
}

/// Prints the tip and the line; the spelling `complation` is the original's and scripts match it.
///
/// # Errors
/// Standard output cannot be written.
pub fn run(ctx: &Ctx, args: &AutoCompletionArgs) -> Result<(), Error> {
    let line = match args.shell.to_ascii_lowercase().as_str() {
        "fish" => "eval (env _MA_CLI_COMPLETE=fish_source ma-cli)".to_owned(),
        "powershell" => "& { $env:_MA_CLI_COMPLETE='powershell_source'; ma-cli | Out-String | Invoke-Expression; \
                         Remove-Item Env:_MA_CLI_COMPLETE }"
            .to_owned(),
        "elvish" => "eval (env _MA_CLI_COMPLETE=elvish_source ma-cli | slurp)".to_owned(),
        shell => format!("eval \"$(_MA_CLI_COMPLETE={shell}_source ma-cli)\""),
    };
    if ctx.ui.format() != Format::Table {
        return ctx.ui.emit(&Document(json!({"shell": args.shell, "line": line})));
    }
    ctx.ui.line("Tips: please paste following shell command to your terminal to activate auto complation.")?;
    ctx.ui.line("")?;
    ctx.ui.ok(&line)
}
