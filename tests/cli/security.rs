//! What users were hurt by elsewhere must not happen here: rows D2.* and D4.* of the list of incidents, as far as identity, network and
//! secrets are concerned. `tests/data/security-rows.tsv` says which test holds which row.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::small_server::SmallServer;
use crate::support::{Home, LocalPlatform};

const SECRET: &str = "SECRETKEY0123456789";

#[test]
fn every_row_is_held_by_a_test_that_exists() {
    let table = fs::read_to_string("tests/data/security-rows.tsv").unwrap();
    let mut rows = Vec::new();
    for line in table.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let [row, file, test, rule] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("four columns: {line}") };
        assert!(!rule.is_empty(), "{line}");
        rows.push(row);
        if file == "-" {
            continue;
        }
        let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{file}: {error}"));
        let at = text.find(&format!("fn {test}(")).unwrap_or_else(|| panic!("{row}: no test {test} in {file}"));
        let before = text[..at].rsplit("\n\n").next().unwrap();
        assert!(
            ["#[test]", "::test]", "::test(", "proptest"].iter().any(|mark| before.contains(mark))
                || text.contains("proptest!"),
            "{row}: {test} is no test"
        );
    }
    for (group, last) in [("D1", 14), ("D2", 11), ("D3", 9), ("D4", 4)] {
        for number in 1..=last {
            assert!(rows.contains(&format!("{group}.{number}").as_str()), "{group}.{number} is missing");
        }
    }
}

/// D2.2: errors print addresses without what signs them.
#[test]
fn errors_show_no_query_and_no_password_of_an_address() {
    let home = Home::new();
    let variables = [
        ("HUAWEICLOUD_SDK_AK", "AKID00000001"),
        ("HUAWEICLOUD_SDK_SK", SECRET),
        ("REGION_NAME", "cn-north-4"),
        ("PROJECT_ID", "p1"),
        ("MA_CLI_MODELARTS_ENDPOINT", "https://modelarts.invalid"),
        ("HTTPS_PROXY", "http://me:PROXYPASSWORD@127.0.0.1:9"),
    ];
    for flags in [&["ma-job", "get-pool"][..], &["ma-job", "get-pool", "-D"], &["ma-job", "get-pool", "-F", "json"]] {
        let output = home.run_with(flags, &variables, "");
        assert_ne!(output.code, 0, "{output:?}");
        for secret in [SECRET, "PROXYPASSWORD", "AKID00000001"] {
            assert!(!(output.stdout.clone() + &output.stderr).contains(secret), "{secret}: {output:?}");
        }
    }
}

/// D2.3, D2.4: a redirect is an answer, whatever it leads to.
#[test]
fn no_redirect_is_followed_with_credentials() {
    let elsewhere = SmallServer::start(|_| (200, String::new(), "{}".to_owned()));
    let target = elsewhere.endpoint.clone();
    let server = SmallServer::start(move |_| (307, format!("Location: {target}/stolen\r\n"), String::new()));
    let home = Home::new();
    let keys = [("HUAWEICLOUD_SDK_AK", "AKID00000001"), ("HUAWEICLOUD_SDK_SK", SECRET), ("REGION_NAME", "cn-north-4")];
    let endpoints = ["MA_CLI_MODELARTS_ENDPOINT", "MA_CLI_OBS_ENDPOINT", "MA_CLI_IAM_ENDPOINT"]
        .map(|name| (name, server.endpoint.as_str()));
    let output = home.run_with(&["configure", "test", "-F", "json"], &[&keys[..], &endpoints].concat(), "");
    assert_eq!(output.stdout.matches("\"ok\": false").count(), 3, "{output:?}");
    let seen = server.seen();
    assert!(seen.len() >= 2 && seen.iter().all(|text| !text.to_ascii_lowercase().contains("\r\nreferer:")), "{seen:?}");
    assert!(elsewhere.seen().is_empty(), "{:?}", elsewhere.seen());
}

/// D2.7, D2.11: nobody else reads what we keep.
#[test]
fn files_and_folders_are_made_private_whatever_the_umask() {
    let home = Home::new();
    let script = r#"umask 000; "$0" configure -auth AKSK -ak a -sk b -r cn-north-4 && "$0" configure use DEFAULT"#;
    let output = home.command();
    let program = output.get_program().to_owned();
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", script]).arg(program).env_clear().env("HOME", home.path()).current_dir(home.path());
    assert!(shell.output().unwrap().status.success());
    let folder = home.path().join(".modelarts");
    let mut paths = vec![folder.clone()];
    paths.extend(fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()));
    for path in paths {
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o077, 0, "{}", path.display());
    }
}

/// D2.8: verification is turned off by an option of this run, loudly, and by nothing else.
#[test]
fn no_variable_turns_verification_off() {
    let home = Home::new();
    let variables = [("S3_VERIFY_SSL", "0"), ("REGION_NAME", "cn-north-4")];
    let output = home.run_with(&["configure", "show", "--query", "settings.verify_tls.value"], &variables, "");
    assert_eq!((output.stdout.trim(), output.stderr.as_str()), ("true", ""), "{output:?}");
    let output = home.run(&["configure", "show", "--no-verify-ssl"]);
    assert!(output.stderr.contains("[WARN] TLS certificates are not checked"), "{output:?}");
}

/// The secrets of every kind of credentials, against every place where this program writes.
#[test]
fn secrets_are_in_no_output_trace_or_log() {
    let platform = LocalPlatform::start();
    let home = &platform.home;
    let login = ["-a", platform.field("account"), "-u", platform.field("username"), "-p", platform.field("password")];
    platform.configure("login", &login);
    let token = home.run(&["auth", "token", "-P", "login"]).stdout.trim().to_owned();
    let exported = home.run(&["configure", "export", "-P", "login", "-F", "json"]).stdout;
    let exported: serde_json::Value = serde_json::from_str(&exported).unwrap();
    let mut secrets = vec![token, platform.field("password").to_owned(), platform.field("secret_key").to_owned()];
    for name in ["HUAWEICLOUD_SDK_SK", "HUAWEICLOUD_SDK_SECURITY_TOKEN"] {
        secrets.push(exported[name].as_str().unwrap().to_owned());
    }
    let commands: [&[&str]; 6] = [
        &["configure", "show"],
        &["configure", "test"],
        &["auth", "status"],
        &["obs", "ls"],
        &["ma-job", "get-job"],
        &["obs", "stat", "obs://no-such-bucket/key"],
    ];
    let mut shown = String::new();
    for command in commands {
        for profile in ["login", "local"] {
            let output = home.run(&[command, &["-D", "-P", profile]].concat());
            shown.push_str(&(output.stdout + &output.stderr));
            // Without the cache every token and key travels again, and others come.
            let cache = home.path().join(".modelarts/cache");
            for entry in fs::read_dir(&cache).into_iter().flatten() {
                let document: serde_json::Value = serde_json::from_slice(&fs::read(entry.unwrap().path()).unwrap()).unwrap();
                let places = ["/token", "/credential/secret", "/credential/securitytoken"];
                secrets.extend(places.iter().filter_map(|place| document.pointer(place)?.as_str().map(str::to_owned)));
            }
            let _ = fs::remove_dir_all(cache);
        }
    }
    assert!(
        shown.contains("securitytokens") && shown.contains("/v3/auth/tokens") && shown.contains(" ms"),
        "the traces show calls"
    );
    shown.push_str(&home.run(&["platform", "logs"]).stdout);
    assert!(secrets.len() > 10, "{}", secrets.len());
    for secret in &secrets {
        assert!(!shown.contains(secret.as_str()), "{secret} is shown:\n{shown}");
    }
}

/// A panic's message may hold what a value's `Debug` prints.
#[test]
fn a_panic_s_message_shows_no_secret() {
    let secret = ma_cli::auth::Secret::from(SECRET);
    let credential = ma_cli::auth::Credential {
        access_key: "AK".to_owned(),
        secret_key: secret.clone(),
        security_token: Some(secret.clone()),
        expires_at: None,
    };
    let message = std::panic::catch_unwind(|| panic!("{:?}", (credential, secret)));
    let message = message.unwrap_err().downcast_ref::<String>().cloned().unwrap();
    assert!(message.contains("***") && !message.contains(SECRET), "{message}");
}
