//! `ma-cli doctor`: every line with its remedy, without a network too, within its time.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::fake_service::{FakeService, reply};
use crate::support::Home;

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
