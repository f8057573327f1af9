//! `ma-cli configure list|show|use|delete|export|test` and `ma-cli auth`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use crate::support::{Home, LocalPlatform};

fn two_profiles() -> Home {
    let home = Home::new();
    let text = "# mine\nDEFAULT:\n  auth: AKSK\n  access_key: AKDEFAULT01\n  secret_key: SKDEFAULT\n  region: cn-north-4\n\
                work: {auth: PWD, username: ann, password: PWWORK, region: cn-east-3, proxy: 'http://me:PWPROXY@proxy.example:1'}\n";
    fs::create_dir(home.path().join(".modelarts")).unwrap();
    fs::write(home.profile_file(), text).unwrap();
    fs::set_permissions(home.profile_file(), fs::Permissions::from_mode(0o600)).unwrap();
    home
}

fn json(home: &Home, arguments: &[&str], variables: &[(&str, &str)]) -> Value {
    let output = home.run_with(&[arguments, &["-F", "json"]].concat(), variables, "");
    assert_eq!(output.code, 0, "{output:?}");
    serde_json::from_str(&output.stdout).unwrap()
}

#[test]
fn profiles_are_listed_chosen_and_deleted() {
    let home = two_profiles();
    let current = |home: &Home| {
        let listed = json(home, &["configure", "list"], &[]);
        let current = listed.as_array().unwrap().iter().find(|profile| profile["current"] == true);
        current.map(|profile| profile["name"].as_str().unwrap().to_owned())
    };
    assert_eq!(current(&home).as_deref(), Some("DEFAULT"));
    assert_eq!(home.run(&["configure", "use", "work"]).code, 0);
    assert_eq!(current(&home).as_deref(), Some("work"));
    let region = json(&home, &["configure", "show"], &[])["settings"]["region"]["value"].clone();
    assert_eq!(region, "cn-east-3");
    let output = home.run(&["configure", "use", "wrok"]);
    assert!(output.code == 1 && output.stderr.contains("there is no profile [wrok]"), "{output:?}");

    let output = home.run(&["configure", "delete", "wrok", "-y"]);
    assert!(output.code == 1 && output.stderr.contains("configure list") && !output.stderr.contains("make it"), "{output:?}");

    let output = home.run_with(&["configure", "delete", "work"], &[], "n\n");
    assert!(output.code == 1 && fs::read_to_string(home.profile_file()).unwrap().contains("PWWORK"), "{output:?}");
    assert_eq!(home.run(&["configure", "delete", "work", "-y"]).code, 0);
    let text = fs::read_to_string(home.profile_file()).unwrap();
    assert!(text.starts_with("# mine\nDEFAULT:\n") && !text.contains("work"), "{text}");
    assert_eq!(current(&home).as_deref(), Some("DEFAULT"), "the choice went with the profile");
    let empty = Home::new();
    assert_eq!(json(&empty, &["configure", "list"], &[]), serde_json::json!([]));
}

#[test]
fn show_names_the_origin_of_each_value_and_no_secret() {
    let home = two_profiles();
    let variables =
        [("REGION_NAME", "la-south-2"), ("MA_CLI_OBS_ENDPOINT", "https://obs.example"), ("https_proxy", "http://u:PWENV@p:1")];
    let shown = json(&home, &["configure", "show"], &variables);
    let origin = |name: &str| shown["settings"][name]["origin"].as_str().unwrap_or_default().to_owned();
    assert_eq!(origin("region"), "environment variable REGION_NAME");
    assert_eq!(origin("obs_endpoint"), "environment variable MA_CLI_OBS_ENDPOINT");
    assert_eq!(origin("modelarts_endpoint"), "the region");
    assert_eq!(origin("attempts"), "default");
    assert!(origin("access_key").starts_with("profile [DEFAULT] in ["), "{shown}");
    assert_eq!(shown["settings"]["access_key"]["value"], "AKDE***");
    assert_eq!(shown["settings"]["https_proxy"]["value"], "http://***@p:1");
    for (arguments, variables) in [(vec!["configure", "show"], &variables[..]), (vec!["configure", "show", "-P", "work"], &[])]
    {
        let output = home.run_with(&arguments, variables, "");
        assert_eq!(output.code, 0, "{output:?}");
        for secret in ["SKDEFAULT", "AKDEFAULT01", "PWWORK", "PWPROXY", "PWENV"] {
            assert!(!(output.stdout.clone() + &output.stderr).contains(secret), "{secret}: {output:?}");
        }
    }
    let table = home.run(&["configure", "show"]).stdout;
    assert!(table.contains("credentials: ECS metadata") && table.contains("not asked"), "{table}");
}

#[test]
fn export_prints_lines_that_a_shell_reads_as_they_are() {
    let home = Home::new();
    let secret = "a'b\"$(touch ran)`c` \\";
    home.run_with(&["configure", "-auth", "AKSK", "-r", "cn-north-4"], &[], &format!("AKID\n{secret}\n"));
    let exported = home.run(&["configure", "export"]);
    assert_eq!(exported.code, 0, "{exported:?}");
    let script = format!("{}printf %s \"$HUAWEICLOUD_SDK_SK\"", exported.stdout);
    let output = std::process::Command::new("sh").arg("-c").arg(&script).current_dir(home.path()).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), secret);
    assert!(!home.path().join("ran").exists());
    assert_eq!(json(&home, &["configure", "export"], &[])["REGION_NAME"], "cn-north-4");
}

#[test]
fn a_wide_mode_is_warned_of_and_mended() {
    let home = two_profiles();
    fs::set_permissions(home.profile_file(), fs::Permissions::from_mode(0o644)).unwrap();
    let output = home.run(&["configure", "show"]);
    assert!(output.stderr.contains("[WARN]") && output.stderr.contains("ma-cli configure --fix"), "{output:?}");
    assert_eq!(home.run(&["configure", "--fix"]).code, 0);
    assert_eq!(fs::metadata(home.profile_file()).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!home.run(&["configure", "show"]).stderr.contains("[WARN]"));
}

/// One platform for all that needs one: starting it takes longest.
#[test]
fn settings_are_tried_and_people_log_in_and_out() {
    let platform = LocalPlatform::start();
    let home = &platform.home;
    let tests = json(home, &["configure", "test", "-P", "local"], &[]);
    let tests = tests.as_array().unwrap();
    assert!(tests.len() == 3 && tests.iter().all(|test| test["ok"] == true), "{tests:?}");
    platform.configure("wrong", &["-auth", "AKSK", "-ak", platform.field("access_key"), "-sk", "no"]);
    let output = home.run(&["configure", "test", "-P", "wrong", "-F", "json"]);
    assert!(output.code == 4 && output.stdout.matches("\"ok\": false").count() == 3, "{output:?}");

    // A login: status, token, temporary keys, an agency.
    let login = ["-a", platform.field("account"), "-u", platform.field("username"), "-p", platform.field("password")];
    platform.configure("login", &login);
    let status = json(home, &["auth", "status", "-P", "login"], &[]);
    assert_eq!(status["account"], platform.field("account"));
    assert!(status["expires_at"].is_string(), "{status}");
    let token = home.run(&["auth", "token", "-P", "login"]);
    assert!(token.code == 0 && token.stdout.trim().len() > 20, "{token:?}");
    assert_eq!(home.run(&["auth", "token", "-P", "local"]).code, 1, "keys have no token");
    let exported = json(home, &["configure", "export", "-P", "login"], &[]);
    assert!(exported["HUAWEICLOUD_SDK_SECURITY_TOKEN"].is_string(), "{exported}");

    let text = fs::read_to_string(home.profile_file()).unwrap();
    let agency = format!("  agency_name: modelarts_agency\n  agency_domain: {}\n", platform.field("account"));
    let missing = "  agency_name: nobody\n  agency_domain: x\n";
    for (extra, code) in [(agency.as_str(), 0), (missing, 4)] {
        fs::write(home.path().join("agency.yaml"), format!("{}\n{extra}", text.trim_end())).unwrap();
        let output = home.run(&["-C", "agency.yaml", "-P", "login", "configure", "export"]);
        assert_eq!(output.code, code, "{output:?}");
    }

    // Logging out takes the secret and the cached tokens away, and logging in asks for the secret alone.
    let cache = home.path().join(".modelarts/cache");
    let cached = || fs::read_dir(&cache).unwrap().filter_map(Result::ok).map(|entry| entry.file_name()).collect::<Vec<_>>();
    let before = cached().len();
    assert_eq!(home.run(&["auth", "logout", "-P", "login", "-y"]).code, 0);
    assert!(cached().len() + 2 <= before, "{:?}", cached());
    assert!(!fs::read_to_string(home.profile_file()).unwrap().contains(platform.field("password")));
    assert_eq!(home.run(&["auth", "status", "-P", "login"]).code, 4);
    let arguments = ["auth", "login", "-P", "login", "-a", platform.field("account"), "-u", platform.field("username")];
    let output = home.run_with(&arguments, &[], &format!("{}\n", platform.field("password")));
    assert!(output.code == 0 && output.stdout.contains(platform.field("account")), "{output:?}");
    assert!(!(output.stdout + &output.stderr).contains(platform.field("password")));
}
