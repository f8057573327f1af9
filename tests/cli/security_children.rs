//! What this program runs is told no secret: neither on its command line, which everybody on the machine reads, nor in its
//! environment.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::fake_service::FakeService;
use crate::support::Home;

const DEADLINE: Duration = Duration::from_secs(60);
const ACCESS_KEY: &str = "AKIDOFTESTS01";
const SECRET: &str = "SECRETKEY0123456789";
const TOKEN: &str = "STSTOKEN0123456789";
/// Credentials as this tool reads them, and copies of them under names of others.
const VARIABLES: [(&str, &str); 6] = [
    ("HUAWEICLOUD_SDK_AK", ACCESS_KEY),
    ("HUAWEICLOUD_SDK_SK", SECRET),
    ("HUAWEICLOUD_SDK_SECURITY_TOKEN", TOKEN),
    ("OBS_SECRET_ACCESS_KEY", "OTHERSECRET0123456789"),
    ("AWS_SECRET_ACCESS_KEY", SECRET),
    ("STORE_ADDRESS", "s3://AKIDOFTESTS01:SECRETKEY0123456789@store.example"),
];

/// A program that writes down its environment, its command line and that of whoever started it; gives its path. What is written
/// down is in the file of the same name with `.seen`.
fn witness(folder: &Path, name: &str) -> PathBuf {
    fs::create_dir_all(folder).unwrap();
    let path = folder.join(name);
    let seen = path.with_extension("seen");
    let text = format!(
        "#!/bin/sh\n{{ for part in $$/environ $$/cmdline $PPID/cmdline; do tr '\\0' '\\n' </proc/$part; done; }} >>'{}'\nexit 1\n",
        seen.display()
    );
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// What that program has written down, once it has.
fn seen(program: &Path) -> String {
    fs::read_to_string(program.with_extension("seen")).unwrap()
}

fn check(program: &Path, secrets: &[&str]) -> String {
    let seen = seen(program);
    assert!(seen.contains("PATH=") && seen.contains(program.to_str().unwrap()), "{seen}");
    for secret in [&[ACCESS_KEY, SECRET, TOKEN, "OTHERSECRET0123456789"][..], secrets].concat() {
        assert!(!seen.contains(secret), "{secret}: {seen}");
    }
    seen
}

#[test]
fn d2_5_d3_5_a_hook_sees_no_secret_and_no_shell() {
    let home = Home::new();
    let service = FakeService::start(&["worker-0"], |state, look| {
        if look > 0 {
            state.status = json!({"phase": "Completed", "tasks": ["worker-0"]});
        }
    });
    fs::create_dir(home.path().join(".modelarts")).unwrap();
    fs::write(home.profile_file(), "DEFAULT: {access_key: AKPROFILE01, secret_key: SKPROFILE0123456, region: cn-north-4}\n")
        .unwrap();
    let hook = witness(home.path(), "hook");
    let exec = format!("{} '$(touch PWNED)' '; touch PWNED' `touch PWNED`", hook.display());
    for profile in [&["-P", "DEFAULT"][..], &[]] {
        let mut command = service.command(&home, &[&["ma-job", "wait", "j1", "--exec", &exec][..], profile].concat());
        let output = command.envs(VARIABLES).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        let seen = check(&hook, &["SKPROFILE0123456", "AKPROFILE01"]);
        assert!(seen.contains("MA_CLI_JOB_STATE=Completed\n"), "{seen}");
        assert!(seen.contains("\n$(touch PWNED)\n; touch PWNED\n`touch\nPWNED`\n"), "{seen}");
    }
    assert!(!home.path().join("PWNED").exists());
}

#[test]
fn d2_5_programs_that_are_looked_for_see_no_secret() {
    let home = Home::new();
    let folder = home.path().join("bin");
    let programs = ["docker", "buildctl", "python3"].map(|name| witness(&folder, name));
    let path = format!("{}:/usr/bin:/bin", folder.display());
    let variables = [&VARIABLES[..], &[("PATH", path.as_str()), ("REGION_NAME", "cn-north-4")]].concat();
    let output = home.run_with(&["doctor", "--offline"], &variables, "");
    for program in &programs {
        assert!(program.with_extension("seen").exists(), "{output:?}");
        check(program, &[]);
    }
}

/// A platform in the foreground; ended with the value.
struct Foreground(Child);

impl Drop for Foreground {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn status(home: &Home) -> Option<Value> {
    let output = home.run(&["platform", "status", "-F", "json"]);
    serde_json::from_str(&output.stdout).ok().filter(|status: &Value| status["state"] == "running")
}

#[test]
fn d2_5_what_the_platform_runs_sees_no_secret() {
    let home = Home::new();
    let started = home.run_with(&["platform", "start"], &VARIABLES, "");
    assert_eq!(started.code, 0, "{started:?}");
    let first = status(&home).unwrap();
    let own = |part: &str| fs::read(format!("/proc/{}/{part}", first["pid"])).unwrap();
    let own = String::from_utf8_lossy(&[own("environ"), own("cmdline")].concat()).into_owned();
    assert_eq!(home.run(&["platform", "stop"]).code, 0);
    assert!(own.contains("HOME=") && own.contains("--detached"), "{own}");
    for secret in [SECRET, TOKEN, ACCESS_KEY, "OTHERSECRET0123456789"] {
        assert!(!own.contains(secret), "{secret}: {own}");
    }

    let [docker, job] = ["docker", "job"].map(|name| witness(home.path(), name));
    let mut command: Command = home.command();
    let interpreter = format!("docker={}", docker.display());
    command
        .args(["platform", "start", "--foreground", "--slots", "2", "--interpreter", &interpreter])
        .envs(VARIABLES.into_iter().take(4));
    let platform = Foreground(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let begun = Instant::now();
    let second = loop {
        if let Some(status) = status(&home) {
            break status;
        }
        assert!(begun.elapsed() < DEADLINE, "the platform does not start");
        std::thread::sleep(Duration::from_millis(50));
    };
    let secrets = ["secret_key", "password"].map(|name| second[name].as_str().unwrap());
    let submit = ["ma-job", "submit", "-P", "local", "--train-instance-type", "modelarts.vm.cpu.1u"];
    let run = |more: &[&str]| home.run(&[&submit[..], more].concat());
    let refused = run(&["--image-url", "org/image:1", "--user-command", "true"]);
    assert!(refused.code != 0 && refused.stderr.contains("Docker"), "{refused:?}");
    check(&docker, &secrets);
    let failed = run(&["--user-command", job.to_str().unwrap()]);
    assert_eq!(failed.code, 10, "{failed:?}");
    check(&job, &secrets);
    drop(platform);
}
