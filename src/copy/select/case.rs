//! Whether a file system tells `A` from `a`. Found out without writing anything.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Whether names in this folder, or in the folder it will be made in, are the same whatever the case of their letters.
pub fn is_insensitive(path: &Path) -> bool {
    let Some(existing) = path.ancestors().find(|folder| folder.is_dir()) else { return false };
    says_so(existing) || existing.ancestors().find_map(swapped).is_some_and(|is_same| is_same)
}

/// Whether the last name, its letters swapped, leads to the same; none for a name without letters, or on another device.
fn swapped(path: &Path) -> Option<bool> {
    let name = path.file_name()?.to_str()?;
    let other: String = name
        .chars()
        .map(|letter| if letter.is_ascii_lowercase() { letter.to_ascii_uppercase() } else { letter.to_ascii_lowercase() })
        .collect();
    if other == name {
        return None;
    }
    let identity = |path: &Path| std::fs::symlink_metadata(path).ok().map(|status| (status.dev(), status.ino()));
    Some(identity(path)? == identity(&path.with_file_name(other))?)
}

/// File systems that say so: those of FAT and of shares, and folders marked on others.
#[cfg(target_os = "linux")]
fn says_so(folder: &Path) -> bool {
    const FAT: i64 = 0x4d44;
    const EXFAT: i64 = 0x2011_bab0;
    const CIFS: i64 = 0xff53_4d42;
    const SMB2: i64 = 0xfe53_4d42;
    const CASEFOLD: u32 = 0x4000_0000;
    let Ok(handle) = std::fs::File::open(folder) else { return false };
    let kind = rustix::fs::fstatfs(&handle).map_or(0, |status| status.f_type);
    [FAT, EXFAT, CIFS, SMB2].contains(&kind)
        || rustix::fs::ioctl_getflags(&handle).is_ok_and(|flags| flags.bits() & CASEFOLD != 0)
}

#[cfg(not(target_os = "linux"))]
fn says_so(_folder: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::is_insensitive;

    #[test]
    fn an_ordinary_folder_is_sensitive() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!is_insensitive(folder.path()));
        assert!(!is_insensitive(&folder.path().join("not/there")));
    }
}
