//! `ma-cli help`: pages for commands, and topics that belong to no single command.

use std::fmt::Write as _;

use serde_json::json;

use crate::ctx::Ctx;
use crate::error::{Error, Kind, nearest};
use crate::ui::{Document, Format};

/// Show help for a command or a topic
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ma-cli help ma-job submit
  ma-cli help copying
  ma-cli help exit-codes
  ma-cli help environment")]
pub struct HelpArgs {
    /// Names of a command, or a topic: copying, environment, exit-codes, formatting, platform, profiles
    #[arg(value_name = "COMMAND")]
    pub(crate) words: Vec<String>,
    /// The page of the command with these names, if there is one.
    #[arg(skip)]
    pub(crate) page: Option<String>,
    /// The names of the command that was meant, where there is none with these.
    #[arg(skip)]
    pub(crate) meant: Option<String>,
}

/// Topics with their pages, in the order they are named in.
pub fn topics() -> [(&'static str, String); 6] {
    [
        ("copying", include_str!("copying.txt").to_owned()),
        ("environment", include_str!("environment.txt").to_owned()),
        ("exit-codes", exit_codes()),
        ("formatting", include_str!("formatting.txt").to_owned()),
        ("platform", include_str!("platform.txt").to_owned()),
        ("profiles", include_str!("profiles.txt").to_owned()),
    ]
}

/// Whether there is a topic of that name.
pub fn is_topic(name: &str) -> bool {
    topics().iter().any(|(topic, _)| *topic == name)
}

/// Prints the page of a command or a topic; a document holds its text.
///
/// # Errors
/// Neither exists.
pub fn run(ctx: &Ctx, args: &HelpArgs) -> Result<(), Error> {
    let topics = topics();
    let wanted = args.words.first().map(String::as_str).unwrap_or_default();
    let list = contents(&topics);
    let topic = || topics.iter().find(|(name, _)| *name == wanted).map(|(_, page)| page);
    if let Some(page) = args.page.as_ref().or_else(topic).or_else(|| (wanted == "topics").then_some(&list)) {
        return match ctx.ui.format() {
            Format::Table => ctx.ui.write(page.as_bytes()),
            _ => ctx.ui.emit(&Document(json!({"topic": args.words.join(" "), "text": page}))),
        };
    }
    let names = topics.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let mut error = Error::new(Kind::Usage, format!("there is no command or topic [{}]", args.words.join(" ")));
    let topic = nearest(wanted, topics.iter().map(|(name, _)| *name));
    if let Some(meant) = topic.or(args.meant.as_deref()) {
        error = error.hint(format!("did you mean: ma-cli help {meant}"));
    }
    Err(error.hint(format!("topics are: {names}; `ma-cli -h` lists the commands")))
}

/// The topics, with the first line of each.
fn contents(topics: &[(&str, String)]) -> String {
    let line = |(name, page): &(&str, String)| format!("  {name:<14}{}\n", page.lines().next().unwrap_or_default());
    format!("Topics of ma-cli help:\n\n{}", topics.iter().map(line).collect::<String>())
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
