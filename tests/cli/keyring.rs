//! Secrets in the Secret Service of a session: a real one (GNOME Keyring on a bus of its own), none, and one that keeps silent.

use std::fs;
use std::os::unix::net::UnixListener;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::Home;

/// Runs the script in a session with an unlocked keyring; fails with its output if it does.
fn session(home: &Home, script: &str) -> String {
    outputs(home, script).0
}

/// As [`session`]; with what the session wrote to standard error.
fn outputs(home: &Home, script: &str) -> (String, String) {
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
    let [text, errors] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    assert!(output.status.success(), "{text}\n{errors}");
    (text, errors)
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
fn a_locked_keyring_is_asked_for_once_and_what_cannot_be_kept_there_stays_private() {
    let home = Home::new();
    // Nobody can be asked for a password here, which counts as a question that was dismissed.
    let (output, errors) = outputs(
        &home,
        r#"
        file=.modelarts/ma-cli-profile.yaml
        lock() { dbus-send --session --print-reply --dest=org.freedesktop.secrets /org/freedesktop/secrets \
            org.freedesktop.Secret.Service.Lock array:objpath:/org/freedesktop/secrets/collection/login >/dev/null; }
        printf 'AKID\nTOPSECRET\n' | "$MA" configure -auth AKSK -r cn-north-4 -P work --store keyring
        lock
        "$MA" configure export -P work >export.txt 2>error.txt || echo code $?
        test ! -s export.txt && grep -q 'the keyring refuses' error.txt && grep -q 'unlock the keyring' error.txt && echo refused
        printf 'AKID\nNEWSECRET\n' | "$MA" configure -auth AKSK -P work --store keyring 2>warned.txt
        grep -q 'WARN.*the keyring refuses.*private' warned.txt && echo warned
        grep -q 'secret_key: NEWSECRET' $file && echo kept
        "$MA" configure export -P work | grep -q 'SK=NEWSECRET' && echo read
        cat export.txt error.txt warned.txt | grep -q SECRET || echo hidden
        # What cannot be forgotten is no success, and is not used any more.
        printf 'work: {auth: AKSK, access_key: AKID, store: keyring, region: cn-north-4}\n' > $file
        for verb in 'auth logout -P work -y' 'configure delete work -y'; do
            "$MA" $verb 2>>error.txt || echo left $?
        done
        "$MA" configure show -P work --query 'settings.secret_key.value'
        "#,
    );
    let said: Vec<&str> = output.lines().filter(|line| !line.starts_with("[OK] Successfully")).collect();
    let left = ["left 1", "left 1", "(logged out)"];
    assert_eq!(said, [&["code 1", "refused", "warned", "kept", "read", "hidden"], &left[..]].concat(), "{output}");
    assert_eq!(errors.matches("Activating service name='org.gnome.keyring.SystemPrompter'").count(), 4, "{errors}");
}

/// Whether this process has a session keyring of its own or not.
#[test]
fn the_kernel_keeps_secrets_from_one_run_to_the_next() {
    let home = Home::new();
    let read = || home.run(&["configure", "show", "--query", "settings.secret_key.value"]).stdout;
    let output =
        home.run_with(&["configure", "-auth", "AKSK", "-r", "cn-north-4", "--store", "keyutils"], &[], "AKID\nTOPSECRET\n");
    assert!(output.code == 0 && !output.stderr.contains("[WARN]"), "{output:?}");
    let kept = fs::read_to_string(home.profile_file()).unwrap();
    assert!(kept.contains("store: keyutils") && !kept.contains("TOPSECRET"), "{kept}");
    assert_eq!(read(), "***\n");
    assert_eq!(home.run(&["configure", "delete", "DEFAULT", "-y"]).code, 0);
    fs::write(home.profile_file(), kept).unwrap();
    assert_eq!(read(), "(logged out)\n");
}

/// A bus that takes connections and keeps silent, and how many it was asked for.
struct SilentBus {
    listener: UnixListener,
    folder: tempfile::TempDir,
}

impl SilentBus {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("bus")).unwrap();
        listener.set_nonblocking(true).unwrap();
        Self { listener, folder }
    }

    fn address(&self) -> String {
        format!("unix:path={}", self.folder.path().join("bus").display())
    }

    /// The connections since the last call.
    fn asked(&self) -> usize {
        std::iter::from_fn(|| self.listener.accept().ok()).count()
    }
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
    let bus = SilentBus::start();
    let silent = bus.address();
    for address in ["unix:path=/nowhere/bus", &silent] {
        let home = Home::new();
        let begun = Instant::now();
        let variables = [("DBUS_SESSION_BUS_ADDRESS", address)];
        let arguments = ["configure", "-auth", "AKSK", "-r", "cn-north-4", "--store", "keyring"];
        let output = home.run_with(&arguments, &variables, "AKID\nTOPSECRET\n");
        let took = begun.elapsed();
        assert_eq!(output.code, 0, "{output:?}");
        assert!(output.stderr.contains("[WARN] the keyring cannot be reached"), "{output:?}");
        assert!(fs::read_to_string(home.profile_file()).unwrap().contains("secret_key: TOPSECRET\n"));
        // The limit of the program itself is 900 ms; the machine may be busy with other tests.
        assert!(took < Duration::from_secs(4), "{address}: {took:?}");
        assert_eq!(bus.asked(), usize::from(address == silent), "it is waited for once");

        // A profile whose secret is in the keyring that keeps silent now: each of these needs it several times.
        let text = "DEFAULT: {auth: AKSK, access_key: AKID, store: keyring, region: cn-north-4}\n";
        fs::write(home.profile_file(), text).unwrap();
        for (arguments, input) in [(&["doctor", "--offline"][..], ""), (&arguments[..], "AKID\nOTHERSECRET\n")] {
            let output = home.run_with(arguments, &variables, input);
            assert!((output.stdout.clone() + &output.stderr).contains("the keyring cannot be reached"), "{output:?}");
            assert_eq!(bus.asked(), usize::from(address == silent), "{arguments:?}: it is waited for once");
        }
        assert!(fs::read_to_string(home.profile_file()).unwrap().contains("secret_key: OTHERSECRET\n"));
    }
}
