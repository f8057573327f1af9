//! The store that `scripts/bench` measures against: a copy through it is checked like any other, so it must answer truthfully.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use crate::support::make_tree;

/// A running null store; ended when dropped.
pub(crate) struct NullStore {
    process: Child,
    pub(crate) url: String,
}

impl NullStore {
    pub(crate) fn start(flags: &[&str]) -> Self {
        let program = Path::new(env!("CARGO_BIN_EXE_ma-cli")).with_file_name("examples").join("null-store");
        let mut process = Command::new(&program)
            .args(flags)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{} is needed (cargo build --example null-store): {error}", program.display()));
        let mut url = String::new();
        BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut url).unwrap();
        Self { process, url: url.trim().to_owned() }
    }

    /// `ma-cli obs-copy` with these arguments, not started yet.
    pub(crate) fn copy(&self, home: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ma-cli"));
        command.arg("obs-copy").args(arguments).env_clear().current_dir(home).env("HOME", home);
        command.env("MA_CLI_OBS_ENDPOINT", &self.url).env("REGION_NAME", "any").env("PROJECT_ID", "none");
        command.env("HUAWEICLOUD_SDK_AK", "ak").env("HUAWEICLOUD_SDK_SK", "sk");
        command
    }
}

impl Drop for NullStore {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn run(store: &NullStore, home: &Path, arguments: &[&str]) -> Output {
    let output = store.copy(home, arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

#[test]
fn takes_uploads_in_and_makes_downloads_up() {
    let (store, folder) = (NullStore::start(&[]), tempfile::tempdir().unwrap());
    let home = folder.path();
    let large: Vec<u8> = (0..40 << 20).map(|number: u32| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    make_tree(home, &[("data/large", Some(large)), ("data/small", Some(b"12345".to_vec()))]);
    for _ in 0..2 {
        let output = run(&store, home, &["data", "obs://bench/up/", "-F", "json", "--verify", "md5"]);
        let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(document["checked"]["md5"], 2, "{document}");
    }
    run(&store, home, &["obs://bench/up/data/", "uploaded/", "--drop-last-dir", "--verify", "size"]);
    assert_eq!(std::fs::metadata(home.join("uploaded/large")).unwrap().len(), 40 << 20, "sizes are remembered");

    run(&store, home, &["obs://bench/synth/2500/4096/", "synth/", "--drop-last-dir", "--verify", "md5"]);
    assert_eq!(std::fs::read_dir(home.join("synth")).unwrap().count(), 2500, "three pages of a listing");
    assert_eq!(std::fs::read(home.join("synth/00002499")).unwrap(), [0; 4096]);
    run(&store, home, &["obs://bench/plain/33554433", "plain", "--verify", "md5"]);
    run(&store, home, &["obs://bench/big/33554433", "big"]);
    assert_eq!(std::fs::metadata(home.join("big")).unwrap().len(), 33_554_433);
}

#[test]
fn answers_over_tls() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    std::fs::write(
        home.join("tls.conf"),
        "[req]\ndistinguished_name = name\nx509_extensions = leaf\nprompt = no\n[name]\nCN = 127.0.0.1\n\
         [leaf]\nbasicConstraints = critical, CA:FALSE\nsubjectAltName = IP:127.0.0.1\n",
    )
    .unwrap();
    let words =
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -config tls.conf -keyout key -out chain";
    let made = Command::new("openssl").args(words.split(' ')).current_dir(home).output();
    assert!(made.unwrap_or_else(|error| panic!("openssl is needed for this test: {error}")).status.success());
    let path = |name: &str| home.join(name).to_str().unwrap().to_owned();
    let store = NullStore::start(&["--tls", &path("chain"), &path("key")]);
    assert!(store.url.starts_with("https://"), "{}", store.url);
    run(&store, home, &["--ca-bundle", "chain", "obs://bench/big/20000000", "big"]);
    assert_eq!(std::fs::metadata(home.join("big")).unwrap().len(), 20_000_000);
    let untrusted = store.copy(home, &["obs://bench/big/1", "refused"]).output().unwrap();
    assert!(!untrusted.status.success() && !home.join("refused").exists());
}
