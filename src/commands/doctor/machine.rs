//! Checks that send nothing: version, profile, region, disks.

use std::path::Path;

use rustix::fs::Access;

use super::finding::{Finding, State};
use crate::ctx::Ctx;
use crate::error::{Error, Kind, nearest};
use crate::settings::{Origin, Service, Unknown, region};
use crate::ui::text;

/// Free room below which copies and jobs soon fail, in bytes.
const LITTLE: u64 = 1 << 30;
/// Free room below which nothing works, in bytes.
const NONE: u64 = 16 << 20;

/// What runs, and on what.
pub(super) fn version() -> Finding {
    let system = rustix::system::uname();
    let platform = if cfg!(feature = "platform") { "with the platform" } else { "without the platform" };
    let message = format!(
        "ma-cli {} ({platform}) on {} {} {}",
        env!("CARGO_PKG_VERSION"),
        system.sysname().to_string_lossy(),
        system.release().to_string_lossy(),
        system.machine().to_string_lossy()
    );
    Finding::new("version", State::Ok, message)
}

/// Whether settings can be read, and from where.
pub(super) fn profile(ctx: &Ctx) -> Finding {
    let settings = match ctx.settings() {
        Ok(settings) => settings,
        Err(error) => return Finding::failed("profile", &error),
    };
    let (name, path) = (&settings.profile.value, &settings.config_file.value);
    if let Some(warning) = settings.warnings.first() {
        return Finding::new("profile", State::Warn, warning.clone());
    }
    if path.exists() {
        return Finding::new("profile", State::Ok, format!("[{name}] of [{}]", path.display()));
    }
    let finding = Finding::new("profile", State::Warn, format!("there is no profile file [{}]", path.display()));
    finding.remedy("make it with: ma-cli configure; or use variables: ma-cli help environment")
}

/// Keys of the profile that nothing reads.
pub(super) fn unknown_keys(ctx: &Ctx) -> Vec<Finding> {
    let unknown = ctx.settings().into_iter().flat_map(|settings| &settings.unknown_keys);
    let finding = |unknown: &Unknown| {
        let finding = Finding::new("profile key", State::Warn, format!("[{}] means nothing", unknown.key));
        match nearest(&unknown.key, unknown.known.iter().copied()) {
            Some(meant) => finding.remedy(format!("did you mean [{meant}]?")),
            None => finding.remedy("take it out; the keys are in: ma-cli help profiles"),
        }
    };
    unknown.map(finding).collect()
}

/// Whether the region is known, where one is configured and something depends on it.
pub(super) fn region(ctx: &Ctx) -> Option<Finding> {
    let settings = ctx.settings().ok()?;
    let is_explicit = settings.endpoint(Service::ModelArts).is_ok_and(|endpoint| endpoint.origin != Origin::Region);
    let Some(found) = &settings.region else {
        let error = Error::new(Kind::Config, "no region is configured").hint("set one with: ma-cli configure --region REGION");
        return (!is_explicit).then(|| Finding::failed("region", &error));
    };
    let name = &found.value;
    if is_explicit || region::is_known(name) {
        return Some(Finding::new("region", State::Ok, format!("[{name}] from {}", found.origin)));
    }
    let finding =
        Finding::new("region", State::Warn, format!("[{name}] from {} is no region that this tool knows", found.origin));
    Some(match nearest(name, region::names()) {
        Some(known) => finding.remedy(format!("did you mean [{known}]?")),
        None => finding.remedy("endpoints are guessed from the name; give them with --region-profile FILE"),
    })
}

/// Whether there is room and leave to write where this tool writes.
pub(super) fn disks(ctx: &Ctx) -> Vec<Finding> {
    let state = ctx.env.state_directory();
    vec![disk("disk of ~/.modelarts", &state), disk("disk of this folder", &ctx.env.directory)]
}

fn disk(check: &str, folder: &Path) -> Finding {
    // What does not exist yet is made in the folder that does.
    let folder = folder.ancestors().find(|folder| folder.exists()).unwrap_or(folder);
    let shown = folder.display();
    let statistics = match rustix::fs::statvfs(folder) {
        Ok(statistics) => statistics,
        Err(error) => return Finding::new(check, State::Fail, format!("[{shown}] cannot be looked at: {error}")),
    };
    if rustix::fs::access(folder, Access::WRITE_OK).is_err() {
        return Finding::new(check, State::Warn, format!("[{shown}] cannot be written"))
            .remedy(format!("give yourself leave to write in [{shown}], or set HOME"));
    }
    let free = statistics.f_bavail.saturating_mul(statistics.f_frsize);
    let message = format!("{} free in [{shown}]", text::bytes(free));
    match free {
        0..NONE => Finding::new(check, State::Fail, message).remedy("make room"),
        NONE..LITTLE => Finding::new(check, State::Warn, message).remedy("make room before copying"),
        _ => Finding::new(check, State::Ok, message),
    }
}
