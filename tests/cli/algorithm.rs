//! Algorithms and searches for hyperparameters, on a platform that really runs them.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{LocalPlatform, Output};

/// Ends with an error unless `--epochs` is there; prints what `--lr` makes of the figure.
const SCRIPT: &str = "import argparse, os, time
parser = argparse.ArgumentParser()
for name in ('lr', 'epochs', 'kind', 'data_url', 'train_url', 'wait'):
    parser.add_argument('--' + name)
known, rest = parser.parse_known_args()
assert known.epochs and not rest, rest
print('epochs', known.epochs, 'lr', known.lr, flush=True)
open(os.path.join(known.train_url, 'model'), 'w').write(known.lr)
print('loss:', (float(known.lr) - 0.3) ** 2, flush=True)
time.sleep(float(known.wait or 0))
";

/// A platform with the script in `obs://lab/code/`.
fn prepared() -> LocalPlatform {
    let platform = LocalPlatform::start();
    let code = platform.home.path().join("code");
    fs::create_dir(&code).unwrap();
    fs::write(code.join("main.py"), SCRIPT).unwrap();
    succeeds(&platform, &["obs", "mb", "obs://lab"]);
    succeeds(&platform, &["obs-copy", "code", "obs://lab/"]);
    fs::write(platform.home.path().join("seven"), "7").unwrap();
    succeeds(&platform, &["obs-copy", "seven", "obs://lab/data/"]);
    platform
}

fn succeeds(platform: &LocalPlatform, arguments: &[&str]) -> String {
    let output = platform.run(arguments);
    assert_eq!(output.code, 0, "{arguments:?}: {output:?}");
    output.stdout
}

fn json(platform: &LocalPlatform, arguments: &[&str]) -> Value {
    serde_json::from_str(&succeeds(platform, &[arguments, &["-F", "json"]].concat())).unwrap()
}

const DEFINITION: [&str; 14] = [
    "--code-dir",
    "obs://lab/code",
    "--boot-file",
    "main.py",
    "--framework-version",
    "python-3-local",
    "--hyperparameter",
    "lr=0.5;type=Float;range=0:1",
    "--hyperparameter",
    "epochs;type=Integer;required",
    "--input",
    "data_url",
    "--output",
    "train_url",
];

fn create(platform: &LocalPlatform, name: &str, more: &[&str]) -> String {
    let arguments = [&["algorithm", "create", "--name", name, "--query", "metadata.id"], &DEFINITION[..], more].concat();
    succeeds(platform, &arguments).trim().to_owned()
}

#[test]
fn an_algorithm_is_created_shown_changed_copied_and_deleted() {
    let platform = prepared();
    let id = create(&platform, "digits", &["--flavor-type", "CPU", "--distributed", "no", "--no-other-hyperparameters"]);
    let shown = succeeds(&platform, &["algorithm", "show", &id]);
    for text in [
        "python-3-local",
        "/lab/code/main.py",
        "Float; default 0.5; 0 to 1",
        "Integer; required",
        "/home/ma-user/modelarts/inputs/data_url_0",
    ] {
        assert!(shown.contains(text), "{text}: {shown}");
    }
    // What is shown can be given to create.
    let file = platform.home.path().join("algorithm.yaml");
    fs::write(&file, succeeds(&platform, &["algorithm", "show", &id, "-F", "yaml"])).unwrap();
    let copy = json(&platform, &["algorithm", "create", "--file", "algorithm.yaml", "--name", "copy"]);
    let original = json(&platform, &["algorithm", "show", &id]);
    assert_ne!(copy["metadata"]["id"], original["metadata"]["id"]);
    for part in ["job_config", "resource_requirements"] {
        assert_eq!(copy[part], original[part]);
    }
    let listed = |arguments: &[&str]| {
        let output = succeeds(&platform, &[&["algorithm", "list", "--query", "[].metadata.name"], arguments].concat());
        serde_json::from_str::<Vec<String>>(&output).unwrap()
    };
    assert_eq!(listed(&[]), ["copy", "digits"]);
    assert_eq!(listed(&["-n", "DIG"]), ["digits"]);

    // A job of it: what it does not say is the algorithm's, and what it says is held to the definitions, before anything is sent.
    let job = |parameters: &str| submit(&platform, &["--algorithm-id", &id, "--parameters", parameters]);
    let done = job("epochs 3");
    assert_eq!(done.code, 0, "{done:?}");
    let last = succeeds(&platform, &["ma-job", "get-job", "--query", "[0].metadata.id"]);
    assert!(succeeds(&platform, &["ma-job", "get-log", "-i", last.trim()]).contains("epochs 3 lr 0.5"));
    for (parameters, expected) in
        [("epochs 3 lr 7", "must be 0 to 1"), ("lr 1", "is required"), ("epochs 3 x 1", "is not defined")]
    {
        let wrong = job(parameters);
        assert!(wrong.code != 0 && wrong.stderr.contains(expected), "{parameters}: {wrong:?}");
    }
    assert_eq!(json(&platform, &["ma-job", "get-job"]).as_array().unwrap().len(), 1);

    succeeds(&platform, &["algorithm", "update", &id, "--description", "changed", "--hyperparameter", "epochs=3;type=Integer"]);
    let changed = json(&platform, &["algorithm", "show", &id]);
    assert_eq!(changed["metadata"]["description"], "changed");
    assert_eq!(changed["job_config"]["parameters"].as_array().unwrap().len(), 1);
    assert_eq!(changed["job_config"]["inputs"], original["job_config"]["inputs"]);

    let declined = platform.home.run_with(&["algorithm", "delete", &id], &[("MA_CLI_PROFILE", "local")], "n\n");
    assert_eq!(declined.code, 1, "{declined:?}");
    let gone = platform.run(&["algorithm", "delete", "-y", &id, "no-such-algorithm"]);
    assert_eq!(gone.code, 3, "{gone:?}");
    assert_eq!(platform.run(&["algorithm", "show", &id]).code, 5);
    let wrong = platform.run(&["algorithm", "create", "--name", "x", "--hyperparameter", "lr=2;type=Float;range=0:1"]);
    assert!(wrong.code == 2 && wrong.stderr.contains("must be 0 to 1"), "{wrong:?}");
}

/// A job's request, sent as it is: the options of `submit` for algorithms have tests of their own.
fn wait(platform: &LocalPlatform, id: &str, phase: &str) -> Value {
    let started = Instant::now();
    loop {
        let job = json(platform, &["ma-job", "get-job", "-i", id]);
        if job["status"]["phase"] == phase {
            return job;
        }
        let log = || platform.run(&["ma-job", "get-log", "-i", id]);
        assert!(started.elapsed() < Duration::from_secs(90), "{phase} is waited for: {job:#}\n{:?}", log());
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn submit(platform: &LocalPlatform, options: &[&str]) -> Output {
    let common = [
        "ma-job",
        "submit",
        "--train-instance-type",
        "modelarts.vm.cpu.1u",
        "--input",
        "data_url=obs://lab/data/",
        "--output",
        "train_url=obs://lab/out/",
    ];
    platform.run(&[&common, options].concat())
}

#[test]
fn a_search_tries_values_tells_the_best_and_can_be_ended_early() {
    let platform = prepared();
    let search = "search_space:\n  - params:\n    - {name: lr, type: continuous_param, start: 0.0, stop: 1.0}\n\
                  search_algorithm:\n  type: grid_search\n  reward_attr: loss\n  mode: min\n  num_samples: 3\n";
    fs::write(platform.home.path().join("search.yaml"), search).unwrap();
    let options = [
        "--code-dir",
        "obs://lab/code/",
        "--boot-file",
        "main.py",
        "--framework-type",
        "Python",
        "--framework-version",
        "python-3-local",
        "--autosearch",
        "search.yaml",
    ];
    let done = submit(&platform, &[&options[..], &["--parameters", "epochs 2 lr 0.9", "--query", "metadata.id"]].concat());
    assert_eq!(done.code, 0, "{done:?}");
    let id = done.stdout.trim();
    let trials = json(&platform, &["ma-job", "trials", id]);
    let figures: Vec<&str> = trials.as_array().unwrap().iter().map(|trial| trial["loss"].as_str().unwrap()).collect();
    assert_eq!(figures.len(), 3, "{trials:#}");
    assert!(trials[0]["config"] == "{\"lr\":\"0\"}" && trials[0]["status"] == "TERMINATED", "{trials:#}");
    let table = succeeds(&platform, &["ma-job", "trials", id]);
    assert!(table.contains("[OK] The best trial is trial-2: loss = 0.0400") && table.contains("lr=0.5"), "{table}");
    let best = json(&platform, &["ma-job", "trials", id, "--best"]);
    assert_eq!(best[0]["trial_id"], "trial-2");
    assert_eq!(json(&platform, &["ma-job", "trials", id, "--trial", "trial-3"])[0]["config"], "{\"lr\":\"1\"}");
    assert!(succeeds(&platform, &["ma-job", "trials", id, "--importance"]).contains("lr"));
    let log = succeeds(&platform, &["ma-job", "get-log", "-i", id]);
    assert!(log.contains("[trial-2] epochs 2 lr 0.5") && log.contains("the best of 3 trials is trial-2"), "{log}");
    // Each trial has a folder of its own in the output.
    assert_eq!(succeeds(&platform, &["obs", "cat", "obs://lab/out/trial-2/model"]), "0.5");
    assert_eq!(platform.run(&["ma-job", "trials", id, "--trial", "trial-9"]).code, 5);

    // The first trial would never end; stopped early, it counts, and the next ones run.
    let started =
        submit(&platform, &[&options[..], &["--parameters", "epochs 2 wait 600", "-q", "--query", "metadata.id"]].concat());
    let id = started.stdout.trim();
    for number in 1..=3 {
        let trial = format!("trial-{number}");
        let begun = Instant::now();
        while !platform.run(&["ma-job", "trials", id, "--query", "[].loss"]).stdout.contains('.') || {
            let shown = platform.run(&["ma-job", "trials", id, "--trial", &trial, "--query", "[0].loss"]);
            !shown.stdout.contains('.')
        } {
            assert!(begun.elapsed() < Duration::from_secs(60), "{trial} is waited for");
            std::thread::sleep(Duration::from_millis(100));
        }
        succeeds(&platform, &["ma-job", "trial-stop", id, &trial]);
    }
    wait(&platform, id, "Completed");
    let statuses = succeeds(&platform, &["ma-job", "trials", "-i", id, "--query", "join(' ', [].status)"]);
    assert_eq!(statuses.trim(), "EARLY_STOPPED EARLY_STOPPED EARLY_STOPPED");
    assert_eq!(platform.run(&["ma-job", "trial-stop", "-i", id, "trial-1"]).code, 1);
}
