//! `ma-cli obs`: look into buckets, make and delete what is in them.

pub mod cat;
pub mod ls;
pub mod mb;
pub mod rb;
pub mod rm;
pub mod stat;

use crate::ctx::Ctx;
use crate::error::{Error, Kind, nearest};
use crate::obs::ObsUrl;
use crate::ui::{Zone, text};

/// Verbs on buckets and objects. What each does is said on its arguments: a comment here would hide that from its page.
#[derive(Debug, clap::Subcommand)]
pub enum ObsCommand {
    Cat(cat::CatArgs),
    Ls(ls::LsArgs),
    Mb(mb::MbArgs),
    Rb(rb::RbArgs),
    Rm(rm::RmArgs),
    Stat(stat::StatArgs),
}

impl ObsCommand {
    /// The address that the verb is about.
    fn address(&self) -> Option<&str> {
        match self {
            Self::Cat(args) => Some(&args.url),
            Self::Ls(args) => args.url.as_deref(),
            Self::Mb(_) => None,
            Self::Rb(args) => Some(&args.bucket),
            Self::Rm(args) => Some(&args.url),
            Self::Stat(args) => Some(&args.url),
        }
    }
}

/// Runs the verb.
///
/// # Errors
/// Whatever the verb could not do.
pub async fn run(ctx: &Ctx, command: ObsCommand) -> Result<(), Error> {
    let address = command.address().map(str::to_owned);
    match carry_out(ctx, command).await {
        Err(error) if error.code.as_deref() == Some("NoSuchBucket") => {
            Err(advise(ctx, address.as_deref().unwrap_or_default(), error).await)
        }
        result => result,
    }
}

async fn carry_out(ctx: &Ctx, command: ObsCommand) -> Result<(), Error> {
    match command {
        ObsCommand::Cat(args) => cat::run(ctx, args).await,
        ObsCommand::Ls(args) => ls::run(ctx, args).await,
        ObsCommand::Mb(args) => mb::run(ctx, args).await,
        ObsCommand::Rb(args) => rb::run(ctx, args).await,
        ObsCommand::Rm(args) => rm::run(ctx, args).await,
        ObsCommand::Stat(args) => stat::run(ctx, args).await,
    }
}

/// Adds which bucket may have been meant where there is none of that name, if the buckets can be listed.
async fn advise(ctx: &Ctx, address: &str, mut error: Error) -> Error {
    let (Ok(client), Ok(url)) = (ctx.obs(), bucket_of(address)) else { return error };
    let Ok(buckets) = client.list_buckets().await else { return error };
    let mut names = buckets.iter().map(|bucket| bucket.name.as_str());
    if !names.clone().any(|name| name == url.bucket)
        && let Some(meant) = nearest(&url.bucket, &mut names)
    {
        error.hints.insert(0, format!("did you mean [{meant}]?"));
    }
    error
}

/// The address of an object: one with a key.
fn object(text: &str) -> Result<ObsUrl, Error> {
    let url: ObsUrl = text.parse()?;
    if url.key.is_empty() {
        return Err(Error::new(Kind::Usage, format!("[{text}] names a bucket, not an object")));
    }
    Ok(url)
}

/// An address of which `obs://` may be left out.
fn bucket_of(text: &str) -> Result<ObsUrl, Error> {
    let text = if ObsUrl::looks_like(text) { text.to_owned() } else { format!("{}{text}", ObsUrl::SCHEME) };
    Ok(text.parse()?)
}

/// The address of a bucket; `obs://` may be left out.
fn bucket(text: &str) -> Result<ObsUrl, Error> {
    let url = bucket_of(text)?;
    if !url.key.is_empty() {
        return Err(Error::new(Kind::Usage, format!("[{text}] names an object, not a bucket")));
    }
    Ok(url)
}

/// A time as tables show it.
fn local(time: Option<::time::OffsetDateTime>, zone: Zone) -> String {
    time.map(|time| text::local_time(time, zone)).unwrap_or_default()
}

/// A time as documents have it.
fn time(time: Option<::time::OffsetDateTime>) -> String {
    let format = ::time::macros::format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
    time.and_then(|time| time.to_offset(::time::UtcOffset::UTC).format(format).ok()).unwrap_or_default()
}
