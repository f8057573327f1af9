//! `ma-cli obs cat`.

use std::cell::Cell;
use std::time::Duration;

use super::object;
use crate::ctx::Ctx;
use crate::error::{Error, Kind};
use crate::obs::bytes::GetOptions;
use crate::obs::error::Failure;
use crate::obs::{self, Client, ObsUrl};

/// Write an object to standard output
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ma-cli obs cat obs://bucket/logs/train.log | tail")]
pub struct CatArgs {
    /// The object
    #[arg(value_name = "URL")]
    pub(super) url: String,
}

/// Streams the object; after a broken connection it goes on where it stopped.
///
/// # Errors
/// There is no such object; it changed meanwhile; standard output is closed.
pub async fn run(ctx: &Ctx, args: CatArgs) -> Result<(), Error> {
    let url = object(&args.url)?;
    let client = ctx.obs()?;
    let cancel = ctx.cancel();
    tokio::select! {
        () = cancel.cancelled() => Err(Error::new(Kind::Interrupted, "interrupted")),
        written = stream(ctx, &client, &url) => written,
    }
}

async fn stream(ctx: &Ctx, client: &Client, url: &ObsUrl) -> Result<(), Error> {
    let written = Cell::new(0u64);
    // Size and ETag, once the first answer gave them.
    let known: Cell<Option<(u64, String)>> = Cell::new(None);
    let streamed = client
        .retrying(async |_| {
            let version = known.take();
            known.set(version.clone());
            let options = match version {
                Some((size, etag)) if written.get() > 0 => GetOptions {
                    range: Some((written.get(), size - written.get())),
                    if_match: Some(etag),
                    ..GetOptions::default()
                },
                _ => GetOptions::default(),
            };
            let mut got = client.get_once(url, &options).await.map_err(CatError::Store)?;
            known.set(Some((got.size, got.tags.etag.clone())));
            while let Some(piece) = got.body.piece().await.map_err(CatError::Store)? {
                ctx.ui.write(&piece).map_err(|error| CatError::Output(Box::new(error)))?;
                written.set(written.get() + piece.len() as u64);
            }
            Ok(())
        })
        .await;
    streamed.map_err(|error| match error {
        CatError::Store(error) => error.into(),
        CatError::Output(error) => *error,
    })
}

enum CatError {
    Store(obs::Error),
    Output(Box<Error>),
}

impl Failure for CatError {
    fn as_obs(&self) -> Option<&obs::Error> {
        match self {
            Self::Store(error) => Some(error),
            Self::Output(_) => None,
        }
    }

    fn exhausted(self, attempts: u32, elapsed: Duration) -> Self {
        match self {
            Self::Store(error) => Self::Store(error.exhausted(attempts, elapsed)),
            output => output,
        }
    }
}
