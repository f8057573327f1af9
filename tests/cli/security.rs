//! What users were hurt by elsewhere must not happen here. `tests/data/security-rows.tsv` says which test holds which row of the list
//! of incidents.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::small_server::SmallServer;
use crate::support::Home;

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
        let number = row.to_ascii_lowercase().replace('.', "_");
        assert!(test.starts_with(&format!("{number}_")) || test.contains(&format!("_{number}_")), "{test} does not name {row}");
        let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{file}: {error}"));
        let at = text.find(&format!("fn {test}(")).unwrap_or_else(|| panic!("{row}: no test {test} in {file}"));
        let before = text[..at].rsplit("\n\n").next().unwrap();
        let marks = ["#[test]", "::test]", "::test("];
        assert!(marks.iter().any(|mark| before.contains(mark)), "{row}: {test} is no test");
    }
    for (group, last) in [("D1", 14), ("D2", 11), ("D3", 9), ("D4", 4)] {
        for number in 1..=last {
            assert!(rows.contains(&format!("{group}.{number}").as_str()), "{group}.{number} is missing");
        }
    }
}

/// Errors name hosts: whatever signs an address, or lets a proxy in, is left out.
#[test]
fn d2_2_errors_show_no_query_and_no_password_of_an_address() {
    let home = Home::new();
    let variables = [
        ("HUAWEICLOUD_SDK_AK", "AKID00000001"),
        ("HUAWEICLOUD_SDK_SK", SECRET),
        ("REGION_NAME", "cn-north-4"),
        ("PROJECT_ID", "p1"),
        ("MA_CLI_MODELARTS_ENDPOINT", "https://modelarts.invalid"),
        ("MA_CLI_OBS_ENDPOINT", "http://127.0.0.1:9"),
        ("HTTPS_PROXY", "http://me:PROXYPASSWORD@127.0.0.1:9"),
    ];
    let commands: [&[&str]; 3] =
        [&["ma-job", "get-pool"], &["obs", "ls", "obs://bucket/"], &["api", "GET", "/v2/x?Signature=S1GNEDL1NK"]];
    for command in commands {
        for more in [&["-D"][..], &["-F", "json"], &[]] {
            let output = home.run_with(&[command, more].concat(), &variables, "");
            assert_ne!(output.code, 0, "{output:?}");
            for secret in [SECRET, "PROXYPASSWORD", "AKID00000001", "S1GNEDL1NK"] {
                assert!(!(output.stdout.clone() + &output.stderr).contains(secret), "{secret}: {output:?}");
            }
        }
    }
}

/// Nobody else reads what we keep: profiles, the chosen one, cached ids and tokens, journals of copies, a platform's data.
#[test]
fn d2_7_d2_11_files_and_folders_are_made_private_whatever_the_umask() {
    let home = Home::new();
    let server = SmallServer::start(|request| {
        let path = request.split(' ').nth(1).unwrap_or_default();
        if path.starts_with("/v3/projects") {
            (200, String::new(), r#"{"projects": [{"id": "p1"}]}"#.to_owned())
        } else if path.contains("?uploads") {
            let names = "<Bucket>bucket</Bucket><Key>file</Key><UploadId>u1</UploadId>";
            let body = format!("<InitiateMultipartUploadResult>{names}</InitiateMultipartUploadResult>");
            (200, "Content-Type: application/xml\r\n".to_owned(), body)
        } else if request.starts_with("PUT ") {
            // The copy is ended meanwhile.
            std::thread::sleep(std::time::Duration::from_secs(60));
            (500, String::new(), String::new())
        } else {
            (404, String::new(), String::new())
        }
    });
    fs::write(home.path().join("file"), vec![b'x'; 900_000]).unwrap();
    let script = r#"umask 000; set -x
        "$0" configure -auth AKSK -ak a -sk b -r cn-north-4
        "$0" configure -P work -auth AKSK -ak c -sk d -r cn-north-4
        "$0" configure use work
        "$0" ma-job get-pool
        "$0" obs-copy file obs://bucket/ --part-size 256K & copy=$!
        for i in $(seq 500); do ls .modelarts/transfers/* >/dev/null 2>&1 && break; sleep 0.02; done
        kill -9 $copy
        "$0" platform start && "$0" platform stop"#;
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", script]).arg(crate::support::binary()).env_clear().env("HOME", home.path()).current_dir(home.path());
    shell.env("MA_CLI_MODELARTS_ENDPOINT", &server.endpoint).env("MA_CLI_IAM_ENDPOINT", &server.endpoint);
    shell.env("MA_CLI_OBS_ENDPOINT", &server.endpoint);
    let output = shell.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut folders = vec![home.path().join(".modelarts")];
    let mut names = Vec::new();
    while let Some(path) = folders.pop() {
        let status = fs::symlink_metadata(&path).unwrap();
        assert_eq!(status.permissions().mode() & 0o077, 0, "{} {:o}", path.display(), status.permissions().mode());
        if status.is_dir() {
            let entries = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path());
            // Folders in the platform's own, which is closed, are there for the users of images too.
            folders.extend(entries.filter(|entry| !path.ends_with("platform") || !entry.is_dir()));
        }
        names.push(path.display().to_string());
    }
    for name in ["ma-cli-profile.yaml", "current-profile", "cache/project-", "client.yaml", "platform.log", "transfers/"] {
        assert!(names.iter().any(|path| path.contains(name)), "{name}: {names:?} {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// Who writes a job file does not choose where credentials go.
#[test]
fn d2_10_a_job_file_sets_no_endpoint() {
    let home = Home::new();
    let elsewhere = SmallServer::start(|_| (200, String::new(), "{}".to_owned()));
    let server = SmallServer::start(|_| (200, String::new(), "{}".to_owned()));
    let variables = [
        ("HUAWEICLOUD_SDK_AK", "AKID00000001"),
        ("HUAWEICLOUD_SDK_SK", SECRET),
        ("REGION_NAME", "cn-north-4"),
        ("PROJECT_ID", "p1"),
        ("MA_CLI_MODELARTS_ENDPOINT", server.endpoint.as_str()),
    ];
    let job = "name: x\nuser-command: 'true'\nimage-url: org/image:1\ntrain-instance-type: f\n";
    let places = ["modelarts", "iam", "obs", "swr"].map(|name| format!("{name}-endpoint"));
    let others = [
        "endpoint",
        "region-profile",
        "region",
        "proxy",
        "https-proxy",
        "ca-bundle",
        "no-verify-ssl",
        "config-file",
        "profile",
    ];
    for key in places.iter().map(String::as_str).chain(others).chain(["metadata-endpoint", "access-key", "debug"]) {
        for key in [key.to_owned(), key.replace('-', "_")] {
            fs::write(home.path().join("job.yaml"), format!("{job}{key}: {}\n", elsewhere.endpoint)).unwrap();
            let output = home.run_with(&["ma-job", "submit", "job.yaml", "-q"], &variables, "");
            assert_ne!(output.code, 0, "{key}: {output:?}");
            assert!(output.stderr.contains(&key), "{output:?}");
        }
    }
    assert!(server.seen().is_empty() && elsewhere.seen().is_empty(), "{:?} {:?}", server.seen(), elsewhere.seen());
    fs::write(home.path().join("job.yaml"), job).unwrap();
    home.run_with(&["ma-job", "submit", "job.yaml", "-q"], &variables, "");
    assert!(!server.seen().is_empty(), "without such a key the job is sent");
}

/// What a server says moves no cursor, not even in a trace.
#[test]
fn d3_1_d3_2_no_escape_sequence_of_a_server_is_passed_on() {
    let home = Home::new();
    let hostile = "a\u{1b}[2Jb\u{9b}1mc\u{202e}d\u{7}e";
    let body = serde_json::json!({"error_code": format!("X.{hostile}"), "error_msg": hostile, hostile: hostile}).to_string();
    let server = SmallServer::start(move |_| (400, format!("X-Request-Id: r\u{9b}1\r\nX-Odd: {hostile}\r\n"), body.clone()));
    let plain = SmallServer::start(move |_| {
        let body = serde_json::json!({"error_code": hostile, "error_msg": hostile}).to_string();
        (400, "X-Odd: \u{9b}1m\u{202e}\r\n".to_owned(), body)
    });
    for endpoint in [&server.endpoint, &plain.endpoint] {
        let variables = [
            ("HUAWEICLOUD_SDK_AK", "AKID00000001"),
            ("HUAWEICLOUD_SDK_SK", SECRET),
            ("REGION_NAME", "cn-north-4"),
            ("PROJECT_ID", "p1"),
            ("MA_CLI_MODELARTS_ENDPOINT", endpoint.as_str()),
        ];
        for more in [&["-D"][..], &["-F", "json"], &[]] {
            let output = home.run_with(&[&["ma-job", "get-pool"][..], more].concat(), &variables, "");
            assert_ne!(output.code, 0, "{output:?}");
            let shown = output.stdout + &output.stderr;
            let odd = shown.chars().find(|&character| character != '\n' && (character.is_control() || character == '\u{202e}'));
            assert_eq!(odd, None, "{more:?}: {shown:?}");
        }
    }
}

/// Versions that advisories name do not come back.
#[test]
fn d4_1_d4_2_d3_2_no_crate_with_a_known_hole_is_locked() {
    let lock = fs::read_to_string("Cargo.lock").unwrap();
    let versions = |name: &str| {
        let packages = lock.split("[[package]]").filter(|package| package.contains(&format!("name = \"{name}\"\n")));
        let version = |package: &str| {
            let text = package.split("version = \"").nth(1).unwrap().split('"').next().unwrap();
            text.split(['.', '-', '+']).take(3).map(|part| part.parse().unwrap()).collect::<Vec<u32>>()
        };
        packages.map(version).collect::<Vec<_>>()
    };
    for (name, least) in
        [("quick-xml", [0, 41, 0]), ("rustls", [0, 23, 5]), ("rustls-webpki", [0, 103, 10]), ("tracing-subscriber", [0, 3, 20])]
    {
        let found = versions(name);
        assert!(!found.is_empty() && found.iter().all(|version| version.as_slice() >= &least[..]), "{name} {found:?}");
    }
    for name in ["rustls-pemfile", "serde_yaml", "tokio-tar", "yaml-rust", "zip"] {
        assert!(versions(name).is_empty(), "{name} {:?}", versions(name));
    }
}

/// D2.8: verification is turned off by an option of this run, loudly, and by nothing else.
#[test]
fn d2_8_no_variable_turns_verification_off() {
    let home = Home::new();
    let variables = [("S3_VERIFY_SSL", "0"), ("REGION_NAME", "cn-north-4")];
    let output = home.run_with(&["configure", "show", "--query", "settings.verify_tls.value"], &variables, "");
    assert_eq!((output.stdout.trim(), output.stderr.as_str()), ("true", ""), "{output:?}");
    let output = home.run(&["configure", "show", "--no-verify-ssl"]);
    assert!(output.stderr.contains("[WARN] TLS certificates are not checked"), "{output:?}");
}
