//! The secrets of every kind of credentials, against every place where this program writes.

use std::fs;

use serde_json::Value;

use crate::small_server::SmallServer;
use crate::support::{Home, LocalPlatform};

/// Commands whose output is a secret, as documented: only their traces are looked at.
const PRINTERS: [&str; 3] = ["token", "export", "secret"];

/// What one run wrote, but for what it was asked to print.
fn written(home: &Home, command: &[&str], variables: &[(&str, &str)]) -> String {
    let output = home.run_with(command, variables, "");
    let is_printer = command.iter().any(|word| PRINTERS.iter().any(|printer| word.ends_with(printer)));
    if is_printer { output.stderr } else { output.stdout + &output.stderr }
}

#[test]
fn secrets_are_in_no_output_trace_or_log() {
    let platform = LocalPlatform::start();
    let home = &platform.home;
    let login = ["-a", platform.field("account"), "-u", platform.field("username"), "-p", platform.field("password")];
    platform.configure("login", &login);
    let token = home.run(&["auth", "token", "-P", "login"]).stdout.trim().to_owned();
    let exported = home.run(&["configure", "export", "-P", "login", "-F", "json"]).stdout;
    let exported: Value = serde_json::from_str(&exported).unwrap();
    let mut secrets = vec![token, platform.field("password").to_owned(), platform.field("secret_key").to_owned()];
    for name in ["HUAWEICLOUD_SDK_SK", "HUAWEICLOUD_SDK_SECURITY_TOKEN"] {
        secrets.push(exported[name].as_str().unwrap().to_owned());
    }
    fs::write(home.path().join("file"), vec![b'x'; 600_000]).unwrap();
    let submit = ["ma-job", "submit", "--user-command", "true", "--train-instance-type", "modelarts.vm.cpu.1u"];
    let submit = [&submit[..], &["--env-variables", "WANDB_KEY=USERS0WNSECRET", "--query", "status.phase"]].concat();
    secrets.push("USERS0WNSECRET".to_owned());
    let commands: [&[&str]; 12] = [
        &["configure", "show"],
        &["configure", "test"],
        &["configure", "export"],
        &["auth", "status"],
        &["obs", "ls"],
        &["obs", "mb", "obs://bucket"],
        &["obs-copy", "file", "obs://bucket/", "--part-size", "256K"],
        &["obs-copy", "obs://bucket/file", "back"],
        &["obs", "stat", "obs://no-such-bucket/key"],
        &submit,
        &["ma-job", "get-job", "--query", "[].status.phase"],
        &["auth", "token"],
    ];
    let mut shown = String::new();
    for command in commands {
        for profile in ["login", "local"] {
            let command = [command, &["-D", "-P", profile]].concat();
            shown.push_str(&format!("\n$ {:?}\n{}", &command[..2], written(home, &command, &[])));
            // Without the cache every token and key travels again, and others come.
            let cache = home.path().join(".modelarts/cache");
            for entry in fs::read_dir(&cache).into_iter().flatten() {
                let document: Value = serde_json::from_slice(&fs::read(entry.unwrap().path()).unwrap()).unwrap();
                let places = ["/token", "/credential/secret", "/credential/securitytoken"];
                secrets.extend(places.iter().filter_map(|place| document.pointer(place)?.as_str().map(str::to_owned)));
            }
            let _ = fs::remove_dir_all(cache);
        }
    }
    for call in ["securitytokens", "/v3/auth/tokens", "/training-jobs", "partNumber=", " ms"] {
        assert!(shown.contains(call), "the traces show calls, {call} among them");
    }
    shown.push_str(&home.run(&["platform", "logs"]).stdout);
    assert!(secrets.len() > 20, "{}", secrets.len());
    for secret in &secrets {
        assert!(!shown.contains(secret.as_str()), "{secret} is shown:\n{shown}");
    }
}

/// What a cloud gives out, in the places where it does.
fn cloud() -> SmallServer {
    SmallServer::start(|request| {
        let path = request.split(' ').nth(1).unwrap_or_default();
        let end = "2999-01-01T00:00:00Z";
        match path.split('?').next().unwrap_or_default() {
            "/v3/auth/tokens" => {
                let body = format!(r#"{{"token": {{"expires_at": "{end}", "project": {{"id": "p1"}}}}}}"#);
                (201, "X-Subject-Token: LOGINTOKEN01\r\n".to_owned(), body)
            }
            "/v3.0/OS-CREDENTIAL/securitytokens" => {
                let keys = serde_json::json!({"access": "AGENCYKEY01", "secret": "AGENCYSECRET01",
                    "securitytoken": "AGENCYTOKEN01", "expires_at": end});
                (201, String::new(), serde_json::json!({"credential": keys}).to_string())
            }
            "/v2/manage/utils/secret" => {
                let login = "docker login -u cn-north-4@AGENCYKEY01 -p DOCKERSECRET01 swr.example";
                let body = serde_json::json!({"auths": {"swr.example": {"auth": "DOCKERSECRET02"}}, "api_key": "APIKEY01",
                    "private_key": "PRIVATEKEY01", "accessKeyId": "AGENCYKEY01"});
                (200, format!("x-swr-dockerlogin: {login}\r\nx-obs-security-token: AGENCYTOKEN01\r\n"), body.to_string())
            }
            "/v3/auth/domains" => (200, String::new(), r#"{"domains": [{"id": "d1", "name": "acme"}]}"#.to_owned()),
            "/" => (200, String::new(), "<ListAllMyBucketsResult><Buckets></Buckets></ListAllMyBucketsResult>".to_owned()),
            _ => (200, "Set-Cookie: session=C00KIE01\r\n".to_owned(), "{}".to_owned()),
        }
    })
}

#[test]
fn d2_1_what_a_cloud_gives_out_is_in_no_output_or_trace() {
    let home = Home::new();
    let text = "DEFAULT: {auth: PWD, account: acme, username: jo, password: LOGINPASSWORD01, region: cn-north-4}\n\
                agency:\n  auth: PWD\n  account: acme\n  username: jo\n  password: LOGINPASSWORD01\n  region: cn-north-4\n  \
                agency_name: helper\n  agency_domain: acme\n";
    fs::create_dir(home.path().join(".modelarts")).unwrap();
    fs::write(home.profile_file(), text).unwrap();
    let server = cloud();
    let names = ["IAM", "MODELARTS", "OBS", "SWR"].map(|name| format!("MA_CLI_{name}_ENDPOINT"));
    let variables: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), server.endpoint.as_str())).collect();
    let commands: [&[&str]; 8] = [
        &["configure", "show"],
        &["configure", "test"],
        &["configure", "export"],
        &["auth", "status"],
        &["auth", "token"],
        &["ma-job", "get-pool"],
        &["obs", "ls"],
        &["api", "POST", "/v2/manage/utils/secret"],
    ];
    let mut shown = String::new();
    for command in commands {
        for profile in ["DEFAULT", "agency"] {
            let command = [command, &["-D", "-P", profile]].concat();
            shown.push_str(&format!("\n$ {command:?}\n{}", written(&home, &command, &variables)));
            let _ = fs::remove_dir_all(home.path().join(".modelarts/cache"));
        }
    }
    for call in ["securitytokens", "/v3/auth/tokens", "x-swr-dockerlogin", "set-cookie"] {
        assert!(shown.contains(call), "the traces show calls, {call} among them:\n{shown}");
    }
    let seen = server.seen().join("\n");
    assert!(seen.contains("LOGINPASSWORD01") && seen.contains("LOGINTOKEN01") && seen.contains("Access=AGENCYKEY01"));
    for secret in [
        "LOGINPASSWORD01",
        "LOGINTOKEN01",
        "AGENCYKEY01",
        "AGENCYSECRET01",
        "AGENCYTOKEN01",
        "DOCKERSECRET0",
        "APIKEY01",
        "PRIVATEKEY01",
        "C00KIE01",
    ] {
        assert!(!shown.contains(secret), "{secret} is shown:\n{shown}");
    }
}

/// A panic's message may hold what a value's `Debug` prints.
#[test]
fn d2_1_a_panic_s_message_shows_no_secret() {
    const SECRET: &str = "SECRETKEY0123456789";
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
