//! Writing a profile: what is asked for, where secrets go, which places belong to it.

use serde_json::{Map, Value};

use crate::commands::configure::ProfileArgs;
use crate::commands::configure::questions::Questions;
use crate::ctx::Ctx;
use crate::error::{Error, Kind};
use crate::settings::profile::{self, ProfileFile};
use crate::settings::stored::Stored;
use crate::settings::vault::Store;
use crate::settings::{LOCAL_PROFILE, Settings, region};

/// Asks for what is missing and writes the profile.
///
/// # Errors
/// An answer that is needed and cannot be had; a profile file that cannot be edited.
pub fn write(ctx: &Ctx, args: &ProfileArgs) -> Result<(), Error> {
    write_for(ctx, args, false)
}

/// As [`write()`], for a login: what the profile says about the user holds, so that only the secret is asked for.
///
/// # Errors
/// As [`write()`].
pub fn log_in(ctx: &Ctx, args: &ProfileArgs) -> Result<(), Error> {
    write_for(ctx, args, true)?;
    // What was given is to be tried, not a token that the same password gave before.
    ctx.forget_tokens();
    Ok(())
}

fn write_for(ctx: &Ctx, args: &ProfileArgs, is_login: bool) -> Result<(), Error> {
    let name = Settings::current_profile(ctx.flags(), &ctx.env).value;
    if name == LOCAL_PROFILE && ctx.flags().config_file.is_none() {
        return Err(Error::new(Kind::Usage, "the profile [local] belongs to the embedded platform, which writes it itself")
            .hint("choose another name with -P"));
    }
    let path = Settings::profile_file(ctx.flags(), &ctx.env);
    if args.fix {
        let done = if profile::make_private(&path)? { "is private now" } else { "was private already" };
        return ctx.ui.ok(&format!("[{}] {done}", path.display()));
    }
    let file = ProfileFile::read(&path)?;
    let entry = file.get(&name).cloned().unwrap_or_default();
    let stored = Stored::read(&path, &name, entry);
    let store = args.store.as_deref().and_then(Store::parse);
    let mut changes = if args.gives_nothing() && store.is_some() && stored.is_complete() {
        Map::new()
    } else {
        Questions { ctx, args, stored: &stored, is_login }.answers(&args.mode(&stored))?
    };
    places(ctx, args, &stored.entry, &mut changes)?;
    let kept = stored.keep(store.unwrap_or(stored.store), &mut changes);
    if let Some(error) = &kept.failure {
        ctx.ui.warn(&format!("{error}; the secret is kept in the profile file, which is private"));
    }
    profile::update(&path, &name, changes)?;
    if let Err(error) = stored.forget(&kept) {
        ctx.ui.warn(&format!("{error}; a secret of profile [{name}] may still be there"));
    }
    ctx.ui.ok(&format!("Successfully saved profile [{name}] to [{}]", path.display()))
}

impl ProfileArgs {
    /// The kind of credentials: `configure` has a default, a login goes by what is given, then by the profile.
    fn mode(&self, stored: &Stored) -> String {
        let is_password = self.account.is_some() || self.username.is_some() || self.password.is_some();
        let is_keys = self.access_key.is_some() || self.secret_key.is_some();
        // A profile that is only told where its secret goes stays of its kind; that of `configure` is a default.
        let moves = self.store.is_some() && self.gives_nothing();
        match (self.auth.as_deref().filter(|mode| !moves || *mode != "PWD"), is_password, is_keys) {
            (Some(mode), _, _) => mode.to_owned(),
            (None, true, _) => "PWD".to_owned(),
            (None, false, true) => "AKSK".to_owned(),
            (None, false, false) => {
                let by_key = stored.text("access_key").filter(|_| stored.text("username").is_none()).map(|_| "AKSK");
                stored.text("auth").unwrap_or_else(|| by_key.unwrap_or("PWD").to_owned())
            }
        }
    }

    /// Whether no option says who the user is.
    fn gives_nothing(&self) -> bool {
        let texts = [&self.account, &self.username, &self.access_key];
        texts.iter().all(|text| text.is_none()) && self.password.is_none() && self.secret_key.is_none()
    }
}

/// Region, project and region file.
fn places(ctx: &Ctx, args: &ProfileArgs, stored: &Map<String, Value>, changes: &mut Map<String, Value>) -> Result<(), Error> {
    let region = args.region.as_deref().or_else(|| ctx.env.get("REGION_NAME"));
    let mut is_described = false;
    if let Some(path) = &args.region_profile {
        let path = ctx.env.directory.join(path);
        let regions = region::read_file(&path)?;
        is_described = region.is_some_and(|region| regions.contains_key(region));
        changes.insert("region_profile".to_owned(), Value::from(path.display().to_string()));
    }
    match region {
        Some(region) => {
            if !is_described && !region::is_known(region) {
                ctx.ui.warn(&format!("the region [{region}] is not known; its endpoints will be guessed from its name"));
            }
            changes.insert("region".to_owned(), Value::from(region));
        }
        None if stored.contains_key("region") => {}
        None => {
            ctx.ui.warn("no region is set; give one with --region or REGION_NAME before other commands can reach a service");
        }
    }
    if let Some(project) = args.project_id.as_deref().or_else(|| ctx.env.get("PROJECT_ID")) {
        changes.insert("project_id".to_owned(), Value::from(project));
    } else if region.is_some() && stored.get("region").and_then(Value::as_str) != region {
        // The stored project belongs to another region.
        changes.insert("project_id".to_owned(), Value::Null);
    }
    Ok(())
}
