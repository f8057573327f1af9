//! Credentials from the surroundings, with fakes of the metadata service and of a container's: what is used, and what the report
//! says of each place.

use serde_json::Value;

use crate::small_server::{SmallServer, keys};
use crate::support::Home;

/// A metadata service with tokens, which gives these keys.
fn metadata(access: &'static str) -> SmallServer {
    SmallServer::start(move |request| {
        if request.starts_with("PUT /meta-data/latest/api/token ") {
            (200, String::new(), "METATOKEN".to_owned())
        } else if request.contains("METATOKEN") && request.starts_with("GET /openstack/latest/securitykey ") {
            (200, String::new(), keys(access))
        } else {
            (401, String::new(), String::new())
        }
    })
}

fn steps(home: &Home, variables: &[(&str, &str)]) -> Vec<(String, String, String)> {
    let output = home.run_with(&["configure", "show", "-F", "json"], variables, "");
    assert_eq!(output.code, 0, "{output:?}");
    let document: Value = serde_json::from_str(&output.stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let steps = document["credentials"].as_array().unwrap().iter();
    steps.map(|step| (text(&step["link"]), text(&step["outcome"]), text(&step["reason"]))).collect()
}

#[test]
fn the_chain_ends_at_the_metadata_service_and_names_each_step() {
    let home = Home::new();
    let server = metadata("ECSKEY");
    let variables = [("MA_CLI_METADATA_ENDPOINT", server.endpoint.as_str()), ("HTTP_PROXY", "http://192.0.2.1:9")];
    let output = home.run_with(&["configure", "export", "-D"], &variables, "");
    assert_eq!(output.code, 0, "{output:?}");
    assert!(output.stdout.contains("export HUAWEICLOUD_SDK_AK=ECSKEY\n"), "{output:?}");
    assert!(output.stdout.contains("export HUAWEICLOUD_SDK_SECURITY_TOKEN=AMBIENTTOKEN\n"), "{output:?}");
    for secret in ["AMBIENTSECRET", "AMBIENTTOKEN", "METATOKEN", "ECSKEY"] {
        assert!(!output.stderr.contains(secret), "the trace shows {secret}: {}", output.stderr);
    }
    assert!(output.stderr.contains("securitykey") && output.stderr.contains("after "), "{}", output.stderr);
    let shown = steps(&home, &variables);
    let outcomes: Vec<(&str, &str)> = shown.iter().map(|step| (step.0.as_str(), step.1.as_str())).collect();
    assert_eq!(
        outcomes,
        [
            ("options", "passed_over"),
            ("environment", "passed_over"),
            ("profile", "passed_over"),
            ("notebook", "passed_over"),
            ("ecs", "used")
        ]
    );
    assert_eq!(shown[1].2, "HUAWEICLOUD_SDK_AK is not set");
}

#[test]
fn a_container_comes_before_the_server_and_a_profile_before_both() {
    let home = Home::new();
    let ecs = metadata("ECSKEY");
    let container = SmallServer::start(|request| {
        let status = if request.to_ascii_lowercase().contains("authorization: podtoken\r\n") { 200 } else { 401 };
        (status, String::new(), keys("PODKEY"))
    });
    let file = home.path().join("token");
    std::fs::write(&file, "PODTOKEN\n").unwrap();
    let uri = format!("{}/credentials", container.endpoint);
    let variables = [
        ("MA_CLI_METADATA_ENDPOINT", ecs.endpoint.as_str()),
        ("HC_CONTAINER_CREDENTIALS_FULL_URI", uri.as_str()),
        ("HC_CONTAINER_AUTHORIZATION_TOKEN_FILE", file.to_str().unwrap()),
    ];
    let output = home.run_with(&["configure", "export"], &variables, "");
    assert!(output.stdout.contains("export HUAWEICLOUD_SDK_AK=PODKEY\n"), "{output:?}");
    assert!(ecs.seen().is_empty());
    std::fs::write(&file, "WRONG\n").unwrap();
    let shown = steps(&home, &variables);
    assert_eq!((shown[3].1.as_str(), shown[4].1.as_str()), ("failed", "used"), "{shown:?}");

    home.run(&["configure", "-auth", "AKSK", "-ak", "OWN", "-sk", "s", "-r", "cn-north-4"]);
    let asked = container.seen().len() + ecs.seen().len();
    let output = home.run_with(&["configure", "export"], &variables, "");
    assert!(output.stdout.contains("export HUAWEICLOUD_SDK_AK=OWN\n"), "{output:?}");
    assert_eq!(steps(&home, &variables)[3].1, "not_asked");
    assert_eq!(container.seen().len() + ecs.seen().len(), asked, "nobody is asked for keys that are not needed");
}

#[test]
fn where_there_is_nothing_the_error_tells_each_place() {
    let home = Home::new();
    let broken = SmallServer::start(|_| (500, String::new(), String::new()));
    let variables = [("MA_CLI_METADATA_ENDPOINT", broken.endpoint.as_str()), ("REGION_NAME", "cn-north-4")];
    let output = home.run_with(&["ma-job", "get-job"], &variables, "");
    assert_eq!(output.code, 4, "{output:?}");
    let places = ["looked for in options: ", "environment: HUAWEICLOUD_SDK_AK", "profile: there is no profile [DEFAULT]"];
    for place in places.iter().chain(&["notebook agency: neither", "ECS metadata: ", "status 500"]) {
        assert!(output.stderr.contains(place), "{place}: {output:?}");
    }
}

#[test]
fn a_login_tries_the_password_and_not_a_token_that_it_gave_before() {
    let home = Home::new();
    let iam = SmallServer::start(|request| {
        if request.starts_with("POST /v3/auth/tokens") {
            let body = r#"{"token": {"expires_at": "2999-01-01T00:00:00Z", "project": {"id": "p1"}}}"#;
            (201, "X-Subject-Token: T0KEN\r\n".to_owned(), body.to_owned())
        } else {
            (200, String::new(), r#"{"domains": [{"id": "d1", "name": "acme"}]}"#.to_owned())
        }
    });
    let tokens = || iam.seen().iter().filter(|request| request.starts_with("POST /v3/auth/tokens")).count();
    let variables = [("MA_CLI_IAM_ENDPOINT", iam.endpoint.as_str())];
    for asked in 1..3 {
        let login = ["auth", "login", "-a", "acme", "-u", "jo", "-p", "pw", "-r", "cn-north-4"];
        let output = home.run_with(&login, &variables, "");
        assert_eq!((output.code, tokens()), (0, asked), "{output:?}");
        assert_eq!(home.run_with(&["auth", "status"], &variables, "").code, 0);
        assert_eq!(tokens(), asked, "others use the token that is kept");
    }
}

#[test]
fn a_login_writes_only_what_is_not_refused() {
    let home = Home::new();
    let iam = SmallServer::start(|request| {
        if request.starts_with("POST /v3/auth/tokens") && !request.contains("RIGHT") {
            (401, String::new(), r#"{"error": {"message": "The username or password is wrong.", "code": 401}}"#.to_owned())
        } else if request.contains("FORBIDDEN") {
            (403, String::new(), r#"{"error": {"message": "You are not authorized to do this.", "code": 403}}"#.to_owned())
        } else if request.starts_with("POST /v3/auth/tokens") {
            let body = r#"{"token": {"expires_at": "2999-01-01T00:00:00Z", "project": {"id": "p1"}}}"#;
            (201, "X-Subject-Token: T0KEN\r\n".to_owned(), body.to_owned())
        } else {
            (200, String::new(), r#"{"domains": [{"id": "d1", "name": "acme"}]}"#.to_owned())
        }
    });
    let here = ("MA_CLI_IAM_ENDPOINT", iam.endpoint.as_str());
    let written = || std::fs::read_to_string(home.profile_file()).unwrap_or_default();
    let login = |options: &[&str], variables: &[(&str, &str)], password: &str| {
        home.run_with(&[&["auth", "login"], options].concat(), variables, &format!("{password}\n"))
    };
    let user = ["-a", "acme", "-u", "jo", "-r", "cn-north-4"];
    let output = login(&user, &[here], "RIGHT");
    assert!(output.code == 0 && output.stdout.starts_with("[OK] Successfully saved"), "{output:?}");
    let right = written();
    assert!(right.contains("password: RIGHT"), "{right}");

    let output = login(&[], &[here], "typo");
    assert_eq!((output.code, output.stdout.as_str(), written().as_str()), (4, "", right.as_str()), "{output:?}");
    assert!(output.stderr.contains("nothing was saved; try again with: ma-cli auth login\n"), "{output:?}");
    assert!(!output.stderr.contains("check the credentials with"), "{output:?}");
    assert_eq!(home.run_with(&["auth", "status"], &[here], "").code, 0);

    // Credentials of the environment would be tried in place of those that are given, and used in place of them.
    let keys = [here, ("HUAWEICLOUD_SDK_AK", "a"), ("HUAWEICLOUD_SDK_SK", "b")];
    let output = login(&user, &keys, "other");
    assert_eq!((output.code, output.stdout.as_str(), written().as_str()), (1, "", right.as_str()), "{output:?}");
    assert!(output.stderr.contains("environment variable HUAWEICLOUD_SDK_AK"), "{output:?}");
    let named = [&["-P", "work"], &user[..]].concat();
    let asked = iam.seen().len();
    write_iam(&home, &iam.endpoint);
    assert_eq!(login(&named, &keys[1..], "WRONG").code, 4);
    assert_eq!(login(&named, &keys[1..], "RIGHT").code, 0);
    assert!(iam.seen()[asked..].iter().any(|request| request.contains("\"WRONG\"")), "what was given is tried");

    // A right that is missing says nothing against the password.
    let output = login(&[], &[here], "RIGHT but FORBIDDEN");
    assert!(output.code == 0 && output.stderr.contains("not authorized"), "{output:?}");
    assert!(written().contains("FORBIDDEN"), "{}", written());
    // Where nobody can say, it is kept.
    let output = login(&[], &[("MA_CLI_IAM_ENDPOINT", "http://127.0.0.1:9")], "later");
    assert!(output.code == 0 && output.stderr.contains("[WARN] the credentials could not be tried"), "{output:?}");
    assert!(written().contains("password: later"), "{}", written());
}

/// Gives the profile `work` an endpoint of its own.
fn write_iam(home: &Home, endpoint: &str) {
    let text = std::fs::read_to_string(home.profile_file()).unwrap();
    std::fs::write(home.profile_file(), format!("{text}work: {{endpoints: {{iam: '{endpoint}'}}}}\n")).unwrap();
}

#[test]
fn half_a_key_and_one_that_has_ended_are_no_credentials_and_what_is_used_is_shown() {
    let home = Home::new();
    let half = [("OBS_ACCESS_KEY_ID", "a")];
    let notebook = steps(&home, &half).swap_remove(3);
    assert_eq!(
        (notebook.1.as_str(), notebook.2.as_str()),
        ("failed", "OBS_ACCESS_KEY_ID is set, but not OBS_SECRET_ACCESS_KEY")
    );

    let answer = |end: &str| format!(r#"{{"credential": {{"access": "OLD", "secret": "s", "securitytoken": "t"{end}}}}}"#);
    for (end, reason) in [(r#", "expires_at": "2020-01-01T00:00:00Z""#, "gave ended at 2020-01-01"), ("", "with its end")] {
        let body = answer(end);
        let old = SmallServer::start(move |request| {
            (if request.starts_with("PUT") { 404 } else { 200 }, String::new(), body.clone())
        });
        let ecs = steps(&home, &[("MA_CLI_METADATA_ENDPOINT", &old.endpoint)]).swap_remove(4);
        assert!(ecs.1 == "failed" && ecs.2.contains(reason), "{ecs:?}");
    }

    let server = metadata("ECSKEY");
    let output = home.run_with(&["configure", "show", "-F", "json"], &[("MA_CLI_METADATA_ENDPOINT", &server.endpoint)], "");
    let shown: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(shown["settings"]["access_key"], serde_json::json!({"value": "***", "origin": "ECS metadata"}));
    assert!(
        shown["settings"]["expires_at"]["value"].is_string() && shown["settings"]["security_token"]["value"] == "***",
        "{shown}"
    );
}

#[test]
fn who_is_not_logged_in_is_told_so_first() {
    let home = Home::new();
    for verb in ["status", "token"] {
        let output = home.run(&["auth", verb]);
        assert!(output.code == 4 && output.stderr.contains("log in with: ma-cli auth login"), "{output:?}");
    }
    // A login asks for the region where none is known, and writes nothing without one.
    let login = ["auth", "login", "--auth", "AKSK", "-ak", "a", "-sk", "b"];
    let output = home.run(&login);
    assert!(output.code == 1 && output.stderr.contains("--region is missing"), "{output:?}");
    let output = home.run_with(&login, &[], "evil.example/#\n");
    assert!(
        output.code == 2 && output.stderr.contains("region: ") && output.stderr.contains("is no name of a region"),
        "{output:?}"
    );
    assert!(!home.profile_file().exists());
}
