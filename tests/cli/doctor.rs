//! `ma-cli doctor`: every line with its remedy, without a network too, within its time.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::fake_service::{FakeService, reply};
use crate::small_server::SmallServer;
use crate::support::Home;

fn write_private(home: &Home, text: &str) {
    fs::create_dir_all(home.path().join(".modelarts")).unwrap();
    fs::write(home.profile_file(), text).unwrap();
    fs::set_permissions(home.profile_file(), fs::Permissions::from_mode(0o600)).unwrap();
}

fn states(stdout: &str) -> Vec<(String, String, Value)> {
    let document: Value = serde_json::from_str(stdout).unwrap();
    let text = |line: &Value, key: &str| line[key].as_str().unwrap().to_owned();
    document
        .as_array()
        .unwrap()
        .iter()
        .map(|line| (text(line, "check"), text(line, "state"), line["remedies"].clone()))
        .collect()
}

fn state(stdout: &str, check: &str) -> String {
    let all = states(stdout);
    all.iter().find(|line| line.0 == check).unwrap_or_else(|| panic!("no line {check}: {all:?}")).1.clone()
}

#[test]
fn a_machine_with_nothing_is_told_what_to_do() {
    let home = Home::new();
    let output = home.run(&["doctor", "--offline", "-F", "json"]);
    assert_eq!(output.code, 1, "{output:?}");
    for (check, expected) in
        [("version", "ok"), ("profile", "warn"), ("region", "fail"), ("credentials", "fail"), ("network", "warn")]
    {
        assert_eq!(state(&output.stdout, check), expected, "{check}");
    }
    for (check, state, remedies) in states(&output.stdout) {
        let has_remedy = remedies.as_array().is_some_and(|remedies| !remedies.is_empty());
        assert!(state == "ok" || has_remedy || check == "network", "{check} has no remedy");
    }
}

/// Keys that only the surroundings give are found too.
#[test]
fn keys_of_a_notebook_are_seen() {
    let home = Home::new();
    let variables = [("OBS_ACCESS_KEY_ID", "AKID00000001"), ("OBS_SECRET_ACCESS_KEY", "SECRETKEY0123456789")];
    let endpoints = [
        "MA_CLI_OBS_ENDPOINT",
        "MA_CLI_IAM_ENDPOINT",
        "MA_CLI_MODELARTS_ENDPOINT",
        "MA_CLI_SWR_ENDPOINT",
        "MA_CLI_DLI_ENDPOINT",
    ];
    let variables: Vec<(&str, &str)> =
        variables.into_iter().chain(endpoints.map(|name| (name, "http://127.0.0.1:9"))).collect();
    let output = home.run_with(&["doctor", "--timeout", "2", "-F", "json"], &variables, "");
    assert_eq!(state(&output.stdout, "credentials"), "ok", "{output:?}");
    assert!(!(output.stdout + &output.stderr).contains("SECRETKEY0123456789"));
}

#[test]
fn services_clocks_and_access_are_checked() {
    let (home, service) = (Home::new(), FakeService::start(&[], |_, _| {}));
    service.state.lock().unwrap().canned = Some(|method, path| {
        let late = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
        Some(match (method, path) {
            (_, "/") => reply(404, late, b""),
            ("POST", "/v2/p1/training-job-searches") => reply(200, "", br#"{"items": [], "total": 0}"#),
            _ => reply(
                403,
                "Content-Type: application/xml\r\n",
                b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>",
            ),
        })
    });
    // A port that nothing listens on, and one that never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent_url = format!("http://{}", silent.local_addr().unwrap());
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let started = Instant::now();
    let mut command = service.command(&home, &["doctor", "-F", "json", "--timeout", "2", "--bucket", "obs://b"]);
    command
        .env("MA_CLI_OBS_ENDPOINT", &service.endpoint)
        .env("MA_CLI_IAM_ENDPOINT", format!("http://127.0.0.1:{closed}"))
        .env("MA_CLI_SWR_ENDPOINT", silent_url)
        .env("MA_CLI_DLI_ENDPOINT", "https://name-that-does-not-exist.invalid");
    let output = command.output().unwrap();
    assert!(started.elapsed() < Duration::from_secs(30), "bounded in time");
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stdout}");
    for (check, expected) in [
        ("dns", "fail"),
        ("endpoint modelarts", "ok"),
        ("endpoint iam", "fail"),
        ("endpoint swr", "warn"),
        ("endpoint dli", "warn"),
        ("clock", "fail"),
        ("credentials", "ok"),
        ("access to ModelArts", "ok"),
        ("access to OBS", "fail"),
    ] {
        assert_eq!(state(&stdout, check), expected, "{check}: {stdout}");
    }
    assert!(!stdout.contains("secret-key-of-tests"), "{stdout}");
}

#[test]
fn what_cannot_be_used_is_named_and_the_rest_is_shown() {
    let home = Home::new();
    let text = "kk: {auth: AKSK, access_key: a, store: keyring, regoin: x, region: cn-north-4, endpoints: {modelart: 'h'}}\n";
    write_private(&home, text);
    let no_bus = [("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere/bus")];
    let output = home.run_with(&["configure", "show", "-P", "kk"], &no_bus, "");
    assert_eq!(output.code, 0, "{output:?}");
    assert!(output.stdout.contains("cn-north-4") && output.stdout.contains("failed"), "{output:?}");
    for slip in ["unknown key [regoin]; did you mean [region]?", "unknown key [modelart]; did you mean [modelarts]?"] {
        assert!(output.stderr.contains(slip), "{output:?}");
    }
    let output = home.run_with(&["configure", "export", "-P", "kk"], &no_bus, "");
    assert!(output.code == 1 && output.stderr.contains("ma-cli configure -P kk --store file"), "{output:?}");
    let output = home.run_with(&["configure", "-P", "kk", "--store", "file"], &no_bus, "AK2\nSK2\n");
    assert_eq!(output.code, 0, "{output:?}");
    let output =
        home.run_with(&["configure", "show", "-F", "json"], &[("HUAWEICLOUD_SDK_AK", "x"), ("REGION_NAME", "cn-east-3")], "");
    assert!(output.code == 0 && output.stdout.contains("gives HUAWEICLOUD_SDK_AK but not"), "{output:?}");
    write_private(&home, "kk: {auth: AKSK, access_key: a, store: keyring, region: cn-north-4}\n");
    let output = home.run_with(&["doctor", "--offline", "-P", "kk", "-F", "json"], &no_bus, "");
    assert_eq!((state(&output.stdout, "keyring").as_str(), state(&output.stdout, "profile").as_str()), ("fail", "ok"));
}

#[test]
fn proxies_and_endpoints_are_blamed_where_they_were_set() {
    let home = Home::new();
    write_private(
        &home,
        "px: {auth: AKSK, access_key: a, secret_key: b, region: cn-north-4, project_id: p, proxy: 'not a url'}\n",
    );
    for arguments in [&["api", "GET", "/v2/{project_id}/pools", "-P", "px"][..], &["obs", "ls", "-P", "px"]] {
        let output = home.run(arguments);
        assert!(output.code == 1 && output.stderr.contains("the proxy of profile [px] in ["), "{output:?}");
    }
    let refusing = SmallServer::start(|_| (407, String::new(), String::new()));
    let keys = "auth: AKSK, access_key: a, secret_key: b, region: cn-north-4, project_id: p";
    write_private(&home, &format!("px: {{{keys}, proxy: '{}'}}\n", refusing.endpoint));
    for arguments in [&["api", "GET", "/v2/{project_id}/pools", "-P", "px"][..], &["obs", "ls", "-P", "px"]] {
        let output = home.run(arguments);
        let blamed = format!("through the proxy [{}] of profile [px] in [", refusing.endpoint);
        assert!(output.code == 1 && output.stderr.contains(&blamed), "{output:?}");
        assert!(
            output.stderr.contains("it refuses (") && output.stderr.contains("proxy authorization required)"),
            "{output:?}"
        );
    }
    assert_eq!(refusing.seen().len(), 2, "a login that is refused is not tried again");
    let busy = SmallServer::start(|_| (503, String::new(), String::new()));
    write_private(&home, &format!("px: {{{keys}, attempts: 2, endpoints: {{obs: '{}'}}}}\n", busy.endpoint));
    assert_eq!((home.run(&["obs", "ls", "-P", "px"]).code, busy.seen().len()), (1, 2));
    for (name, value, part) in
        [("MA_CLI_MODELARTS_ENDPOINT", "ftp://x", "not ftp://"), ("MA_CLI_OBS_ENDPOINT", "https://h/?q=1", "no query")]
    {
        let output = home.run_with(&["configure", "show"], &[(name, value)], "");
        assert!(output.code == 1 && output.stderr.contains(part) && output.stderr.contains(name), "{output:?}");
    }
    let output = home.run_with(&["configure", "show"], &[("MA_CLI_IAM_ENDPOINT", "http://iam.corp.example")], "");
    assert!(output.code == 0 && output.stderr.contains("is not encrypted"), "{output:?}");
}
