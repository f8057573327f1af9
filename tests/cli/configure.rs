//! `ma-cli configure`: what is asked, what is written, what is never shown.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::support::Home;

#[test]
fn access_keys_are_asked_for_and_never_echoed() {
    let home = Home::new();
    let output = home.run_with(&["configure", "-auth", "AKSK", "-r", "cn-north-4"], &[], "AKID\nTOPSECRET\n");
    assert_eq!(output.code, 0, "{output:?}");
    assert!(!(output.stdout.clone() + &output.stderr).contains("TOPSECRET"), "{output:?}");
    assert_eq!(output.stdout, format!("[OK] Successfully saved profile [DEFAULT] to [{}]\n", home.profile_file().display()));
    let text = fs::read_to_string(home.profile_file()).unwrap();
    assert_eq!(text, "DEFAULT:\n  auth: AKSK\n  access_key: AKID\n  secret_key: TOPSECRET\n  region: cn-north-4\n");
    assert_eq!(fs::metadata(home.profile_file()).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(home.profile_file().parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn an_empty_answer_keeps_a_stored_secret() {
    let home = Home::new();
    home.run_with(&["configure", "--auth", "AKSK", "-r", "cn-north-4"], &[], "AKID\nOLD\n");
    let output = home.run_with(&["configure", "--auth", "AKSK"], &[], "NEW\n\n");
    assert_eq!(output.code, 0, "{output:?}");
    assert!(output.stderr.contains("access key [***]: "), "{output:?}");
    let text = fs::read_to_string(home.profile_file()).unwrap();
    assert!(text.contains("access_key: NEW\n  secret_key: OLD\n  region: cn-north-4\n"), "{text}");
}

#[test]
fn a_login_takes_an_optional_account() {
    let home = Home::new();
    let output = home.run_with(&["configure", "-P", "work", "-r", "cn-north-4"], &[], "\nann\npass: word #1\n");
    assert_eq!(output.code, 0, "{output:?}");
    let text = fs::read_to_string(home.profile_file()).unwrap();
    assert_eq!(text, "work:\n  auth: PWD\n  username: ann\n  password: \"pass: word #1\"\n  region: cn-north-4\n");
}

#[test]
fn the_end_of_input_names_the_missing_option_and_writes_nothing() {
    let home = Home::new();
    let output = home.run_with(&["configure", "-u", "ann", "-r", "cn-north-4"], &[], "");
    assert_eq!(output.code, 1, "{output:?}");
    assert!(output.stderr.contains("--password is missing"), "{output:?}");
    assert!(!home.profile_file().exists());
    let output = home.run_with(&["configure", "--no-input", "-auth", "AKSK"], &[], "a\nb\n");
    assert!(output.stderr.contains("--access-key is missing"), "{output:?}");
}

#[test]
fn d2_5_secrets_in_arguments_are_taken_with_a_warning() {
    let home = Home::new();
    let output = home.run(&["configure", "-auth=AKSK", "-ak", "AKID", "-sk", "-dash", "-r", "cn-nroth-4", "-pi", "p1"]);
    assert_eq!(output.code, 0, "{output:?}");
    assert!(output.stderr.contains("[WARN] a secret given as --secret-key can be seen"), "{output:?}");
    assert!(output.stderr.contains("[WARN] the region [cn-nroth-4] is not known"), "{output:?}");
    assert!(output.stderr.contains("did you mean [cn-north-4]?"), "{output:?}");
    let text = fs::read_to_string(home.profile_file()).unwrap();
    assert!(text.contains("secret_key: -dash\n"), "{text}");
    assert!(text.contains("project_id: p1\n"), "{text}");
}

#[test]
fn roma_is_refused_clearly() {
    let output = Home::new().run(&["configure", "--auth", "ROMA"]);
    assert_eq!(output.code, 1);
    assert!(output.stderr.contains("ROMA is not supported"), "{output:?}");
}

#[test]
fn region_and_project_come_from_the_environment() {
    let home = Home::new();
    let variables = [("REGION_NAME", "cn-east-3"), ("PROJECT_ID", "p9")];
    let output = home.run_with(&["configure", "-auth", "AKSK", "-ak", "a", "-sk", "b"], &variables, "");
    assert_eq!(output.code, 0, "{output:?}");
    let text = fs::read_to_string(home.profile_file()).unwrap();
    assert!(text.ends_with("region: cn-east-3\n  project_id: p9\n"), "{text}");
}

#[test]
fn a_file_that_is_no_profile_file_is_left_alone() {
    let home = Home::new();
    let path = home.path().join("notes.yaml");
    fs::write(&path, "- just\n- a list\n").unwrap();
    let output = home.run(&["-C", "notes.yaml", "configure", "-auth", "AKSK", "-ak", "a", "-sk", "b"]);
    assert_eq!(output.code, 1, "{output:?}");
    assert!(output.stderr.contains("expected a mapping of profile names"), "{output:?}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "- just\n- a list\n");
}

#[test]
fn json_format_keeps_standard_output_for_documents() {
    let home = Home::new();
    let output = home.run(&["configure", "-auth", "AKSK", "-ak", "a", "-sk", "b", "-r", "cn-north-4", "-F", "json"]);
    assert_eq!((output.stdout.as_str(), output.code), ("", 0));
    let output = home.run(&["-F", "json", "configure", "--auth", "ROMA"]);
    let line: serde_json::Value = serde_json::from_str(output.stderr.trim()).unwrap();
    assert_eq!(line["error"]["kind"], "unsupported");
}
