//! Who may do what: wrong secrets are refused by every service with exit code 4, logins work end to end.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::support::{LocalPlatform, Output};

const EVERY_SERVICE: [&[&str]; 3] = [&["ma-job", "get-job"], &["ma-job", "get-pool"], &["obs", "ls"]];

fn assert_refused(output: &Output, what: &[&str]) {
    assert_eq!(output.code, 4, "{what:?}: {output:?}");
    assert!(output.stderr.starts_with("[ERROR] "), "{what:?}: {output:?}");
    assert!(output.stderr.contains("hint: ") && output.stderr.contains("ma-cli configure"), "{what:?}: {output:?}");
}

#[test]
fn a_wrong_secret_key_is_refused_by_every_service() {
    let platform = LocalPlatform::start();
    platform.configure("wrong", &["-auth", "AKSK", "-ak", platform.field("access_key"), "-sk", "not-the-secret"]);
    for command in EVERY_SERVICE {
        assert_refused(&platform.home.run(&[command, &["-P", "wrong"]].concat()), command);
    }
}

#[test]
fn an_unknown_access_key_is_refused_by_every_service() {
    let platform = LocalPlatform::start();
    platform.configure("unknown", &["-auth", "AKSK", "-ak", "AAAAAAAAAAAAAAAAAAAA", "-sk", platform.field("secret_key")]);
    for command in EVERY_SERVICE {
        assert_refused(&platform.home.run(&[command, &["-P", "unknown"]].concat()), command);
    }
}

#[test]
fn a_wrong_password_is_refused_by_every_service() {
    let platform = LocalPlatform::start();
    let login = ["-a", platform.field("account"), "-u", platform.field("username"), "-p", "wrong"];
    platform.configure("wrong", &login);
    for command in EVERY_SERVICE {
        assert_refused(&platform.home.run(&[command, &["-P", "wrong"]].concat()), command);
    }
}

#[test]
fn a_login_reaches_every_service_and_its_token_is_kept_private() {
    let platform = LocalPlatform::start();
    let login = ["-a", platform.field("account"), "-u", platform.field("username"), "-p", platform.field("password")];
    platform.configure("login", &login);
    for command in EVERY_SERVICE {
        let output = platform.home.run(&[command, &["-P", "login"]].concat());
        assert_eq!(output.code, 0, "{command:?}: {output:?}");
    }
    let cache = platform.home.path().join(".modelarts/cache");
    let mut kept = 0;
    for entry in fs::read_dir(&cache).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o077, 0, "{:?}", entry.path());
        kept += 1;
    }
    assert!(kept >= 2, "the token and the temporary keys are cached");
}

#[test]
fn nothing_configured_says_how_to_begin() {
    let home = crate::support::Home::new();
    let output = home.run_with(&["ma-job", "get-job"], &[("REGION_NAME", "cn-north-4")], "");
    assert_refused(&output, &["ma-job", "get-job"]);
}

#[test]
fn the_local_profile_says_how_to_start_the_platform() {
    let home = crate::support::Home::new();
    let output = home.run(&["-P", "local", "ma-job", "get-job"]);
    assert_eq!(output.code, 1, "{output:?}");
    assert!(output.stderr.contains("ma-cli platform start"), "{output:?}");

    let platform = LocalPlatform::start();
    assert_eq!(platform.home.run(&["platform", "stop"]).code, 0);
    for command in EVERY_SERVICE {
        let output = platform.run(command);
        assert_eq!(output.code, 1, "{output:?}");
        assert!(output.stderr.contains("ma-cli platform start"), "{command:?}: {output:?}");
    }
    // What is chosen goes with it.
    assert_eq!(platform.home.run(&["configure", "use", "local"]).code, 0);
    assert_eq!(platform.home.run(&["platform", "reset", "-y"]).code, 0);
    assert!(!platform.home.path().join(".modelarts/current-profile").exists());
}

#[test]
fn traces_show_no_secret() {
    let platform = LocalPlatform::start();
    let login = ["-a", platform.field("account"), "-u", platform.field("username"), "-p", platform.field("password")];
    platform.configure("login", &login);
    for command in EVERY_SERVICE {
        for profile in ["login", "local"] {
            let output = platform.home.run(&[command, &["-D", "-P", profile]].concat());
            assert_eq!(output.code, 0, "{output:?}");
            let shown = output.stdout + &output.stderr;
            assert!(shown.len() > 200, "-D shows something");
            for secret in ["password", "secret_key"] {
                assert!(!shown.contains(platform.field(secret)), "{command:?} shows the {secret}:\n{shown}");
            }
            assert!(!shown.contains("Signature=") || shown.contains("Signature=***"), "{shown}");
        }
    }
}
