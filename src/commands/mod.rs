//! The commands: one file a verb, one folder a noun. The path tells the command.

pub mod algorithm;
pub mod api;
pub mod auth;
pub mod auto_completion;
pub mod configure;
pub mod doctor;
pub mod help;
pub mod ma_job;
pub mod obs;
pub mod obs_copy;
pub mod platform;
pub mod version;

use crate::ctx::Ctx;
use crate::error::Error;

/// Every command and group of the root. What each does is said on its arguments: a comment here would hide that from its page.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    Configure(Box<configure::ConfigureArgs>),
    /// Log in and out, see who is logged in
    #[command(subcommand)]
    Auth(Box<auth::AuthCommand<configure::ProfileArgs>>),
    AutoCompletion(auto_completion::AutoCompletionArgs),
    /// Submit, follow and inspect training jobs
    #[command(subcommand)]
    MaJob(ma_job::MaJobCommand),
    /// Keep templates of training jobs, with their hyperparameters
    #[command(subcommand)]
    Algorithm(algorithm::AlgorithmCommand),
    /// Run ModelArts, OBS and IAM on this machine
    #[command(subcommand)]
    Platform(platform::PlatformCommand),
    ObsCopy(Box<obs_copy::ObsCopyArgs>),
    /// Look into buckets, make and delete what is in them
    #[command(subcommand)]
    Obs(obs::ObsCommand),
    Api(api::ApiArgs),
    Doctor(doctor::DoctorArgs),
    Version(version::VersionArgs),
    Help(help::HelpArgs),
}

/// Runs the command.
///
/// # Errors
/// Whatever the command could not do.
pub async fn run(ctx: &Ctx, command: Command) -> Result<(), Error> {
    match command {
        Command::Configure(args) => configure::run(ctx, *args).await,
        Command::Auth(command) => login_or(ctx, *command).await,
        Command::AutoCompletion(args) => auto_completion::run(ctx, &args),
        Command::MaJob(command) => ma_job::run(ctx, command).await,
        Command::Algorithm(command) => algorithm::run(ctx, command).await,
        Command::Platform(command) => platform::run(ctx, command).await,
        Command::ObsCopy(args) => obs_copy::run(ctx, *args).await,
        Command::Obs(command) => obs::run(ctx, command).await,
        Command::Api(args) => api::run(ctx, args).await,
        Command::Doctor(args) => doctor::run(ctx, args).await,
        Command::Version(args) => version::run(ctx, &args),
        Command::Help(args) => help::run(ctx, &args),
    }
}

/// `auth login` asks and writes as `configure` does, and tries what was given in between.
async fn login_or(ctx: &Ctx, command: auth::AuthCommand<configure::ProfileArgs>) -> Result<(), Error> {
    match command {
        auth::AuthCommand::Login(args) if args.only_mends() => configure::write(ctx, &args),
        auth::AuthCommand::Login(args) => {
            let prepare = || configure::Draft::of_login(ctx, &args);
            auth::login::run(ctx, prepare, configure::Draft::profile, |draft| draft.save(ctx)).await
        }
        command => auth::run(ctx, command).await,
    }
}
