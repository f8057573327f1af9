//! What `scripts/release` packs: the same bytes each time, and a package that installs and leaves nothing behind. The program is a
//! small one of the system, so that nothing is built.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::completion::{SHELLS, becomes, shell_after};
use crate::support::binary;

/// Packs into a folder of its own; the surroundings must not show.
fn pack(output: &Path, surroundings: &[(&str, &str)]) {
    let mut command = Command::new("scripts/release");
    command.args(["--binary", "/usr/bin/true", "--output"]).arg(output);
    run(command.env("SOURCE_DATE_EPOCH", "1700000000").env("MA_CLI_COMMIT", "c0ffee").envs(surroundings.iter().copied()));
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn ending(folder: &Path, ending: &str) -> PathBuf {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.into_iter().find(|path| path.to_str().unwrap().ends_with(ending)).unwrap_or_else(|| panic!("no {ending}"))
}

#[test]
fn a_release_is_the_same_each_time_and_installs_and_goes() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("a"), folder.path().join("b"));
    pack(&first, &[("TZ", "UTC"), ("LC_ALL", "C")]);
    pack(&second, &[("TZ", "Asia/Tokyo"), ("LC_ALL", "C.UTF-8")]);
    let sums = fs::read_to_string(first.join("SHA256SUMS")).unwrap();
    assert_eq!(sums.lines().count(), 3);
    assert_eq!(sums, fs::read_to_string(second.join("SHA256SUMS")).unwrap());
    run(Command::new("sha256sum").args(["--check", "--strict", "SHA256SUMS"]).current_dir(&first));

    let bill: serde_json::Value = serde_json::from_slice(&fs::read(ending(&first, ".cdx.json")).unwrap()).unwrap();
    let components = bill["components"].as_array().unwrap();
    let has = |name: &str| components.iter().any(|component| component["name"] == name);
    assert!(has("tokio") && has("rustls") && !has("insta"), "what is linked in, and no crate of tests");
    let is_complete = |component: &serde_json::Value| component["licenses"].is_array() && component["hashes"].is_array();
    assert!(components.iter().all(is_complete), "{components:?}");

    let listed = run(Command::new("tar").arg("tzf").arg(ending(&first, ".tar.gz")));
    for name in ["/ma-cli\n", "/LICENSE\n", "/completions/ma-cli.ps1\n", "/man/ma-cli.1\n", "/ma-cli.cdx.json\n"] {
        assert!(listed.contains(name), "{name:?} is not in\n{listed}");
    }

    installs_and_goes(&ending(&first, ".deb"), &folder.path().join("root"));
}

/// Puts the package into a root of its own, looks at it, removes it.
fn installs_and_goes(package: &Path, root: &Path) {
    for name in ["var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/dpkg/triggers"] {
        fs::create_dir_all(root.join(name)).unwrap();
    }
    fs::write(root.join("var/lib/dpkg/status"), "").unwrap();
    let dpkg = || {
        let mut command = Command::new("dpkg");
        let root = root.display();
        // The root is empty: no library is there to depend on. There are no scripts that would need one.
        command.args([&format!("--root={root}"), "--force-not-root", "--force-depends", &format!("--log={root}/log")]);
        command
    };
    // Bash finds the file of a command by the loader of that package.
    let recommended = run(Command::new("dpkg-deb").arg("--field").arg(package).arg("Recommends"));
    assert!(recommended.split(", ").any(|name| name.trim() == "bash-completion"), "{recommended}");
    run(dpkg().arg("--install").arg(package));
    let installed = |name: &str| root.join(name);
    run(Command::new(installed("usr/bin/ma-cli")).env_clear());
    for name in [
        "usr/share/bash-completion/completions/ma-cli",
        "usr/share/zsh/vendor-completions/_ma-cli",
        "usr/share/fish/vendor_completions.d/ma-cli.fish",
        "usr/share/doc/ma-cli/copyright",
    ] {
        assert!(installed(name).is_file(), "{name}");
    }
    let page = run(Command::new("man").arg("-l").arg(installed("usr/share/man/man1/ma-cli-obs-copy.1.gz")));
    assert!(page.contains("OPTIONS"), "{page}");
    run(dpkg().args(["--verify", "ma-cli"]));
    completes_where_it_is_installed(root);
    run(dpkg().args(["--remove", "ma-cli"]));
    let left: Vec<_> = ["usr/bin/ma-cli", "usr/share/man", "usr/share/doc/ma-cli", "usr/share/ma-cli"]
        .into_iter()
        .filter(|name| installed(name).exists())
        .collect();
    assert!(left.is_empty(), "{left:?} stay behind");
}

/// With the program under test in the place of the small one: the shells find the completions where the package puts them.
fn completes_where_it_is_installed(root: &Path) {
    let program = root.join("usr/bin/ma-cli");
    fs::remove_file(&program).unwrap();
    std::os::unix::fs::symlink(binary(), &program).unwrap();
    let share = root.join("usr/share");
    let share = share.display();
    let zsh = format!("fpath=({share}/zsh/vendor-completions $fpath); autoload -Uz compinit; compinit -u -D");
    let variables = format!("PATH={}:/usr/bin:/bin XDG_DATA_DIRS={share}", root.join("usr/bin").display());
    // Without its own configuration Fish looks nowhere.
    let fish = SHELLS[2].0.replace("--no-config ", "");
    for (words, setup) in [
        (SHELLS[0].0, format!(". {share}/bash-completion/completions/ma-cli").as_str()),
        (SHELLS[1].0, zsh.as_str()),
        (fish.as_str(), "true"),
    ] {
        becomes(&shell_after((words, setup), &variables), "ma-cli auto", "ma-cli auto-completion ");
    }
}
