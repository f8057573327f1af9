//! What every command shows: as text, as JSON, and when there is nothing to show. One snapshot a command, on a service with canned
//! replies. A command without a row here fails the first test.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use regex::Regex;
use serde_json::{Value, json};

use crate::fake_service::{FakeService, reply};
use crate::support::Home;

/// A command, and what to run; after `&` stands one more command line. After `|` stands what is run on a service that has nothing.
const ROWS: &[(&str, &str)] = &[
    ("algorithm create", "algorithm create --file algorithm.yaml"),
    ("algorithm delete", "algorithm delete a1 -y | algorithm delete nothing -y"),
    ("algorithm list", "algorithm list | algorithm list"),
    ("algorithm show", "algorithm show a1 | algorithm show nothing"),
    ("algorithm update", "algorithm update a1 --description new | algorithm update nothing --description new"),
    ("api", "api GET /v2/{project_id}/pools | api GET /v2/{project_id}/pools"),
    (
        "auth login",
        "auth login -C profiles.yaml -P fresh -auth AKSK -ak AK -sk SK -r cn-north-4 | auth login -C profiles.yaml -P out",
    ),
    ("auth logout", "auth logout -C profiles.yaml -P ann -y | auth logout -C profiles.yaml -P out -y"),
    ("auth status", "auth status -C profiles.yaml -P ann | auth status -C profiles.yaml -P out"),
    ("auth token", "auth token -C profiles.yaml -P ann | auth token"),
    ("auto-completion", "auto-completion bash"),
    (
        "configure",
        "configure -auth AKSK -ak AK -sk SK -r cn-north-4 & configure -C p.yaml -auth AKSK -ak AK -sk SK -r cn-north-4",
    ),
    ("configure delete", "configure delete -C profiles.yaml ann -y | configure delete -C profiles.yaml nobody -y"),
    ("configure export", "configure export -C profiles.yaml -P ann | configure export -C profiles.yaml -P out"),
    ("configure list", "configure list"),
    // The path of this file is short enough for its cell: the folder has another name each time.
    ("configure show", "configure show -C p.yaml | configure show -C profiles.yaml -P out --query settings"),
    ("configure test", "configure test | configure test"),
    ("configure use", "configure use DEFAULT | configure use nobody"),
    ("doctor", "doctor --bucket obs://b & doctor --offline | doctor"),
    ("help", "help exit-codes & help nonsense"),
    ("ma-job delete", "ma-job delete j1 -y | ma-job delete --state Failed -y"),
    ("ma-job evaluate", "ma-job evaluate j1 --file obs://b/eval.json | ma-job evaluate j1"),
    ("ma-job export", "ma-job export j1 | ma-job export nothing"),
    ("ma-job get-engine", "ma-job get-engine -v | ma-job get-engine"),
    ("ma-job get-event", "ma-job get-event -i j1 | ma-job get-event -i j1"),
    ("ma-job get-flavor", "ma-job get-flavor -v | ma-job get-flavor"),
    ("ma-job get-job", "ma-job get-job & ma-job get-job -i j1 | ma-job get-job"),
    ("ma-job get-log", "ma-job get-log -i j1 | ma-job get-log -i nothing"),
    ("ma-job get-pool", "ma-job get-pool -v | ma-job get-pool"),
    ("ma-job init", "ma-job init fresh.yaml"),
    ("ma-job metrics", "ma-job metrics j1 | ma-job metrics j1"),
    ("ma-job rerun", "ma-job rerun j1 --dry-run | ma-job rerun nothing --dry-run"),
    ("ma-job set-priority", "ma-job set-priority r1 --priority 2 | ma-job set-priority nothing --priority 2"),
    ("ma-job shell", "ma-job shell r1 -- true | ma-job shell nothing -- true"),
    ("ma-job stop", "ma-job stop r1 -y | ma-job stop --state Pending -y"),
    ("ma-job submit", "ma-job submit train.yaml --dry-run & ma-job submit wrong.yaml --dry-run | ma-job submit train.yaml -q"),
    ("ma-job tag", "ma-job tag j1 | ma-job tag j1"),
    ("ma-job trial-stop", "ma-job trial-stop j1 trial-3 | ma-job trial-stop nothing trial-3"),
    ("ma-job trials", "ma-job trials j1 | ma-job trials j1"),
    ("ma-job update", "ma-job update j1 --description new | ma-job update nothing --description new"),
    (
        "ma-job validate",
        "ma-job validate train.yaml --offline & ma-job validate wrong.yaml --offline | ma-job validate train.yaml",
    ),
    ("ma-job wait", "ma-job wait j1 | ma-job wait nothing"),
    ("obs cat", "obs cat obs://b/eval.json | obs cat obs://b/nothing"),
    ("obs ls", "obs ls obs://b/ & obs ls | obs ls"),
    ("obs mb", "obs mb obs://b"),
    ("obs rb", "obs rb obs://b | obs rb obs://nothing"),
    ("obs rm", "obs rm obs://b/eval.json | obs rm obs://b/nothing"),
    ("obs stat", "obs stat obs://b/eval.json | obs stat obs://b/nothing"),
    ("obs-copy", "obs-copy train.yaml obs://b/jobs/ --dry-run | obs-copy --list-unfinished"),
    ("version", "version"),
];

/// The life of a platform, in this order: before it is there, and while it is.
const LIFE: [&str; 9] = [
    "platform logs",
    "platform status",
    "platform stop",
    "platform reset -y",
    "platform start --slots 2",
    "platform status",
    "platform logs --tail 1",
    "platform stop",
    "platform reset -y",
];

/// Commands for which it makes no difference what a service has; what `auth` and `configure` show comes from no list either.
const NEVER_EMPTY: [&str; 6] = ["algorithm create", "auto-completion", "help", "ma-job init", "obs mb", "version"];

/// Commands that are shown elsewhere, with the reason. May only shrink.
const ELSEWHERE: &str = include_str!("../data/commands-without-snapshot.txt");

#[test]
fn every_command_has_a_row() {
    fn leaves(command: &clap::Command, path: &str, found: &mut BTreeSet<String>) {
        for child in command.get_subcommands().filter(|child| !child.is_hide_set()) {
            let path = format!("{path} {}", child.get_name()).trim().to_owned();
            leaves(child, &path, found);
            // Some commands do something of their own and have verbs as well.
            if !child.is_subcommand_required_set() {
                found.insert(path);
            }
        }
    }
    let mut commands = BTreeSet::new();
    leaves(&ma_cli::cli::command(), "", &mut commands);
    let excused: BTreeSet<&str> =
        ELSEWHERE.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split(':').next()).collect();
    let life = LIFE.iter().map(|line| command_of(line));
    let rows: BTreeSet<&str> = ROWS.iter().map(|row| row.0).chain(life).collect();
    let missing: Vec<_> =
        commands.iter().filter(|name| !rows.contains(name.as_str()) && !excused.contains(name.as_str())).collect();
    assert!(missing.is_empty(), "no row for {missing:?}");
    let vain: Vec<_> = rows.iter().filter(|row| !commands.contains(**row) || excused.contains(**row)).collect();
    assert!(vain.is_empty(), "rows of no command, or of one that is excused: {vain:?}");
    let has_no_list = |command: &str| command.starts_with("auth ") || command.starts_with("configure");
    for (command, lines) in ROWS.iter().filter(|row| !has_no_list(row.0)) {
        let is_excused = NEVER_EMPTY.contains(command);
        assert!(lines.contains(" | ") != is_excused, "{command} is not shown with nothing, or is excused from it in vain");
    }
}

/// The first two words: noun and verb.
fn command_of(line: &str) -> &str {
    line.match_indices(' ').nth(1).map_or(line, |(at, _)| &line[..at])
}

#[test]
fn algorithm_commands() {
    shows("algorithm");
}

#[test]
fn ma_job_commands() {
    shows("ma-job");
}

#[test]
fn obs_commands() {
    shows("obs");
}

#[test]
fn other_commands() {
    shows("");
}

/// Compares the commands that begin with that word; those that begin with none of the other words for the empty one.
fn shows(noun: &str) {
    let nouns = ["algorithm", "ma-job", "obs"];
    let noun_of = |command: &str| {
        let first = command.split(' ').next().unwrap_or_default();
        nouns.iter().copied().find(|noun| *noun == first).unwrap_or_default().to_owned()
    };
    let (home, service) = (Home::new(), FakeService::start(&[], |_, _| {}));
    for (command, lines) in ROWS.iter().filter(|row| noun_of(row.0) == noun) {
        let mut shown = String::new();
        for (index, lines) in lines.split(" | ").enumerate() {
            service.state.lock().unwrap().canned = Some(if index == 0 { full } else { empty });
            let note = if index == 0 { "" } else { " (of a service that has nothing)" };
            for line in lines.split(" & ") {
                let run = |line: &str| {
                    let _ = std::fs::remove_file(home.path().join("fresh.yaml"));
                    put_files(home.path());
                    let mut command = service.command(&home, &line.split(' ').collect::<Vec<_>>());
                    for name in ["OBS", "IAM", "SWR", "DLI"] {
                        command.env(format!("MA_CLI_{name}_ENDPOINT"), &service.endpoint);
                    }
                    run(command, &home, &service.endpoint)
                };
                shown.push_str(&in_both_formats(line, note, run));
            }
        }
        insta::assert_snapshot!(command.replace(' ', "_"), shown);
    }
}

/// The files that command lines name, as they were at first: a command may have changed them.
fn put_files(folder: &Path) {
    for (name, text) in FILES {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
}

#[test]
fn platform_commands() {
    struct Stop<'a>(&'a Home);
    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.run(&["platform", "stop"]);
        }
    }
    let home = Home::new();
    let _stop = Stop(&home);
    let mut shown: BTreeMap<&str, String> = BTreeMap::new();
    for line in LIFE {
        let run = |line: &str| {
            let mut command = home.command();
            command.args(line.split(' '));
            run(command, &home, "http://127.0.0.1:0")
        };
        shown.entry(command_of(line)).or_default().push_str(&in_both_formats(line, "", run));
    }
    for (command, shown) in shown {
        insta::assert_snapshot!(command.replace(' ', "_"), shown);
    }
}

/// The command line as text and as JSON, which has to end in the same way. The format stands first: after `--` it would be another
/// program's.
fn in_both_formats(line: &str, note: &str, run: impl Fn(&str) -> (String, i32)) -> String {
    let json = format!("-F json {line}");
    let (text, document) = (run(line), run(&json));
    assert_eq!(text.1, document.1, "{json}: {}", document.0);
    format!("$ ma-cli {line}{note}\n{}$ ma-cli {json}{note}\n{}", text.0, document.0)
}

/// What stands on both streams, and how it ends.
fn run(mut command: Command, home: &Home, endpoint: &str) -> (String, i32) {
    // No program of this machine is part of a snapshot.
    let output = command.env("TZ", "UTC").env("PATH", home.path()).stdin(Stdio::null()).output().unwrap();
    let mut shown = String::new();
    for (name, bytes) in [("", &output.stdout), ("2> ", &output.stderr)] {
        let text = steady(&String::from_utf8_lossy(bytes), home.path(), endpoint);
        shown.extend(text.lines().map(|line| format!("{name}{line}").trim_end().to_owned() + "\n"));
    }
    let code = output.status.code().unwrap_or(-1);
    (shown + &format!("exit {code}\n\n"), code)
}

/// The text without what differs from run to run.
fn steady(text: &str, home: &Path, endpoint: &str) -> String {
    let mut text = text.replace(&home.to_string_lossy().into_owned(), "HOME").replace(endpoint, "http://SERVICE");
    for (pattern, replacement) in [
        (r"ma-cli \d+\.\d+\.\d+ \([a-z ]+\) on [^|\x22]+?( +\||\x22)", "ma-cli VERSION on SYSTEM$1"),
        // The name of a system may take a line of its cell more.
        (r"(on SYSTEM +\|.*\n)(?:\| +\| +\| .*\n)+", "$1"),
        (r"\d+(\.\d+)? [KMGTP]?i?B free in", "ROOM free in"),
        (r"\d+(\.\d+)? (ms|s)\b", "N $2"),
        (r"127\.0\.0\.1:\d+", "127.0.0.1:PORT"),
        (r"\(pid \d+\)", "(pid PID)"),
        (r"(\| pid +\| |\x22pid\x22: )\d+", "${1}PID"),
        (r"(\| (access_key|project_id) +\| )\S{20,}", "${1}RANDOM"),
        (r"(\x22(access_key|secret_key|password|project_id)\x22: )\x22[^\x22]{20,}\x22", "${1}\"RANDOM\""),
        (r"(\| (?:version|commit|build date) +\| )(?:\d|unknown)\S*", "${1}WHICH"),
        (r"(\x22(version|commit|build_date)\x22: )\x22[^\x22]+\x22", "${1}\"WHICH\""),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", "TIME"),
        (r#""milliseconds": \d+"#, r#""milliseconds": N"#),
        // The time that each service took stands in the last cell.
        (r"(?m)^(\| (?:iam|modelarts|obs) .*\|) +\d+ +\|$", "$1 N |"),
    ] {
        text = Regex::new(pattern).unwrap().replace_all(&text, replacement).into_owned();
    }
    // Borders and padding follow the width of what was replaced.
    text = Regex::new(r" {2,}\|").unwrap().replace_all(&text, " |").into_owned();
    Regex::new(r"[-=]{3,}").unwrap().replace_all(&text, "---").into_owned()
}

const FILES: [(&str, &str); 4] = [
    (
        "profiles.yaml",
        "# mine\nann: {auth: PWD, account: acme, username: ann, password: pass-of-ann, region: cn-north-4, project_id: p1}\nout: {auth: AKSK, access_key: AKOFOUT0001, region: cn-north-4}\n",
    ),
    (
        "train.yaml",
        "name: again\ntrain-instance-type: modelarts.vm.cpu.2u\nframework-type: PyTorch\nframework-version: pytorch_1.8\ncode-dir: obs://b/code/\nboot-file: obs://b/code/train.py\nlog-url: obs://b/logs/\n",
    ),
    ("wrong.yaml", "naem: again\ntrain-instance-count: many\n"),
    ("algorithm.yaml", "metadata:\n  name: fresh\njob_config:\n  code_dir: /b/code/\n  boot_file: /b/code/train.py\n"),
];

/// A service that has one or two of everything, with a field that no client knows.
fn full(method: &str, path: &str) -> Option<Vec<u8>> {
    let (path, _) = path.split_once('?').unwrap_or((path, ""));
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let document = match (method, &parts[..]) {
        (_, [""]) => {
            return Some(xml(
                "<ListAllMyBucketsResult><Buckets><Bucket><Name>b</Name><CreationDate>2024-01-01T00:00:00.000Z</CreationDate></Bucket></Buckets></ListAllMyBucketsResult>",
            ));
        }
        ("GET", ["v3", "auth", "domains"]) => json!({"domains": [{"id": "d1", "name": "acme", "unknown": 1}]}),
        ("POST", ["v3", "auth", "tokens"]) => {
            let token = json!({"token": {"expires_at": "2999-01-01T00:00:00.000000Z", "project": {"id": "p1"}}});
            return Some(reply(201, "X-Subject-Token: TOKEN-OF-ANN\r\n", token.to_string().as_bytes()));
        }
        ("POST", ["v3.0", "OS-CREDENTIAL", "securitytokens"]) => json!({"credential": {"access": "TEMPORARYKEY",
            "secret": "temporary-secret", "securitytoken": "temporary-token", "expires_at": "2999-01-01T00:00:00.000000Z"}}),
        ("POST", ["v2", _, "training-job-searches"]) => json!({"items": [job("r1"), job("j1")], "total": 2, "count": 2}),
        ("GET", ["v2", _, "training-jobs", id @ ("j1" | "r1")]) => job(id),
        ("GET", ["v2", _, "training-jobs", _, "events"]) => {
            json!({"events": [{"time": 1_700_000_000_000_i64, "level": "Info", "message": "created", "unknown": 1}], "total": 1})
        }
        ("GET", ["v2", _, "training-jobs", _, "metrics", _]) => {
            json!({"metrics": [{"metric": "cpuUsage", "value": [10, 50, 90, 50]}, {"metric": "memUsage", "value": [-1, -1, -1, -1]}]})
        }
        ("GET", ["v2", _, "training-jobs", _, "tasks", _, "logs", "preview"]) => {
            json!({"content": "epoch 1\nepoch 2\n", "current_size": 16, "full_size": 16})
        }
        ("GET", ["v2", _, "training-jobs", _, "autosearch-trials"]) => json!({"items": {
            "header": ["trial_id", "status", "lr", "accuracy"], "data": [["t1", "TERMINATED", "0.1", "0.9"], ["t2", "RUNNING", "0.2", "0.8"]]}, "total": 2}),
        ("GET", ["v2", _, "modelarts-training-job", _, "tags"]) => json!({"tags": [{"key": "team", "value": "vision"}]}),
        ("GET", ["v2", _, "training-job-engines"]) => json!({"items": [{"engine_id": "pytorch-1.8", "engine_name": "PyTorch",
            "engine_version": "pytorch_1.8", "run_user": "1000", "image_info": {"cpu_image_url": "swr/pytorch:1.8"}}], "total": 1}),
        ("GET", ["v2", _, "training-job-flavors"]) => {
            json!({"flavors": [{"flavor_id": "modelarts.vm.cpu.2u", "flavor_name": "2 vCPUs",
            "flavor_type": "CPU", "flavor_info": {"max_num": 4, "cpu": {"core_num": 2}, "memory": {"size": 8, "unit": "GB"}}}], "total_count": 1})
        }
        ("GET", ["v2", _, "pools"]) => {
            json!({"items": [{"metadata": {"name": "pool-1", "labels": {"os.modelarts/name": "mine"}},
            "spec": {"type": "Dedicate", "scope": ["Train"], "resources": [{"flavor": "big", "count": 2}]}, "status": {"phase": "Running"}}]})
        }
        ("GET", ["v2", _, "algorithms"]) => json!({"items": [algorithm()], "total": 1, "count": 1}),
        (_, ["v2", _, "algorithms", "a1"]) | ("POST", ["v2", _, "algorithms"]) => algorithm(),
        (_, ["v2", ..]) if method != "GET" => json!({}),
        ("HEAD", ["b", "eval.json"]) => return Some(eval(b"")),
        ("GET", ["b", "eval.json"]) => return Some(eval(EVALUATION)),
        ("GET", ["b"]) => {
            return Some(xml(
                "<ListBucketResult><Name>b</Name><IsTruncated>false</IsTruncated><KeyCount>2</KeyCount><Contents><Key>eval.json</Key><LastModified>2024-01-02T03:04:05.000Z</LastModified><ETag>&quot;e1&quot;</ETag><Size>17</Size></Contents><CommonPrefixes><Prefix>data/</Prefix></CommonPrefixes></ListBucketResult>",
            ));
        }
        ("PUT" | "HEAD", ["b"]) => return Some(reply(200, "", b"")),
        ("DELETE", ["b", ..]) => return Some(reply(204, "", b"")),
        ("HEAD", _) => return Some(reply(404, "", b"")),
        _ => return refused(),
    };
    Some(reply(200, "", document.to_string().as_bytes()))
}

/// The same service before anything was made.
fn empty(method: &str, path: &str) -> Option<Vec<u8>> {
    let (path, _) = path.split_once('?').unwrap_or((path, ""));
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let document = match (method, &parts[..]) {
        (_, [""]) => return Some(xml("<ListAllMyBucketsResult><Buckets></Buckets></ListAllMyBucketsResult>")),
        ("GET", ["v2", _, "training-jobs", "j1"]) => {
            json!({"metadata": {"id": "j1", "name": "n1"}, "status": {"phase": "Pending", "tasks": ["worker-0"]}})
        }
        ("POST", ["v2", _, "training-job-searches"]) => json!({"items": [], "total": 0, "count": 0}),
        ("GET", ["v2", _, "training-jobs", "j1", "events"]) => json!({"events": [], "total": 0}),
        ("GET", ["v2", _, "training-jobs", "j1", "metrics", _]) => json!({"metrics": []}),
        ("GET", ["v2", _, "training-jobs", "j1", "autosearch-trials"]) => {
            json!({"items": {"header": [], "data": []}, "total": 0})
        }
        ("GET", ["v2", _, "modelarts-training-job", _, "tags"]) => json!({"tags": []}),
        ("GET", ["v2", _, "training-job-flavors"]) => json!({"flavors": [], "total_count": 0}),
        ("GET", ["v2", _, "training-job-engines" | "pools" | "algorithms"]) => json!({"items": [], "total": 0}),
        ("HEAD", _) => return Some(reply(404, "", b"")),
        _ => return refused(),
    };
    Some(reply(200, "", document.to_string().as_bytes()))
}

const EVALUATION: &[u8] = br#"{"accuracy": 0.9}"#;

fn eval(body: &[u8]) -> Vec<u8> {
    let head = "ETag: \"7fae3cdb14fcb0c1f1f8d2ba1bfd7a41\"\r\nLast-Modified: Tue, 02 Jan 2024 03:04:05 GMT\r\nContent-Type: application/json\r\n";
    if body.is_empty() {
        return format!("HTTP/1.1 200 x\r\n{head}Content-Length: {}\r\n\r\n", EVALUATION.len()).into_bytes();
    }
    reply(200, head, body)
}

fn xml(body: &str) -> Vec<u8> {
    reply(200, "Content-Type: application/xml\r\n", body.as_bytes())
}

fn refused() -> Option<Vec<u8>> {
    Some(reply(404, "X-Request-Id: r404\r\n", br#"{"error_code": "ModelArts.0404", "error_msg": "there is no such thing"}"#))
}

fn job(id: &str) -> Value {
    let (phase, tasks) = if id == "r1" { ("Running", json!(["worker-0"])) } else { ("Completed", json!(["worker-0"])) };
    json!({
        "kind": "job",
        "metadata": {"id": id, "name": format!("name-of-{id}"), "description": "资料 🚀", "create_time": 1_700_000_000_000_i64, "user_name": "jo"},
        "status": {"phase": phase, "duration": 76_000, "start_time": 1_700_000_010_000_i64, "tasks": tasks},
        "algorithm": {"code_dir": "/b/code/", "boot_file": "/b/code/train.py", "engine": {"engine_id": "pytorch-1.8", "engine_name": "PyTorch", "engine_version": "pytorch_1.8"},
            "parameters": [{"name": "epoch", "value": "1"}], "inputs": [], "outputs": []},
        "spec": {"resource": {"flavor_id": "modelarts.vm.cpu.2u", "node_count": 1}, "log_export_path": {"obs_url": "/b/logs/"}},
        "unknown": {"kept": true},
    })
}

fn algorithm() -> Value {
    json!({
        "metadata": {"id": "a1", "name": "mnist", "description": "digits", "create_time": 1_700_000_000_000_i64},
        "job_config": {"code_dir": "/b/code/", "boot_file": "/b/code/train.py", "engine": {"engine_id": "pytorch-1.8", "engine_version": "pytorch_1.8"},
            "parameters": [{"name": "epoch", "value": "1", "constraint": {"type": "Integer", "editable": true, "required": true}}]},
        "unknown": {"kept": true},
    })
}
