//! Secrets in the Secret Service of a session: a real one (GNOME Keyring on a bus of its own), none, and one that keeps silent.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::Home;

/// Runs the script in a session with an unlocked keyring; fails with its output if it does.
fn session(home: &Home, script: &str) -> String {
    let runtime = home.path().join("run");
    fs::create_dir_all(&runtime).unwrap();
    let unlock = "printf 'pass\\n' | gnome-keyring-daemon --unlock --components=secrets >/dev/null 2>&1";
    let command = home.command();
    let path = crate::support::binary().parent().unwrap().display().to_string() + ":/usr/local/bin:/usr/bin:/bin";
    let program = command.get_program().to_owned();
    let mut session = Command::new("dbus-run-session");
    session.args(["--", "sh", "-ec", &format!("{unlock}\n{script}")]);
    session.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    session.env("PATH", path).env("MA", program).env("XDG_RUNTIME_DIR", &runtime).current_dir(home.path());
    // The daemon ends with the bus.
    let output = session.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    text
}

#[test]
fn a_real_secret_service_keeps_moves_and_deletes_secrets() {
    let home = Home::new();
    let output = session(
        &home,
        r#"
        file=.modelarts/ma-cli-profile.yaml
        printf 'AKID\nTOPSECRET\n' | "$MA" configure -auth AKSK -r cn-north-4 -P work --store keyring
        ! grep -q TOPSECRET $file && grep -q 'store: keyring' $file && echo stored
        "$MA" configure export -P work | grep -q 'SK=TOPSECRET' && echo read
        "$MA" configure -P work --store file </dev/null
        grep -q TOPSECRET $file && ! grep -q 'store:' $file && echo moved out
        "$MA" configure -P work --store keyring </dev/null
        ! grep -q TOPSECRET $file && "$MA" configure export -P work | grep -q 'SK=TOPSECRET' && echo moved in
        cp $file kept.yaml
        "$MA" configure delete work -y
        cp kept.yaml $file
        ! "$MA" configure export -P work 2>error.txt && grep -q 'secret_key' error.txt && echo deleted
        "#,
    );
    let said: Vec<&str> = output.lines().filter(|line| !line.starts_with("[OK]")).collect();
    assert_eq!(said, ["stored", "read", "moved out", "moved in", "deleted"], "{output}");
}

#[test]
fn a_change_of_mode_and_a_logout_leave_nothing_in_the_keyring() {
    let home = Home::new();
    let output = session(
        &home,
        r#"
        file=.modelarts/ma-cli-profile.yaml
        # What the keyring holds is what a profile without secrets is given from it.
        ask() { printf 'work: {auth: %s, access_key: AKID, username: ann, store: keyring, region: cn-north-4}\n' $1 > asked.yaml
            mv $file kept.yaml && mv asked.yaml $file && "$MA" configure show -P work --query "settings.$2.value"; mv kept.yaml $file; }
        "$MA" configure -P work -u ann -p TOPSECRET -r cn-north-4 --store keyring
        ask PWD password
        printf 'AKID\nTOPSECRET\n' | "$MA" configure -auth AKSK -P work
        ask PWD password
        ask AKSK secret_key
        sed -i 's/^  store: .*/  secret_key: SK\n  security_token: TOPSECRET/' $file
        "$MA" configure -P work --store keyring </dev/null
        ! grep -q -e TOPSECRET -e secret_key $file && ask AKSK security_token
        "$MA" auth logout -P work -y
        ask AKSK secret_key
        ask AKSK security_token
        "#,
    );
    let said: Vec<&str> = output.lines().filter(|line| !line.starts_with("[OK]")).collect();
    assert_eq!(said, ["***", "(logged out)", "***", "***", "(logged out)", "null"], "{output}");
}

#[test]
fn without_a_keyring_the_private_file_is_used_within_a_second() {
    let silent = std::os::unix::net::UnixListener::bind(tempfile::tempdir().unwrap().keep().join("bus")).unwrap();
    let silent = silent.local_addr().unwrap().as_pathname().unwrap().display().to_string();
    for (address, limit) in [("unix:path=/nowhere/bus", 1.0), (&format!("unix:path={silent}"), 1.5)] {
        let home = Home::new();
        let begun = Instant::now();
        let arguments = ["configure", "-auth", "AKSK", "-r", "cn-north-4", "--store", "keyring"];
        let output = home.run_with(&arguments, &[("DBUS_SESSION_BUS_ADDRESS", address)], "AKID\nTOPSECRET\n");
        let took = begun.elapsed();
        assert_eq!(output.code, 0, "{output:?}");
        assert!(output.stderr.contains("[WARN] the keyring cannot be reached"), "{output:?}");
        assert!(fs::read_to_string(home.profile_file()).unwrap().contains("secret_key: TOPSECRET\n"));
        // The limit of the program itself is 900 ms; the machine may be busy with other tests.
        assert!(took < Duration::from_secs_f64(limit) + Duration::from_secs(3), "{address}: {took:?}");
    }
}
