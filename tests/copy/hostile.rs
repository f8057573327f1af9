//! Keys made to leave the destination, as many as there are ideas, with links planted inside it, before and during the copy.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ma_cli::copy;

use crate::stub::{Habits, Stub};
use crate::support::{client, download, make_tree};

const KEYS: usize = 10_000;

/// In every key, so that whatever got out can be found.
const MARK: &str = "ma-cli-hostile";

/// Parts that mean something to some system, or look as if they did.
const PARTS: [&str; 36] = [
    "..",
    "..",
    ".",
    "",
    "a",
    "b",
    "swap",
    "link",
    "up",
    "file-link",
    "deep",
    "\\",
    "..\\..",
    "\0",
    "..\0",
    "\u{1}",
    "\n",
    "\r\n..",
    "\u{7f}",
    "\u{85}",
    "\u{202e}txt",
    "e\u{301}",
    "\u{e9}",
    "\u{ff0e}\u{ff0e}",
    "\u{2024}\u{2024}",
    "%2e%2e",
    "..%2f..",
    "~",
    "~root",
    "$HOME",
    "-rf",
    " ",
    "...",
    "CON",
    "\u{feff}..",
    MARK,
];

fn hostile_key(random: &mut fastrand::Rng) -> String {
    let mut key = String::new();
    if random.u8(0..10) == 0 {
        key.push('/');
    }
    for _ in 0..random.usize(0..6) {
        match random.u8(0..40) {
            0 => key.push_str(&"x".repeat(random.usize(250..300))),
            1 => key.push_str(&"../".repeat(random.usize(1..12))),
            _ => key.push_str(PARTS[random.usize(0..PARTS.len())]),
        }
        key.push_str(["/", "/", "/", "/", "//", "\\", "/./", "/../"][random.usize(0..8)]);
    }
    key.push_str(MARK);
    if random.u8(0..8) == 0 {
        key.push_str(&random.u8(0..3).to_string());
    }
    if random.u8(0..12) == 0 {
        key.push('/');
    }
    // What no store takes.
    key.truncate(key.floor_char_boundary(1000));
    key
}

/// Names, contents and targets of links of everything below a folder; no link is followed.
fn snapshot(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let (path, kind) = (entry.path(), entry.file_type().unwrap());
            let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
            let content = match kind {
                kind if kind.is_dir() => {
                    folders.push(path);
                    b"folder".to_vec()
                }
                kind if kind.is_symlink() => std::fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes(),
                _ => std::fs::read(&path).unwrap(),
            };
            found.insert(name, content);
        }
    }
    found
}

/// Puts a link to the outside in the place of a folder, and the folder back, until told to stop.
fn swap(destination: &Path, outside: &Path, stop: &AtomicBool) {
    let (folder, aside, link) = (destination.join("swap"), destination.join("aside"), destination.join("link-to-be"));
    while !stop.load(Ordering::SeqCst) {
        let _ = std::fs::create_dir(&folder);
        let _ = symlink(outside, &link);
        let _ = std::fs::rename(&folder, &aside);
        let _ = std::fs::rename(&link, &folder);
        std::thread::yield_now();
        let _ = std::fs::remove_file(&folder);
        let _ = std::fs::rename(&aside, &folder);
        let _ = std::fs::remove_dir_all(&aside);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn d1_10_ten_thousand_hostile_keys_stay_inside() {
    let stub = Stub::start(Habits::default()).await;
    let mut random = fastrand::Rng::with_seed(20_260_101);
    let mut keys = BTreeSet::from(["a", "a/b", "b", "b/c/d", "good", "deep/good"].map(|key| format!("p/{key}")));
    while keys.len() < KEYS {
        keys.insert(format!("p/{}", hostile_key(&mut random)));
    }
    keys.iter().for_each(|key| stub.put(key, key.as_bytes()));
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    make_tree(
        root,
        &[
            ("outside/file", Some(b"before".to_vec())),
            ("outside/folder/file", Some(b"before".to_vec())),
            ("in/destination/deep", None),
            ("in/sibling", Some(b"before".to_vec())),
        ],
    );
    let (outside, destination) = (root.join("outside"), root.join("in/destination"));
    for (name, target) in
        [("link", outside.clone()), ("up", "..".into()), ("file-link", outside.join("file")), ("deep/link", "/".into())]
    {
        symlink(target, destination.join(name)).unwrap();
    }
    let before = snapshot(&outside);
    let stop = Arc::new(AtomicBool::new(false));
    let swapping = {
        let (destination, outside, stop) = (destination.clone(), outside.clone(), Arc::clone(&stop));
        std::thread::spawn(move || swap(&destination, &outside, &stop))
    };
    let down = download(&client(&stub.endpoint), "p/", &destination, &copy::Options::default()).await;
    stop.store(true, Ordering::SeqCst);
    swapping.join().unwrap();
    let down = down.unwrap();

    assert_eq!(down.files + down.folders + down.failed, KEYS as u64);
    assert!(down.files > 500 && down.failed > 3000, "{} arrived, {} refused", down.files, down.failed);
    assert_eq!(snapshot(&outside), before, "nothing outside changed");
    let beside: Vec<_> = snapshot(&root.join("in")).into_keys().filter(|name| !name.starts_with("destination")).collect();
    assert_eq!(beside, ["sibling"]);
    for place in ["/", "/tmp", "/etc", "/root", "."] {
        assert!(!Path::new(place).join(MARK).exists(), "{place}");
    }
    let mut files = 0;
    for (name, content) in snapshot(&destination) {
        let is_ours = keys.contains(&format!("p/{name}"));
        if is_ours && !matches!(content.as_slice(), b"folder") {
            assert_eq!(String::from_utf8_lossy(&content), format!("p/{name}"), "each file has the content of its own key");
            files += 1;
        }
        assert!(!name.ends_with(".ma-part"), "[{name}] is left over");
    }
    // What went into the folder that was swapped may be gone with it.
    let swapped = keys.iter().filter(|key| key.starts_with("p/swap/")).count() as u64;
    assert!(files <= down.files && files + swapped >= down.files, "{files} of {}", down.files);
    assert!(destination.join("good").is_file() && destination.join("deep/good").is_file());
}
