//! Writing a profile: what is asked for, where secrets go, which places belong to it.

use std::path::PathBuf;

use serde_json::{Map, Value};

use crate::commands::configure::ProfileArgs;
use crate::commands::configure::questions::Questions;
use crate::ctx::Ctx;
use crate::error::{Error, Kind, nearest};
use crate::settings::profile::{self, ProfileFile};
use crate::settings::stored::{SECRETS, Stored};
use crate::settings::vault::Store;
use crate::settings::{self, LOCAL_PROFILE, Origin, Settings, region};

/// Asks for what is missing and writes the profile.
///
/// # Errors
/// An answer that is needed and cannot be had; a profile file that cannot be edited.
pub fn write(ctx: &Ctx, args: &ProfileArgs) -> Result<(), Error> {
    if args.fix {
        let path = Settings::profile_file(ctx.flags(), &ctx.env);
        let done = if profile::make_private(&path)? { "is private now" } else { "was private already" };
        return ctx.ui.ok(&format!("[{}] {done}", path.display()));
    }
    Draft::new(ctx, args, false)?.save(ctx)
}

/// A profile as it is to be; nothing is written yet.
#[derive(Debug)]
pub struct Draft {
    name: String,
    path: PathBuf,
    stored: Stored,
    /// Where the secrets go.
    store: Store,
    changes: Map<String, Value>,
}

impl Draft {
    /// The profile of a login: what the profile says about the user holds, so that only the secret is asked for.
    ///
    /// # Errors
    /// As [`write()`].
    pub fn of_login(ctx: &Ctx, args: &ProfileArgs) -> Result<Self, Error> {
        Self::new(ctx, args, true)
    }

    fn new(ctx: &Ctx, args: &ProfileArgs, is_login: bool) -> Result<Self, Error> {
        let name = Settings::current_profile(ctx.flags(), &ctx.env).value;
        if name == LOCAL_PROFILE && ctx.flags().config_file.is_none() {
            let error = Error::new(Kind::Usage, "the profile [local] belongs to the embedded platform, which writes it itself");
            return Err(ctx.hint_choice(error.hint("choose another name with -P")));
        }
        if name.is_empty() || name.chars().any(char::is_control) {
            return Err(Error::new(Kind::Usage, format!("[{}] is no name for a profile", name.escape_debug()))
                .hint("a name is a word or more, without control characters"));
        }
        let path = Settings::profile_file(ctx.flags(), &ctx.env);
        let entry = ProfileFile::read(&path)?.get(&name).cloned().unwrap_or_default();
        let stored = Stored::read(&path, &name, entry);
        let store = args.store.as_deref().and_then(Store::parse);
        let questions = Questions { ctx, args, stored: &stored, is_login };
        let mut changes = if args.gives_nothing() && store.is_some() && stored.is_complete() {
            Map::new()
        } else {
            questions.answers(&args.mode(&stored))?
        };
        places(&questions, &mut changes)?;
        Ok(Self { name, path, store: store.unwrap_or(stored.store), stored, changes })
    }

    /// The whole profile, with its new secrets.
    pub fn profile(&self) -> Map<String, Value> {
        let mut profile = self.stored.entry.clone();
        profile.extend(self.changes.clone());
        // The new secrets stand here, and what a keyring has of the old ones is not of this profile any more.
        if SECRETS.iter().any(|key| self.changes.contains_key(*key)) {
            profile.remove("store");
        }
        profile
    }

    /// Writes it; the secrets go where they belong.
    ///
    /// # Errors
    /// A profile file that cannot be edited.
    pub fn save(self, ctx: &Ctx) -> Result<(), Error> {
        let Self { name, path, stored, store, mut changes } = self;
        let kept = stored.keep(store, &mut changes);
        if let Some(error) = &kept.failure {
            ctx.ui.warn(&format!("{error}; the secret is kept in the profile file, which is private"));
        }
        profile::update(&path, &name, changes)?;
        if let Err(error) = stored.forget(&kept) {
            ctx.ui.warn(&format!("{error}; a secret of profile [{name}] may still be there"));
        }
        ctx.ui.ok(&format!("Successfully saved profile [{name}] to [{}]", path.display()))
    }
}

impl ProfileArgs {
    /// The kind of credentials: `configure` has a default, a login goes by what is given, then by the profile.
    fn mode(&self, stored: &Stored) -> String {
        let is_password = self.account.is_some() || self.username.is_some() || self.password.is_some();
        let is_keys = self.access_key.is_some() || self.secret_key.is_some() || self.security_token.is_some();
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

    /// Whether the file's mode is all that is to be changed.
    pub fn only_mends(&self) -> bool {
        self.fix
    }

    /// Whether no option says who the user is.
    fn gives_nothing(&self) -> bool {
        let texts = [&self.account, &self.username, &self.access_key];
        texts.iter().all(|text| text.is_none())
            && self.password.is_none()
            && self.secret_key.is_none()
            && self.security_token.is_none()
    }
}

/// Region, project and region file.
fn places(draft: &Questions<'_>, changes: &mut Map<String, Value>) -> Result<(), Error> {
    let Questions { ctx, args, stored, .. } = draft;
    let regions = match (&args.region_profile, stored.text("region_profile")) {
        (Some(path), _) => {
            let path = ctx.env.directory.join(path);
            changes.insert("region_profile".to_owned(), Value::from(path.display().to_string()));
            region::read_file(&path)?
        }
        // One that is gone holds up no change of what names it.
        (None, Some(path)) => region::read_file(&ctx.env.directory.join(path)).unwrap_or_default(),
        (None, None) => Default::default(),
    };
    let region = match (args.region.as_deref(), ctx.env.get("REGION_NAME")) {
        (None, None) => draft.region()?.map(|name| (name, Origin::Flag("--region"))),
        (Some(name), _) => Some((name.to_owned(), Origin::Flag("--region"))),
        (None, Some(name)) => Some((name.to_owned(), Origin::Environment("REGION_NAME"))),
    };
    let region = match region {
        Some((name, _)) if regions.contains_key(&name) => Some(name),
        Some((name, origin)) => {
            let known =
                region::parse(&name).or_else(|| region::foreign(&name)).ok_or(settings::Error::Region { name, origin })?;
            if !region::is_known(&known) {
                let meant =
                    nearest(&known, region::names()).map(|meant| format!("; did you mean [{meant}]?")).unwrap_or_default();
                let endpoints =
                    if region::parse(&known).is_some() { "will be guessed from its name" } else { "have to be given" };
                ctx.ui.warn(&format!("the region [{known}] is not known; its endpoints {endpoints}{meant}"));
            }
            Some(known)
        }
        None => None,
    };
    if let Some(region) = &region {
        changes.insert("region".to_owned(), Value::from(region.as_str()));
    } else if !stored.entry.contains_key("region") {
        ctx.ui.warn("no region is set; give one with --region or REGION_NAME before other commands can reach a service");
    }
    if let Some(project) = args.project_id.as_deref().or_else(|| ctx.env.get("PROJECT_ID")) {
        changes.insert("project_id".to_owned(), Value::from(project));
    } else if region.is_some() && stored.text("region").map(|name| region::parse(&name).unwrap_or(name)) != region {
        // The stored project belongs to another region.
        changes.insert("project_id".to_owned(), Value::Null);
    }
    Ok(())
}
