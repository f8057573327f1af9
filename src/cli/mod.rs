//! The command line: argv in, a parsed command out. The only module, with the `Args` structs, that knows clap.

mod aliases;
pub mod argv;
pub mod complete;
pub mod help;
pub mod man;
pub mod usage;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{CommandFactory as _, FromArgMatches as _, Parser};

use crate::commands::{self, Command};
use crate::settings;
use crate::ui;

/// Command line of Huawei Cloud ModelArts
///
/// Train models, copy data to and from OBS, and run the whole platform on this machine.
#[derive(Debug, Parser)]
#[command(
    name = "ma-cli",
    version,
    disable_help_flag = true,
    disable_help_subcommand = true,
    disable_version_flag = true,
    args_override_self = true,
    after_help = "Examples:
  ma-cli configure --auth AKSK --region cn-north-4
  ma-cli platform start
  ma-cli -P local obs-copy ./data/ obs://bucket/data/"
)]
pub struct Cli {
    /// Options that every command takes.
    #[command(flatten)]
    pub globals: GlobalArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options accepted before and after the sub-command.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct GlobalArgs {
    /// Profile file to use instead of ~/.modelarts/ma-cli-profile.yaml
    #[arg(short = 'C', long, global = true, value_name = "PATH")]
    pub config_file: Option<PathBuf>,
    /// Profile to use; `local` reaches the embedded platform [default: DEFAULT]
    #[arg(short = 'P', long, global = true, value_name = "TEXT")]
    pub profile: Option<String>,
    /// Show requests, retries and the causes of errors
    #[arg(short = 'D', long, global = true)]
    pub debug: bool,
    /// Output format [default: table]
    #[arg(short = 'F', long, global = true, value_name = "FORMAT",
          value_parser = clap::builder::PossibleValuesParser::new(ui::Format::NAMES))]
    pub format: Option<String>,
    /// JMESPath expression applied to the JSON document
    #[arg(long, global = true, value_name = "JMESPATH")]
    pub query: Option<String>,
    /// Columns of the table or csv, separated by commas; fields of the document too, as metadata.id
    #[arg(long, global = true, value_name = "NAMES")]
    pub columns: Option<String>,
    /// Sort rows by these columns; -NAME puts the largest first
    #[arg(long, global = true, value_name = "NAMES")]
    pub sort: Option<String>,
    /// Leave out the headers of the table or csv
    #[arg(long, global = true)]
    pub no_header: bool,
    /// Draw no progress line
    #[arg(long, global = true)]
    pub no_progress: bool,
    /// Use no colours
    #[arg(long, global = true)]
    pub no_color: bool,
    /// Never ask; fail where an answer would be needed
    #[arg(long, global = true)]
    pub no_input: bool,
    /// PEM file of further certificates to trust
    #[arg(long, global = true, value_name = "FILE")]
    pub ca_bundle: Option<PathBuf>,
    /// Do not check TLS certificates, in this run only
    #[arg(long, global = true)]
    pub no_verify_ssl: bool,
}

impl GlobalArgs {
    /// The part that decides settings.
    pub fn settings(&self) -> settings::Flags {
        settings::Flags {
            config_file: self.config_file.clone(),
            profile: self.profile.clone(),
            ca_bundle: self.ca_bundle.clone(),
            no_verify_ssl: self.no_verify_ssl,
        }
    }

    /// The format alone; that of people where none is given or understood.
    pub fn format(&self, from_environment: Option<&str>) -> ui::Format {
        self.format.as_deref().or(from_environment).and_then(|word| word.parse().ok()).unwrap_or_default()
    }

    /// The part that decides output; `from_environment` is the value of `MA_CLI_FORMAT`.
    ///
    /// # Errors
    /// A format nobody knows.
    pub fn output(&self, from_environment: Option<&str>) -> Result<ui::Options, crate::error::Error> {
        let format = self.format.as_deref().or(from_environment).map_or(Ok(ui::Format::default()), str::parse)?;
        let shape = ui::Shape::new(self.columns.as_deref(), self.sort.as_deref(), self.no_header);
        if self.format.is_some() && format == ui::Format::Csv && self.query.is_some() {
            return Err(crate::error::Error::new(crate::error::Kind::Usage, "--query gives a document, and csv has rows")
                .hint("give -F json; or choose columns with --columns"));
        }
        shape.check(format, self.query.is_some())?;
        self.query.as_deref().map_or(Ok(()), ui::check_query)?;
        Ok(ui::Options {
            format,
            query: self.query.clone(),
            shape,
            no_progress: self.no_progress,
            no_color: self.no_color,
            no_input: self.no_input,
            debug: self.debug,
        })
    }
}

/// The whole command tree. Choices match in any case; the documented spelling comes out.
pub fn command() -> clap::Command {
    any_case(aliases::add(Cli::command()))
}

fn any_case(command: clap::Command) -> clap::Command {
    command
        .mut_args(|argument| if argv::is_flag(&argument) { argument } else { argument.ignore_case(true) })
        .mut_subcommands(any_case)
}

/// What an invocation comes to.
#[derive(Debug)]
pub enum Invocation {
    /// A command to run.
    Run(Box<Cli>),
    /// Text for standard output, exit code 0.
    Print(String),
    /// A usage error for standard error; its kind gives the exit code.
    Misuse(usage::Misuse),
}

/// Parses the arguments; `arguments[0]` is the program's name.
pub fn parse(arguments: &[OsString]) -> Invocation {
    let mut command = command();
    command.build();
    match argv::rewrite(&command, arguments) {
        argv::Parsed::Help(path) => Invocation::Print(help::command_page(&command, &path)),
        argv::Parsed::Version => Invocation::Print(concat!("ma-cli, version ", env!("CARGO_PKG_VERSION"), "\n").to_owned()),
        argv::Parsed::NoSuchOption { path, option } => Invocation::Misuse(usage::no_such_option(&command, &path, &option)),
        argv::Parsed::WrongArity { path, option, is_missing } => {
            Invocation::Misuse(usage::wrong_arity(&command, &path, &option, is_missing))
        }
        argv::Parsed::Run(rewritten) => {
            let parsed = command.try_get_matches_from_mut(&rewritten).and_then(|matches| Cli::from_arg_matches(&matches));
            match parsed {
                Ok(cli) => page_or_run(&command, cli),
                Err(error) => usage::explain(&command, &rewritten, &error),
            }
        }
    }
}

/// `help COMMAND…` shows the command's page, which only the tree can write; a topic has its own.
fn page_or_run<'a>(root: &'a clap::Command, mut cli: Cli) -> Invocation {
    let Command::Help(args) = &mut cli.command else { return Invocation::Run(Box::new(cli)) };
    // A topic that is named like a command says more; it names the command's page.
    if !matches!(args.words.as_slice(), [word] if commands::help::is_topic(word)) {
        let find = |(command, mut path): (&'a clap::Command, Vec<String>), word: &String| {
            let child = command.find_subcommand(word)?;
            path.push(child.get_name().to_owned());
            Some((child, path))
        };
        let found = args.words.iter().try_fold((root, Vec::new()), find);
        args.meant = usage::meant_page(root, &args.words).filter(|_| found.is_none());
        args.page = found.map(|(_, path)| help::command_page(root, &path));
    }
    Invocation::Run(Box::new(cli))
}
