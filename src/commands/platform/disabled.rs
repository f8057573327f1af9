//! Stands in for the platform in builds without it: every command parses and says why it cannot run.

use super::PlatformCommand;
use crate::ctx::Ctx;
use crate::error::{Error, Kind};

/// Refuses.
pub(super) async fn run(_ctx: &Ctx, _command: PlatformCommand) -> Result<(), Error> {
    Err(Error::new(Kind::Unsupported, "this build of ma-cli has no embedded platform")
        .hint("use a build with the feature [platform], which is on by default"))
}
