//! `ma-cli configure list|show|use|delete|export|test` and `ma-cli auth`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use crate::small_server::{SmallServer, keys};
use crate::support::{Home, LocalPlatform, Output};

fn two_profiles() -> Home {
    let home = Home::new();
    let text = "# mine\nDEFAULT:\n  auth: AKSK\n  access_key: AKDEFAULT01\n  secret_key: SKDEFAULT\n  region: cn-north-4\n\
                work: {auth: PWD, username: ann, password: PWWORK, region: cn-east-3, proxy: 'http://me:PWPROXY@proxy.example:1'}\n";
    write_private(&home, text);
    home
}

/// All that a run printed.
fn printed(output: &Output) -> String {
    output.stdout.clone() + &output.stderr
}

fn write_private(home: &Home, text: &str) {
    fs::create_dir_all(home.path().join(".modelarts")).unwrap();
    fs::write(home.profile_file(), text).unwrap();
    fs::set_permissions(home.profile_file(), fs::Permissions::from_mode(0o600)).unwrap();
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
    assert_eq!(origin("modelarts_endpoint"), "table of regions");
    assert_eq!((origin("store"), shown["settings"]["attempts"]["value"].clone()), ("default".to_owned(), 4.into()));
    assert_eq!(shown["settings"]["project_id"], serde_json::json!({"value": null, "origin": ""}));
    let guessed = json(&home, &["configure", "show"], &[("REGION_NAME", "nowhere-9")]);
    assert_eq!(guessed["settings"]["iam_endpoint"]["origin"], "guessed from region [nowhere-9]");
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
fn d3_5_export_prints_lines_that_a_shell_reads_as_they_are() {
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
fn d2_6_a_wide_mode_is_warned_of_and_mended() {
    let home = two_profiles();
    fs::set_permissions(home.profile_file(), fs::Permissions::from_mode(0o644)).unwrap();
    let output = home.run(&["configure", "show"]);
    assert!(output.stderr.contains("[WARN]") && output.stderr.contains("ma-cli configure --fix"), "{output:?}");
    assert_eq!(home.run(&["configure", "--fix"]).code, 0);
    assert_eq!(fs::metadata(home.profile_file()).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!home.run(&["configure", "show"]).stderr.contains("[WARN]"));
    // Who may write to the folder may put another file there.
    let folder = home.profile_file().parent().unwrap().to_owned();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
    assert!(home.run(&["configure", "list"]).stderr.contains("ma-cli configure --fix"));
    assert_eq!(home.run(&["configure", "--fix"]).code, 0);
    assert!(!home.run(&["configure", "list"]).stderr.contains("[WARN]"));
}

#[test]
fn nobody_stands_in_for_a_profile_that_is_logged_out() {
    let home = two_profiles();
    let other = [("HUAWEICLOUD_SDK_AK", "OTHERKEY0001"), ("HUAWEICLOUD_SDK_SK", "OTHERSECRET")];
    for (profile, missing, variables) in [("work", "password", &other[..]), ("DEFAULT", "secret_key", &[])] {
        // The second time there is nothing left to forget.
        for _ in 0..2 {
            let output = home.run(&["auth", "logout", "-P", profile, "-y"]);
            assert_eq!(output.code, 0, "{output:?}");
        }
        let named = if profile == "DEFAULT" { vec![] } else { vec!["-P", profile] };
        let output = home.run_with(&[&["configure", "show"], &named[..]].concat(), variables, "");
        assert!(output.code == 0 && !printed(&output).contains("OTHE"), "{output:?}");
        assert!(output.stdout.contains("(logged out)"), "{output:?}");
        for command in [&["configure", "export"][..], &["auth", "status"], &["ma-job", "get-job"], &["obs", "ls"]] {
            let output = home.run_with(&[command, &named].concat(), variables, "");
            assert_eq!(output.code, 4, "{output:?}");
            assert!(output.stderr.contains(&format!("has no {missing}: it is logged out")), "{output:?}");
            let hint = format!("log in with: ma-cli auth login{}", if named.is_empty() { "" } else { " -P work" });
            assert!(output.stderr.contains(&hint), "{output:?}");
        }
        let output = home.run_with(&[&["doctor", "--offline"], &named[..]].concat(), variables, "");
        assert!(output.code == 1 && output.stdout.contains("logged out"), "{output:?}");
    }
}

/// How many files hold tokens or temporary keys.
fn kept_tokens(home: &Home) -> usize {
    let files = fs::read_dir(home.path().join(".modelarts/cache")).into_iter().flatten();
    let names = files.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("token-") || name.starts_with("keys-")).count()
}

#[test]
fn a_logout_forgets_whatever_else_is_wrong() {
    let home = Home::new();
    let bus = [("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere/bus")];
    for profile in [
        "auth: PWD, username: ann, password: TOPSECRET",
        "auth: AKSK, access_key: a, secret_key: TOPSECRET, security_token: TOPSECRET",
        "auth: AKSK, access_key: a, secret_key: TOPSECRET, attempts: nonsense, agency_name: x",
        "auth: NONSENSE, username: ann, password: TOPSECRET",
        "store: keyring, auth: AKSK, access_key: a, secret_key: TOPSECRET",
        "store: keyring, auth: AKSK, access_key: a",
    ] {
        for verb in [&["auth", "logout", "-P", "work", "-y"], &["configure", "delete", "work", "-y"][..]] {
            write_private(&home, &format!("work: {{{profile}}}\n"));
            let cache = home.path().join(".modelarts/cache");
            fs::create_dir_all(&cache).unwrap();
            fs::write(cache.join("token-0a.json"), "{}").unwrap();
            fs::write(cache.join("keys-0b.json"), "{}").unwrap();
            let output = home.run_with(verb, &bus, "");
            let text = fs::read_to_string(home.profile_file()).unwrap();
            assert!(!text.contains("TOPSECRET"), "{profile}: {output:?}");
            assert_eq!(kept_tokens(&home), 0, "{profile}");
            // What a keyring may still hold is no success, and the profile stays to say where it is.
            let is_kept = profile.starts_with("store");
            assert_eq!((output.code, output.stdout.contains("[OK]")), (i32::from(is_kept), !is_kept), "{profile}: {output:?}");
            assert_eq!(output.stderr.contains("may still be there: the keyring cannot be reached"), is_kept, "{output:?}");
            assert_eq!(text.contains("logged_out: true"), is_kept, "{text}");
            if is_kept {
                let output = home.run_with(&["auth", "status", "-P", "work"], &bus, "");
                assert!(output.code == 4 && output.stderr.contains("it is logged out"), "{output:?}");
                // Where there is no keyring any more, saying it once more has to be enough.
                let output = home.run_with(&["configure", "delete", "work", "-y"], &bus, "");
                assert!(output.code == 0 && output.stderr.contains("[WARN]"), "{output:?}");
                assert!(!fs::read_to_string(home.profile_file()).unwrap().contains("work"), "{output:?}");
            }
        }
    }
    let output = home.run_with(&["auth", "logout", "-y"], &[("HUAWEICLOUD_SDK_AK", "a")], "");
    assert!(output.code == 1 && output.stderr.contains("environment variable HUAWEICLOUD_SDK_AK"), "{output:?}");
    let output = home.run(&["auth", "logout", "-P", "wrok", "-y"]);
    assert!(output.code == 1 && output.stderr.contains("there is no profile [wrok]"), "{output:?}");
}

#[test]
fn an_export_leaves_nothing_of_the_one_before() {
    let home = Home::new();
    write_private(
        &home,
        "a: {access_key: AKA, secret_key: SKA, security_token: STA, project_id: PA, region: cn-north-4, endpoints: {obs: 'https://obs.a'}}\n\
         b: {access_key: AKB, secret_key: SKB, region: cn-east-3}\n",
    );
    let script = r#"
        PROJECT_ID=PA; export PROJECT_ID
        eval "$("$0" configure export -P a)"; printf '%s %s\n' "$HUAWEICLOUD_SDK_SECURITY_TOKEN" "$MA_CLI_OBS_ENDPOINT"
        eval "$("$0" configure export -P b)"; env | grep -E '^(HUAWEICLOUD|REGION|PROJECT|MA_CLI_.*ENDPOINT)' | sort"#;
    let command = home.command();
    let mut shell = std::process::Command::new("sh");
    shell.args(["-euc", script]).arg(command.get_program()).env_clear().current_dir(home.path());
    shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = shell.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).unwrap();
    let expected = "STA https://obs.a\nHUAWEICLOUD_SDK_AK=AKB\nHUAWEICLOUD_SDK_SK=SKB\nMA_CLI_METADATA_ENDPOINT=off\nREGION_NAME=cn-east-3\n";
    assert_eq!(said, expected);

    // Fish reads lines of its own; of those for other shells it keeps at least nothing of another account.
    for option in ["--shell=fish", "--shell=posix"] {
        let program = crate::support::binary().display().to_string();
        let script =
            format!("for p in a b; {program} configure export -P $p {option} | source; end; env | grep ^HUAWEI | sort");
        let mut fish = std::process::Command::new("fish");
        fish.args(["--no-config", "-c", &script]).env_clear().current_dir(home.path());
        fish.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let said = String::from_utf8(fish.output().unwrap().stdout).unwrap();
        let said: Vec<&str> = said.lines().filter(|line| !line.ends_with('=')).collect();
        assert_eq!(said, ["HUAWEICLOUD_SDK_AK=AKB", "HUAWEICLOUD_SDK_SK=SKB"], "{option}");
    }
}

#[test]
fn an_agency_is_not_assumed_with_its_own_exported_keys() {
    let home = Home::new();
    let iam = SmallServer::start(|_| (201, String::new(), keys("AGENCYKEY")));
    let text = format!(
        "DEFAULT: {{access_key: AK, secret_key: SK, project_id: p1, agency_name: builder, agency_domain: acme, region: cn-north-4, endpoints: {{iam: '{}'}}}}\n",
        iam.endpoint
    );
    write_private(&home, &text);
    let exported = json(&home, &["configure", "export"], &[]);
    let exported = exported.as_object().unwrap().iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap()));
    let exported: Vec<(&str, &str)> = exported.collect();
    assert!(exported.contains(&("HUAWEICLOUD_SDK_AK", "AGENCYKEY")) && iam.seen().len() == 1, "{exported:?}");
    let again = json(&home, &["configure", "export"], &exported);
    assert_eq!((&again["HUAWEICLOUD_SDK_AK"], iam.seen().len()), (&Value::from("AGENCYKEY"), 1));
}

#[test]
fn a_change_of_mode_leaves_no_other_secret() {
    let home = two_profiles();
    assert_eq!(home.run_with(&["configure", "-P", "work", "-auth", "AKSK"], &[], "AKNEW\nSKNEW\n").code, 0);
    let text = fs::read_to_string(home.profile_file()).unwrap();
    assert!(text.contains("secret_key: SKNEW") && !text.contains("PWWORK"), "{text}");
    let text = text.replace("  secret_key: SKNEW", "  secret_key: SKNEW\n  security_token: STNEW");
    fs::write(home.profile_file(), text).unwrap();
    assert_eq!(home.run_with(&["configure", "-P", "work", "-u", "bob"], &[], "\nPWNEW\n").code, 0);
    let text = fs::read_to_string(home.profile_file()).unwrap();
    assert!(text.contains("password: PWNEW") && !text.contains("SKNEW") && !text.contains("STNEW"), "{text}");
}

#[test]
fn a_login_asks_only_for_what_the_profile_does_not_say() {
    let home = Home::new();
    let text = "pw: {auth: PWD, account: acme, username: ann, region: cn-north-4}\n\
                ak: {auth: AKSK, access_key: AKOLD, region: cn-north-4, project_id: p1}\n";
    write_private(&home, text);
    // Nobody listens there, so that the trial after the login fails.
    let away = [("MA_CLI_IAM_ENDPOINT", "http://127.0.0.1:9")];
    for (profile, question, kept) in [
        ("pw", "password: \n", "  account: acme\n  username: ann\n  region: cn-north-4\n  password: NEW\n"),
        ("ak", "secret key: \n", "  access_key: AKOLD\n  region: cn-north-4\n  project_id: p1\n  secret_key: NEW\n"),
    ] {
        let output = home.run_with(&["auth", "login", "-P", profile], &away, "NEW\n");
        assert!(output.stdout.contains("[OK] Successfully saved"), "{output:?}");
        assert!(output.stderr.starts_with(question), "{output:?}");
        assert!(fs::read_to_string(home.profile_file()).unwrap().contains(kept), "{output:?}");
    }
    // Enter keeps what is stored, and another user may have another account.
    let output = home.run_with(&["configure", "-P", "pw"], &[], "\n\n\n");
    assert!(
        output.code == 0 && output.stderr.starts_with("account [acme]: \nusername [ann]: \npassword [***]: "),
        "{output:?}"
    );
    assert!(fs::read_to_string(home.profile_file()).unwrap().contains("  account: acme\n  username: ann\n"));
    home.run_with(&["auth", "login", "-P", "pw", "-u", "bob"], &away, "other\nPW\n");
    assert!(fs::read_to_string(home.profile_file()).unwrap().contains("  account: other\n  username: bob\n"));
    home.run_with(&["configure", "-P", "pw", "-a", "", "-u", "bob", "-p", "x"], &[], "");
    assert!(!fs::read_to_string(home.profile_file()).unwrap().contains("account"));
    // The kind of credentials follows what is given.
    home.run_with(&["auth", "login", "-P", "ak", "-u", "bob"], &away, "\nPW\n");
    assert!(fs::read_to_string(home.profile_file()).unwrap().contains("ak:\n  auth: PWD\n"));
}

#[test]
fn a_choice_that_does_not_hold_is_told_of_and_hints_keep_the_file() {
    let home = two_profiles();
    let chosen = home.path().join(".modelarts/current-profile");
    let configure = ["configure", "-auth", "AKSK", "-ak", "a", "-sk", "b", "-r", "cn-north-4"];
    for (profile, commands) in [
        ("local", &[&["configure", "show"][..], &configure, &["auth", "logout", "-y"]][..]),
        ("gone", &[&["configure", "show"]]),
    ] {
        fs::write(&chosen, profile).unwrap();
        for command in commands {
            let output = home.run(command);
            assert!(output.code != 0 && output.stderr.contains("ma-cli configure use DEFAULT"), "{command:?}: {output:?}");
        }
    }
    fs::remove_file(&chosen).unwrap();

    let other = home.path().join("u.yaml");
    fs::write(&other, "pw: {region: cn-north-4}\n").unwrap();
    fs::set_permissions(&other, fs::Permissions::from_mode(0o644)).unwrap();
    let output = home.run(&["-C", "u.yaml", "configure", "use", "pw"]);
    assert!(output.code == 2 && output.stderr.contains("MA_CLI_CONFIG_FILE"), "{output:?}");
    let output = home.run_with(&["configure", "use", "work"], &[("MA_CLI_CONFIG_FILE", "u.yaml")], "");
    assert!(output.code == 1 && output.stderr.contains("no choice holds") && !chosen.exists(), "{output:?}");
    let output = home.run_with(&["configure", "use", "work"], &[("MA_CLI_PROFILE", "DEFAULT")], "");
    assert!(output.code == 0 && output.stdout.contains("where MA_CLI_PROFILE is not set"), "{output:?}");
    let output = home.run(&["-C", "u.yaml", "-P", "pw", "configure", "show"]);
    assert!(output.stderr.contains("mend it with: ma-cli configure -C u.yaml -P pw --fix"), "{output:?}");
    let output = home.run(&["-C", "none.yaml", "configure", "show"]);
    assert!(output.stderr.contains("make it with: ma-cli configure -C none.yaml\n"), "{output:?}");
}

#[test]
fn names_and_keys_are_taken_as_they_are_meant() {
    let home = Home::new();
    for name in ["", "esc\u{1b}[31mred\nline"] {
        let output = home.run(&["configure", "-P", name, "-auth", "AKSK", "-ak", "a", "-sk", "b", "-r", "cn-north-4"]);
        assert!(output.code == 2 && !output.stderr.contains('\u{1b}'), "{output:?}");
    }
    for region in ["evil.example/#", "a@b", "cn north"] {
        let output = home.run(&["configure", "-auth", "AKSK", "-ak", "a", "-sk", "b", "-r", region]);
        assert!(output.code == 2 && output.stderr.contains("is no name of a region"), "{output:?}");
    }
    assert!(!home.profile_file().exists());

    let configure = ["configure", "-auth", "AKSK", "-r", "CN-NORTH-4"];
    let text = || fs::read_to_string(home.profile_file()).unwrap();
    home.run_with(&[&configure[..], &["--security-token", "ST1"]].concat(), &[], "  AK2  \n SK2 \r\n");
    let whole = "DEFAULT:\n  auth: AKSK\n  access_key: AK2\n  secret_key: SK2\n  security_token: ST1\n  region: cn-north-4\n";
    assert_eq!(text(), whole);
    // Blanks are no keys: what is stored stays.
    home.run_with(&configure, &[], "  \n \n");
    assert_eq!(text(), whole);
    // The token stays with its keys and goes with others.
    home.run_with(&configure, &[], "\n\n");
    assert_eq!(text(), whole);
    home.run_with(&configure, &[], "\nSK3\n");
    assert!(text().contains("SK3") && !text().contains("ST1"), "{}", text());
    // The same region in other letters is no other region.
    fs::write(home.profile_file(), "DEFAULT: {auth: AKSK, access_key: a, secret_key: b, region: CN-NORTH-4, project_id: p1}\n")
        .unwrap();
    home.run_with(&configure, &[], "\n\n");
    assert!(text().contains("project_id: p1"), "{}", text());
    // Another cloud may name its regions as it likes, where its endpoints are given.
    let elsewhere = [("REGION_NAME", "my_region"), ("MA_CLI_MODELARTS_ENDPOINT", "http://127.0.0.1:9")];
    let output = home.run_with(&["ma-job", "get-job"], &elsewhere, "");
    assert!(output.stderr.contains("Connection refused"), "{output:?}");
}

/// Whatever verb comes first, the folder is made for its owner alone.
#[test]
fn d2_7_choosing_a_profile_makes_a_private_folder() {
    let home = Home::new();
    fs::create_dir(home.path().join("platform")).unwrap();
    fs::write(home.path().join("platform/client.yaml"), "local: {region: cn-north-4}\n").unwrap();
    let script = r#"umask 000; MA_CLI_PLATFORM_DIR=platform "$0" configure use local"#;
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", script]).arg(crate::support::binary()).env_clear().env("HOME", home.path()).current_dir(home.path());
    assert!(shell.output().unwrap().status.success());
    for path in [".modelarts", ".modelarts/current-profile"] {
        assert_eq!(fs::metadata(home.path().join(path)).unwrap().permissions().mode() & 0o077, 0, "{path}");
    }
}

#[test]
fn neither_the_password_of_an_address_nor_a_whole_key_id_is_shown() {
    let home = Home::new();
    let server = SmallServer::start(|_| (404, String::new(), "{}".to_owned()));
    let address = server.endpoint.replace("http://", "http://user:EPPASS@");
    let endpoints: Vec<String> = ["modelarts", "obs", "iam"].iter().map(|service| format!("{service}: '{address}'")).collect();
    write_private(
        &home,
        &format!(
            "DEFAULT: {{access_key: AKDEFAULT01, secret_key: SKDEFAULT, region: cn-north-4, project_id: p1, endpoints: {{{}}}}}\n",
            endpoints.join(", ")
        ),
    );
    // A port that is none: such an address is told of in the error.
    let broken = [
        ("MA_CLI_MODELARTS_ENDPOINT", "https://user:EPPASS@h:99999"),
        ("MA_CLI_IAM_ENDPOINT", "https://user:EP/PASS@h:99999"),
        ("MA_CLI_OBS_ENDPOINT", "user:EPPASS@h:99999"),
        ("HUAWEICLOUD_SDK_AK", "AKDEFAULT01"),
        ("HUAWEICLOUD_SDK_SK", "SKDEFAULT"),
    ];
    for command in [&["configure", "show"][..], &["configure", "test"], &["doctor"], &["auth", "status"], &["obs", "ls"]] {
        for (more, variables) in [(&[][..], &[][..]), (&["-F", "json"], &[]), (&["-D"], &[]), (&[], &broken)] {
            let output = home.run_with(&[command, more].concat(), variables, "");
            for secret in ["EPPASS", "EP/PASS", "AKDEFAULT01", "SKDEFAULT"] {
                assert!(!printed(&output).contains(secret), "{command:?} {more:?}: {secret}: {output:?}");
            }
        }
    }
    assert!(home.run(&["configure", "show"]).stdout.contains("http://***@127.0.0.1:"));
    assert!(home.run(&["doctor"]).stdout.contains("access key [AKDE***] from profile [DEFAULT]"));
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
    assert!(kept_tokens(home) >= 2);
    assert_eq!(home.run(&["auth", "logout", "-P", "login", "-y"]).code, 0);
    assert_eq!(kept_tokens(home), 0);
    assert!(!fs::read_to_string(home.profile_file()).unwrap().contains(platform.field("password")));
    assert_eq!(home.run(&["auth", "status", "-P", "login"]).code, 4);
    let output = home.run_with(&["auth", "login", "-P", "login"], &[], &format!("{}\n", platform.field("password")));
    assert!(output.code == 0 && output.stdout.contains(platform.field("account")), "{output:?}");
    assert!(!(output.stdout + &output.stderr).contains(platform.field("password")));
}
