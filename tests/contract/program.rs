//! Every command of the program that speaks to a control plane, run once or more.

use super::bench::{Auth, Bench};

const EXAMPLE: &str = "examples/digits";
const SLEEPER: &str = "import time\nprint('asleep', flush=True)\ntime.sleep(600)\n";

/// Runs the commands; each must end with the exit code it should.
pub(crate) async fn speak(bench: &Bench) {
    ask(bench).await;
    let finished = train(bench).await;
    read(bench, &finished).await;
    change(bench, &finished).await;
    stop_and_delete(bench, &finished).await;
    ask_for_everything(bench).await;
    keep_algorithms(bench).await;
    be_refused(bench).await;
}

async fn ask(bench: &Bench) {
    for arguments in [
        &["ma-job", "get-engine"][..],
        &["ma-job", "get-flavor"],
        &["ma-job", "get-flavor", "-t", "CPU", "-v"],
        &["ma-job", "get-pool"],
        &["ma-job", "get-job"],
    ] {
        bench.run(0, Auth::Keys, arguments).await;
        bench.run(0, Auth::Password, arguments).await;
    }
}

/// Runs the example to its end; returns the job's id.
async fn train(bench: &Bench) -> String {
    bench.run(0, Auth::Keys, &["obs", "mb", "obs://digits"]).await;
    bench.run(0, Auth::Keys, &["obs-copy", "--drop-last-dir", "examples/digits/", "obs://digits/"]).await;
    let job_file = format!("{EXAMPLE}/job.yaml");
    let arguments = [
        "ma-job",
        "submit",
        &job_file,
        "--name",
        "contract",
        "--description",
        "said in full",
        "--input",
        "again=obs://digits/data/",
        "--output",
        "train_url=obs://digits/output/",
        "--predownload",
        "train_url",
        "--env-variables",
        "COLOUR=blue",
        "--parameters",
        "epochs 1 pretrained",
        "--workspace-id",
        "0",
        "--policy",
        "regular",
    ];
    let waited = bench.run(0, Auth::Keys, &arguments).await;
    assert!(waited.contains("Completed"), "{waited}");
    submit(bench, &["--parameters", "epochs 1"]).await
}

/// Submits the example without waiting for it.
async fn submit(bench: &Bench, more: &[&str]) -> String {
    let job_file = format!("{EXAMPLE}/job.yaml");
    let arguments = [&["ma-job", "submit", &job_file, "-q", "--query", "metadata.id"], more].concat();
    bench.run(0, Auth::Keys, &arguments).await.trim().to_owned()
}

async fn read(bench: &Bench, id: &str) {
    let log = bench.run(0, Auth::Keys, &["ma-job", "get-log", "-i", id, "-f"]).await;
    assert!(log.contains("test accuracy"), "{log}");
    for arguments in [
        &["ma-job", "get-log", "-i", id, "-t", "worker-0"][..],
        &["ma-job", "get-log", "-i", id, "--all-tasks", "--tail", "2"],
        &["ma-job", "metrics", id],
        &["ma-job", "wait", id, "--timeout", "1m"],
        &["ma-job", "get-event", "-i", id],
        &["ma-job", "get-job", "-i", id],
        &["ma-job", "get-job", "-i", id, "-v"],
        &["ma-job", "get-job", "-n", "digits", "-pn", "1", "-ps", "5"],
        &["ma-job", "get-job", "-v", "-pn", "2"],
    ] {
        bench.run(0, Auth::Keys, arguments).await;
    }
}

/// What can be done to a job and with its description.
async fn change(bench: &Bench, id: &str) {
    let job_file = format!("{EXAMPLE}/job.yaml");
    for arguments in [
        &["ma-job", "validate", &job_file][..],
        &["ma-job", "tag", id, "team=vision", "empty="],
        &["ma-job", "tag", "-i", id],
        &["ma-job", "tag", id, "--remove", "empty"],
        &["ma-job", "update", id, "--description", "told anew"],
        &["ma-job", "export", id],
        &[
            "ma-job",
            "get-job",
            "--state",
            "Completed",
            "--since",
            "1h",
            "--user",
            "nobody",
            "--pool",
            "none",
            "--tag",
            "team=vision",
        ],
        &["ma-job", "get-job", "--all", "--sort", "duration", "--ascending"],
    ] {
        bench.run(0, Auth::Keys, arguments).await;
    }
    let options =
        ["--auto-restart", "1", "--unconditional-restart", "--auto-stop", "2h", "--priority", "2", "--tag", "again=yes", "-q"];
    bench.run(0, Auth::Keys, &[&["ma-job", "rerun", id][..], &options].concat()).await;
    // It has ended, and waits no longer.
    bench.run(1, Auth::Keys, &["ma-job", "set-priority", id, "--priority", "2"]).await;
}

/// What the platform lacks is refused, but asked for in the service's words.
async fn ask_for_everything(bench: &Bench) {
    let options = "--name everything --image-url org/image:tag --uid 1001 --user-command true --policy turbo --priority 3 \
                   --preemptible --experiment digits --notify urn:smn:r:p:t:JobFailed --predownload train_url --output-env train_url \
                   --volumes local_path=/mnt/a;read_only=true;nfs_server_path=h:/ --restart-on-hang --auto-restart 2 \
                   --local-code-dir /home/ma-user/code --working-dir /home/ma-user/code --input-env data_url";
    let options: Vec<&str> = options.split_whitespace().collect();
    let job_file = format!("{EXAMPLE}/job.yaml");
    let engine = &["--boot-file", "", "--framework-type", "", "--framework-version", ""];
    bench.run(1, Auth::Keys, &[&["ma-job", "submit", &job_file, "-q"][..], engine, &options].concat()).await;
}

async fn stop_and_delete(bench: &Bench, finished: &str) {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("train.py");
    std::fs::write(&script, SLEEPER).unwrap();
    bench.run(0, Auth::Keys, &["obs-copy", script.to_str().unwrap(), "obs://digits/sleeper/"]).await;
    let id = submit(bench, &["--code-dir", "obs://digits/sleeper/"]).await;
    bench.run(0, Auth::Keys, &["ma-job", "stop", "-i", &id, "-y"]).await;
    bench.run(11, Auth::Keys, &["ma-job", "get-log", "-i", &id, "-f"]).await;
    bench.run(11, Auth::Keys, &["ma-job", "wait", &id]).await;
    bench.run(0, Auth::Keys, &["ma-job", "delete", "-i", finished, "-y"]).await;
}

/// Algorithms, and a search for hyperparameters.
async fn keep_algorithms(bench: &Bench) {
    let folder = tempfile::tempdir().unwrap();
    let search = folder.path().join("search.yaml");
    let text = "search_space: [{params: [{name: lr, start: 0, stop: 1}]}]\n\
                search_algorithm: {type: anneal_search, reward_attr: loss, mode: min, num_samples: 2, shrink_coef: 0.1}\n";
    std::fs::write(&search, text).unwrap();
    let search = search.to_str().unwrap();
    // A log that is so long that it is read by links.
    let command = "echo loss: 1; head -c 300000 /dev/zero | base64 -w 999; true";
    let definition =
        ["--user-command", "echo loss: 1", "--hyperparameter", "lr=1;type=Float;range=0:1", "--autosearch", search];
    let more = ["--input", "data;from=obs", "--flavor-type", "CPU", "--multi-card", "no", "--query", "metadata.id"];
    let id = bench.run(0, Auth::Keys, &[&["algorithm", "create", "--name", "a"], &definition[..], &more].concat()).await;
    let id = id.trim();
    for arguments in
        [&["show", id][..], &["list"], &["list", "-n", "a"], &["update", id, "--description", "b"], &["delete", "-y", id]]
    {
        bench.run(0, Auth::Keys, &[&["algorithm"], arguments].concat()).await;
    }
    let options = ["--user-command", command, "--code-dir", "", "--boot-file", "", "--framework-type", ""];
    let job = submit(bench, &[&options[..], &["--framework-version", "", "--autosearch", search]].concat()).await;
    bench.run(0, Auth::Keys, &["ma-job", "get-log", "-i", &job, "-f"]).await;
    for arguments in [&["trials", &job][..], &["trials", &job, "--trial", "trial-1"], &["trials", &job, "--importance"]] {
        bench.run(0, Auth::Keys, &[&["ma-job"], arguments].concat()).await;
    }
    bench.run(1, Auth::Keys, &["ma-job", "trial-stop", &job, "trial-1"]).await;
}

async fn be_refused(bench: &Bench) {
    let unknown = "00000000-0000-0000-0000-000000000000";
    for verb in
        [&["get-job"][..], &["get-log"], &["get-event"], &["stop", "-y"], &["delete", "-y"], &["export"], &["rerun"], &["tag"]]
    {
        bench.run(5, Auth::Keys, &[&["ma-job"], verb, &["-i", unknown]].concat()).await;
    }
    bench.run(4, Auth::WrongKeys, &["ma-job", "get-job"]).await;
    bench.run(4, Auth::WrongKeys, &["ma-job", "get-engine"]).await;
}
