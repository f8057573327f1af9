//! Going on with what an earlier copy left unfinished, and giving it up.

use crate::copy;
use crate::ctx::Ctx;

/// Options about unfinished transfers.
#[derive(Debug, clap::Args)]
pub(super) struct ResumeArgs {
    /// Begin large files anew, and keep nothing of those that fail
    #[arg(long)]
    no_resume: bool,
    /// List large files whose copy has begun and not ended
    #[arg(long, conflicts_with_all = ["src", "dst", "discard_unfinished"])]
    list_unfinished: bool,
    /// Give up unfinished copies: all of this store, or the one whose ID stands in the place of SRC
    #[arg(long, conflicts_with_all = ["dst", "dry_run"])]
    discard_unfinished: bool,
}

/// What to do instead of copying.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Instead {
    /// `--list-unfinished`
    List,
    /// `--discard-unfinished`
    Discard,
}

impl ResumeArgs {
    /// Puts what was asked for into the options.
    pub(super) fn apply(&self, ctx: &Ctx, options: &mut copy::Options) {
        options.journal = (!self.no_resume).then(|| journals(ctx));
    }

    /// What to do instead of copying, if anything.
    pub(super) fn instead(&self) -> Option<Instead> {
        match (self.list_unfinished, self.discard_unfinished) {
            (true, _) => Some(Instead::List),
            (_, true) => Some(Instead::Discard),
            _ => None,
        }
    }
}

/// The folder of the journals.
pub(super) fn journals(ctx: &Ctx) -> std::path::PathBuf {
    ctx.env.state_directory().join("transfers")
}
