//! Writing a profile: what is asked for, where secrets go, which places belong to it.

use serde_json::{Map, Value};

use crate::commands::configure::{ProfileArgs, questions, stored};
use crate::ctx::Ctx;
use crate::error::{Error, Kind};
use crate::settings::profile::{self, ProfileFile};
use crate::settings::vault::Store;
use crate::settings::{LOCAL_PROFILE, Settings, region};

/// Asks for what is missing and writes the profile.
///
/// # Errors
/// An answer that is needed and cannot be had; a profile file that cannot be edited.
pub fn write(ctx: &Ctx, args: &ProfileArgs) -> Result<(), Error> {
    let name = Settings::current_profile(ctx.flags(), &ctx.env).value;
    if name == LOCAL_PROFILE && ctx.flags().config_file.is_none() {
        return Err(Error::new(Kind::Usage, "the profile [local] belongs to the embedded platform, which writes it itself")
            .hint("choose another name with -P"));
    }
    let path = stored::file(ctx);
    if args.fix {
        let done = if profile::make_private(&path)? { "is private now" } else { "was private already" };
        return ctx.ui.ok(&format!("[{}] {done}", path.display()));
    }
    let file = ProfileFile::read(&path)?;
    let entry = file.get(&name).cloned().unwrap_or_default();
    let stored = stored::Stored::read(&path, &name, entry);
    let store = args.store.as_deref().and_then(Store::parse);
    let mut changes = if args.gives_nothing() && store.is_some() && stored.is_complete() {
        Map::new()
    } else {
        match args.auth.to_ascii_uppercase().as_str() {
            "AKSK" => questions::keys(ctx, args, &stored)?,
            "PWD" => questions::password(ctx, args, &stored)?,
            _ => {
                return Err(Error::new(Kind::Unsupported, "authentication by ROMA is not supported")
                    .hint("use --auth PWD (user name and password) or --auth AKSK (access key)"));
            }
        }
    };
    places(ctx, args, &stored.entry, &mut changes)?;
    let store = stored.keep(ctx, store.unwrap_or(stored.store), &mut changes)?;
    profile::update(&path, &name, changes)?;
    stored.forget(ctx, store);
    ctx.ui.ok(&format!("Successfully saved profile [{name}] to [{}]", path.display()))
}

impl ProfileArgs {
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
