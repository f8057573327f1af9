//! Job files and what becomes of them: written, checked, filled in, uploaded, exported, run again.

use std::fs;

use serde_json::Value;

use crate::ma_job::{phase, prepared, submit_quietly};
use crate::support::{Home, LocalPlatform, Output};

fn document(output: &Output) -> Value {
    assert_eq!(output.code, 0, "{output:?}");
    serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

fn write(platform: &LocalPlatform, name: &str, text: &str) {
    let path = platform.home.path().join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

#[test]
fn a_job_file_is_written_once_and_checked_all_at_once() {
    let home = Home::new();
    for (kind, file) in [("preset", ".ma/train.yaml"), ("custom", "c.yaml"), ("algorithm", "a.yaml")] {
        let arguments = ["ma-job", "init", "--from", kind, file];
        let written = home.run(if kind == "preset" { &["ma-job", "init"] } else { &arguments });
        assert_eq!((written.code, written.stdout), (0, format!("[OK] Successfully write [{file}]\n")));
        let again = home.run(&arguments);
        assert!(again.code == 1 && again.stderr.contains("stays as it is"), "{again:?}");
        assert_eq!(home.run(&["ma-job", "validate", file, "--offline"]).code, 0);
    }
    fs::write(home.path().join("empty.yaml"), "").unwrap();
    let empty = home.run(&["ma-job", "validate", "empty.yaml", "--offline"]);
    assert!(empty.code == 1 && empty.stdout.contains("nothing says what runs"), "{empty:?}");
    fs::write(home.path().join("bad.yaml"), "name: a b\npriority: 7\ncode-dir: ${NOWHERE}\nwhat: 1\n").unwrap();
    let bad = home.run(&["ma-job", "validate", "bad.yaml", "--offline", "-F", "json"]);
    assert_eq!(bad.code, 1, "{bad:?}");
    let found: Value = serde_json::from_str(&bad.stdout).unwrap();
    let lines: Vec<_> = found.as_array().unwrap().iter().map(|finding| finding["line"].clone()).collect();
    assert_eq!(lines, [2.into(), 3.into(), 4.into(), Value::Null], "{found:#}");
    // After what cannot be read, nothing is missed that may stand there.
    fs::write(home.path().join("broken.yaml"), "name: a\nname: b\n").unwrap();
    let broken = home.run(&["ma-job", "validate", "broken.yaml", "--offline", "-F", "json", "--query", "[].[line, message]"]);
    assert_eq!(
        serde_json::from_str::<Value>(&broken.stdout).unwrap(),
        serde_json::json!([[2, "the key [name] stands there a second time"]]),
        "{broken:?}"
    );
    let missing = home.run(&["ma-job", "submit", "baad.yaml"]);
    assert!(missing.code == 5 && missing.stderr.contains("/bad.yaml]?"), "{missing:?}");
    let nothing = home.run(&["ma-job", "submit"]);
    assert!(nothing.code == 2 && nothing.stderr.contains("ma-cli ma-job init"), "{nothing:?}");
}

#[test]
fn what_is_found_is_told_where_service_and_store_are_out_of_reach() {
    let home = Home::new();
    let text = "code-dir: obs://b/c/\nboot-file: main.py\nframework-version: v\npool-id: p\nlog-url: obs://b/l/\n";
    fs::write(home.path().join("fine.yaml"), text).unwrap();
    fs::write(home.path().join("bad.yaml"), format!("name: a b\npriority: 7\nwhat: 1\n{text}")).unwrap();
    let variables = [
        ("MA_CLI_MODELARTS_ENDPOINT", "http://127.0.0.1:9"),
        ("MA_CLI_OBS_ENDPOINT", "http://127.0.0.1:9"),
        ("HUAWEICLOUD_SDK_AK", "ACCESSKEYOFTESTS"),
        ("HUAWEICLOUD_SDK_SK", "secret-key-of-tests"),
        ("PROJECT_ID", "p1"),
    ];
    let run = |file: &str| home.run_with(&["ma-job", "validate", file, "-F", "json"], &variables, "");
    let bad = run("bad.yaml");
    let found: Value = serde_json::from_str(&bad.stdout).unwrap_or_else(|_| panic!("{bad:?}"));
    let levels: Vec<_> = found.as_array().unwrap().iter().map(|finding| finding["level"].as_str().unwrap()).collect();
    assert_eq!(levels, ["error", "error", "error", "warning", "warning"], "{found:#}");
    assert!(bad.code == 1 && bad.stderr.contains("3 problems"), "{bad:?}");
    // What nobody could check is not called good.
    let fine = run("fine.yaml");
    assert!(fine.code == 1 && fine.stderr.contains("not everything could be checked"), "{fine:?}");
    // A single file is an input whatever the input is called.
    fs::write(home.path().join("x.csv"), "1").unwrap();
    let command = ["ma-job", "submit", "--name", "x", "--user-command", "true", "--obs-path", "obs://b/p", "--dry-run"];
    let dry = document(&home.run(&[&command[..], &["--input", "data=./x.csv"]].concat()));
    assert_eq!(dry["algorithm"]["inputs"][0]["remote"]["obs"]["obs_url"], "/b/p/x/inputs/data/x.csv");
}

#[test]
fn validate_asks_service_and_store() {
    let platform = prepared();
    let fine = platform.run(&["ma-job", "validate", "job.yaml"]);
    assert_eq!((fine.code, fine.stdout.as_str()), (0, "[OK] [job.yaml] can be submitted\n"), "{fine:?}");
    write(
        &platform,
        "bad.yaml",
        "framework-type: Python\nframework-version: python-3-locale\ncode-dir: obs://jobs/code/\nboot-file: other.py\n\
         train-instance-type: modelarts.vm.cpu.1\npool-id: none\ndata-url: obs://jobs/none/\nlog-url: obs://no-such-bucket/l/\n",
    );
    let bad = platform.run(&["ma-job", "validate", "bad.yaml", "-F", "json"]);
    assert_eq!(bad.code, 1, "{bad:?}");
    let found: Value = serde_json::from_str(&bad.stdout).unwrap();
    let keys: Vec<_> = found.as_array().unwrap().iter().map(|finding| finding["key"].as_str().unwrap()).collect();
    assert_eq!(keys, ["framework-version", "pool-id", "boot-file", "input", "log-url"], "{found:#}");
    assert!(bad.stdout.contains("did you mean [python-3-local]?"), "{bad:?}");
    let lines: Vec<_> = found.as_array().unwrap().iter().map(|finding| finding["line"].clone()).collect();
    assert_eq!(lines, [2.into(), 6.into(), 4.into(), Value::Null, 8.into()], "{found:#}");
    // A refused submission says the same, and all that is not there ends alike.
    for (options, meant) in [
        (
            &["ma-job", "submit", "job.yaml", "--train-instance-type", "modelarts.vm.cpu.1x"][..],
            "did you mean [modelarts.vm.cpu.1u]?",
        ),
        (&["ma-job", "submit", "job.yaml", "--framework-version", "python-3-locl"], "did you mean [python-3-local]?"),
        (&["ma-job", "submit", "job.yaml", "--pool-id", "pool-locl"], "did you mean [pool-local]?"),
        (&["algorithm", "show", "nope"], "list them with: ma-cli algorithm list"),
        (&["obs", "ls", "obs://jbos/"], "did you mean [jobs]?"),
    ] {
        let output = platform.run(options);
        assert!(output.code == 5 && output.stderr.contains(meant), "{output:?}");
    }
    assert_eq!(platform.run(&["obs", "rb", "-y", "obs://jobs/"]).code, 1);
    assert_eq!(platform.run(&["obs", "rm", "-rf", "obs://jobs/code/"]).code, 0);
}

#[test]
fn variables_are_filled_in_and_a_dry_run_sends_nothing() {
    let platform = prepared();
    let text =
        "framework-version: python-3-local\ncode-dir: obs://${BUCKET}/${FOLDER:-code}/\nboot-file: main.py\nname: ${NAME}\n";
    write(&platform, "vars.yaml", text);
    let run = |variables: &[(&str, &str)], more: &[&str]| {
        let variables = [&[("MA_CLI_PROFILE", "local")], variables].concat();
        platform.home.run_with(&[&["ma-job", "submit", "vars.yaml"], more].concat(), &variables, "")
    };
    let unset = run(&[("BUCKET", "jobs")], &[]);
    assert_eq!((unset.code, unset.stdout.as_str()), (1, ""), "{unset:?}");
    assert!(
        unset.stderr.contains("[vars.yaml], line 4, key [name]") || unset.stderr.contains("vars.yaml], line 4, key [name]"),
        "{unset:?}"
    );
    assert!(unset.stderr.contains("[NAME] is not set"), "{unset:?}");
    let shown = document(&run(
        &[("BUCKET", "jobs"), ("NAME", "n")],
        &[
            "--dry-run",
            "--auto-restart",
            "2",
            "--auto-stop",
            "1d",
            "--priority",
            "2",
            "--tag",
            "a=b",
            "--notify",
            "urn:smn:r:p:t:JobFailed",
        ],
    ));
    assert_eq!(shown["algorithm"]["code_dir"], "/jobs/code/");
    assert_eq!(shown["algorithm"]["engine"]["engine_id"], "python-3-local", "the engine list was asked");
    assert_eq!(shown["metadata"]["annotations"]["fault-tolerance/job-retry-num"], "2");
    assert_eq!(shown["spec"]["auto_stop"]["duration"], 24);
    assert_eq!(shown["spec"]["notification"]["events"][0], "JobFailed");
    assert_eq!(platform.run(&["ma-job", "get-job", "-F", "json"]).stdout.trim(), "[]");
    // It needs no service.
    let home = Home::new();
    let offline = home.run(&["ma-job", "submit", "--name", "x", "--user-command", "true", "--dry-run"]);
    assert_eq!(document(&offline)["algorithm"]["command"], "true");
}

#[test]
fn code_and_data_of_this_machine_are_uploaded_first_and_only_what_changed() {
    let platform = prepared();
    write(
        &platform,
        "src/main.py",
        "import lib.a, os, sys\nprint('data', sorted(os.listdir(sys.argv[1].split('=')[1])), lib.a.X)\n",
    );
    write(&platform, "src/lib/a.py", "X = 'one'\n");
    write(&platform, "src/lib/__init__.py", "");
    write(&platform, "src/old.py", "");
    write(&platform, "src/notes/big.txt", "not code");
    write(&platform, "src/.maignore", "notes/\n");
    write(&platform, "data/x.csv", "1,2\n");
    let base = [
        "ma-job",
        "submit",
        "--name",
        "local",
        "--framework-version",
        "python-3-local",
        "--train-instance-type",
        "modelarts.vm.cpu.1u",
        "--code-dir",
        "./src",
        "--boot-file",
        "main.py",
        "--data-url",
        "data",
    ];
    let nowhere = platform.run(&base);
    assert!(nowhere.code == 1 && nowhere.stderr.contains("--obs-path"), "{nowhere:?}");
    let run = |more: &[&str]| platform.run(&[&base[..], &["--obs-path", "obs://jobs/runs"], more].concat());
    let lost = run(&["--boot-file", "notes/none.py"]);
    assert!(lost.code == 1 && lost.stderr.contains("notes/none.py"), "{lost:?}");
    let dry = run(&["--dry-run"]);
    let code_dir = document(&dry)["algorithm"]["code_dir"].as_str().unwrap().to_owned();
    assert!(code_dir.starts_with("/jobs/runs/local/code/") && code_dir.ends_with("/src/"), "{code_dir}");
    assert!(dry.stderr.contains("would upload") && dry.stderr.contains("4 files"), "{dry:?}");
    assert_eq!(platform.run(&["obs", "ls", "obs://jobs/runs/", "-F", "json"]).stdout.trim(), "[]", "nothing was sent");

    let first = run(&[]);
    assert_eq!(first.code, 0, "{first:?}");
    assert!(first.stderr.contains("4 new, 0 unchanged") && first.stderr.contains("1 new, 0 unchanged"), "{first:?}");
    let id = first.stdout.lines().next().unwrap().rsplit(' ').next().unwrap().to_owned();
    let log = platform.run(&["ma-job", "get-log", "-i", &id]).stdout;
    assert!(log.contains("data ['x.csv'] one"), "{log}");

    // Put back to an older state: the same size and an older time, which only the content tells.
    write(&platform, "src/lib/a.py", "X = 'two'\n");
    let old = fs::metadata(platform.home.path().join("src/main.py")).unwrap().modified().unwrap();
    let changed = fs::File::options().write(true).open(platform.home.path().join("src/lib/a.py")).unwrap();
    changed.set_modified(old - std::time::Duration::from_secs(3600)).unwrap();
    fs::remove_file(platform.home.path().join("src/old.py")).unwrap();
    write(&platform, "old.csv", "3,4\n");
    assert_eq!(platform.run(&["obs-copy", "old.csv", "obs://jobs/runs/local/data/"]).code, 0);
    // The job that was submitted first still has its own code to run, and nothing of it is gone.
    let second = run(&[]);
    assert!(second.code == 0 && second.stderr.contains("1 new, 2 unchanged"), "{second:?}");
    assert!(second.stderr.contains("0 new, 1 unchanged"), "{second:?}");
    assert!(second.stderr.contains("[obs://jobs/runs/local/data/] holds objects that are not in"), "{second:?}");
    let keys = platform.run(&["obs", "ls", "-r", "obs://jobs/runs/local/code/"]).stdout;
    for (name, times) in [("notes", 0), ("old.py", 1), ("lib/a.py", 2), ("main.py", 2)] {
        assert_eq!(keys.lines().filter(|line| line.contains(name)).count(), times, "{name}: {keys}");
    }
    let one = |stdout: &str| stdout.lines().next().unwrap().rsplit(' ').next().unwrap().to_owned();
    let log = platform.run(&["ma-job", "get-log", "-i", &one(&second.stdout)]).stdout;
    assert!(log.contains("data ['old.csv', 'x.csv'] two"), "{log}");
    // What it was made of is run again.
    let again = platform.run(&["ma-job", "rerun", &id]);
    assert!(platform.run(&["ma-job", "get-log", "-i", &one(&again.stdout)]).stdout.contains("] one"), "{again:?}");
}

#[test]
fn a_job_is_exported_and_run_again_with_changes() {
    let platform = prepared();
    let options = [
        "--name",
        "first",
        "--env-variables",
        "COLOUR=blue",
        "--description",
        "costs $5 ${not} a name",
        "--output",
        "o=obs://jobs/o/",
    ];
    let sent = document(&platform.run(&[&["ma-job", "submit", "job.yaml", "--dry-run"], &options[..]].concat()));
    let id = submit_quietly(&platform, &options);
    let exported = platform.run(&["ma-job", "export", &id]);
    assert_eq!(exported.code, 0, "{exported:?}");
    write(&platform, "again.yaml", &exported.stdout);
    let again = document(&platform.run(&["ma-job", "submit", "again.yaml", "--dry-run"]));
    assert_eq!(again, sent, "{}", exported.stdout);
    assert_eq!(document(&platform.run(&["ma-job", "export", "-i", &id, "-F", "json"]))["boot-file"], "main.py");

    let rerun = platform.run(&["ma-job", "rerun", &id, "--parameters", "epoch 4"]);
    assert_eq!(rerun.code, 0, "{rerun:?}");
    assert!(rerun.stderr.contains("- name: first\n+ name: first-2\n"), "{rerun:?}");
    assert!(rerun.stderr.contains("+ parameters: [{\"epoch\":\"4\"}]"), "{rerun:?}");
    let new = rerun.stdout.lines().next().unwrap().rsplit(' ').next().unwrap().to_owned();
    assert!(platform.run(&["ma-job", "get-log", "-i", &new]).stdout.contains("'--epoch=4'"));
    let changed = document(&platform.run(&["ma-job", "rerun", &id, "--dry-run", "--name", "x", "--train-instance-count", "2"]));
    assert_eq!((&changed["metadata"]["name"], &changed["spec"]["resource"]["node_count"]), (&"x".into(), &2.into()));
    assert_eq!(changed["algorithm"], sent["algorithm"]);
    assert_eq!(platform.run(&["ma-job", "rerun", "no-such-job"]).code, 5);
    assert_eq!(platform.run(&["ma-job", "export", "no-such-job"]).code, 5);

    assert_eq!(platform.run(&["ma-job", "update", &new, "--description", "better"]).code, 0);
    let described = platform.run(&["ma-job", "get-job", &new, "--query", "metadata.description"]);
    assert_eq!((described.stdout.trim(), phase(&platform, &new).as_str()), ("better", "Completed"));
    assert_eq!(platform.run(&["ma-job", "set-priority", &new, "--priority", "2"]).code, 1, "it waits no longer");
}
