//! Tables cut to size, documents untouched, errors as one line, and the spellings people guess.

use serde_json::{Value, json};

use crate::fake_service::{FakeService, reply};
use crate::support::Home;

fn canned(method: &str, path: &str) -> Option<Vec<u8>> {
    let job = |id: &str, name: &str, phase: &str| json!({"metadata": {"id": id, "name": name}, "status": {"phase": phase}, "spec": {"resource": {"node_count": 2}}, "new_field": [null]});
    let document = match (method, path) {
        ("POST", "/v2/p1/training-job-searches") => {
            json!({"items": [job("j2", "资料\u{1f680}", "Running"), job("j1", "b\u{1b}[2J", "Failed")], "total": 2})
        }
        ("GET", "/v2/p1/training-jobs/j1") => job("j1", "b", "Completed"),
        ("GET", "/v2/p1/pools") => json!({"items": [
            {"metadata": {"name": "pool-b"}, "spec": {"scope": ["Train"]}, "status": {"phase": "Running"}},
            {"metadata": {"name": "pool-a"}, "spec": {"scope": ["Train"]}, "status": {"phase": "Error"}}]}),
        _ => return None,
    };
    Some(reply(200, "", document.to_string().as_bytes()))
}

fn service() -> FakeService {
    let service = FakeService::start(&["worker-0"], |_, _| {});
    service.state.lock().unwrap().canned = Some(canned);
    service
}

#[test]
fn tables_are_cut_to_columns_and_sorted_and_documents_keep_every_field() {
    let (home, service) = (Home::new(), service());
    let stdout = |arguments: &[&str]| {
        let output = service.run(&home, arguments);
        assert_eq!(output.code, 0, "{output:?}");
        output.stdout
    };
    let table = stdout(&["ma-job", "get-job", "--columns", "name,Status,spec.resource.node_count"]);
    insta::assert_snapshot!(table, @r"
    +--------+---------+--------------------------+
    | name   | status  | spec.resource.node_count |
    +========+=========+==========================+
    | 资料🚀 | Running | 2                        |
    +--------+---------+--------------------------+
    | b[2J   | Failed  | 2                        |
    +--------+---------+--------------------------+
    ");
    assert_eq!(
        stdout(&["ma-job", "get-pool", "--columns", "index,id", "--sort", "id", "-F", "csv"]),
        "index,id\r\n1,pool-a\r\n2,pool-b\r\n"
    );
    assert_eq!(
        stdout(&["ma-job", "get-pool", "--columns", "id", "--sort=-id", "-F", "csv", "--no-header"]),
        "pool-b\r\npool-a\r\n"
    );
    let sorted: Value = serde_json::from_str(&stdout(&["ma-job", "get-pool", "--sort", "status", "-F", "json"])).unwrap();
    assert_eq!(sorted[0]["metadata"]["name"], "pool-a");
    let jobs: Value = serde_json::from_str(&stdout(&["ma-job", "get-job", "-F", "json"])).unwrap();
    assert_eq!((jobs[0]["new_field"].clone(), jobs[1]["metadata"]["name"].clone()), (json!([null]), json!("b\u{1b}[2J")));

    let names =
        |sort: &str| stdout(&["ma-job", "get-job", "--columns", "name,status", "--sort", sort, "-F", "csv", "--no-header"]);
    assert_eq!(names("status,-create_time"), "b\u{1b}[2J,Failed\r\n资料\u{1f680},Running\r\n");
    assert_eq!(names("duration"), names("-status"), "the service sorts by its own fields");
    let sorted: Value = serde_json::from_str(&stdout(&["ma-job", "get-job", "--sort", "status", "-F", "json"])).unwrap();
    assert_eq!(sorted[0]["metadata"]["id"], "j1");

    let output = service.run(&home, &["ma-job", "get-pool", "--columns", "stat"]);
    assert!(output.code == 2 && output.stderr.contains("did you mean [status]?"), "{output:?}");
    let output = service.run(&home, &["ma-job", "get-pool", "--columns", "id", "-F", "json"]);
    let error: Value = serde_json::from_str(&output.stderr).unwrap();
    assert_eq!((output.code, &error["error"]["kind"], output.stdout.as_str()), (2, &json!("usage"), ""));
}

#[test]
fn what_was_done_is_a_document_and_csv_has_rows() {
    let home = Home::new();
    let run = |arguments: &[&str], variables: &[(&str, &str)]| home.run_with(arguments, variables, "");
    let completion = run(&["auto-completion", "Fish"], &[("MA_CLI_FORMAT", "json")]);
    let document: Value = serde_json::from_str(&completion.stdout).unwrap();
    assert_eq!((completion.code, &document["shell"], completion.stderr.as_str()), (0, &json!("Fish"), ""));
    let text = run(&["auto-completion", "Fish"], &[]).stdout;
    assert!(text.ends_with(&format!(".\n\n[OK] {}\n", document["line"].as_str().unwrap())), "{text}");
    let init = run(&["ma-job", "init", "job.yaml", "--query", "file"], &[]);
    assert_eq!((init.code, init.stdout.as_str()), (0, "job.yaml\n"), "{init:?}");
    // What was done stays done, and is no misuse.
    let late = run(&["ma-job", "init", "late.yaml", "-F", "csv", "--columns", "nothing"], &[]);
    assert!(late.code == 0 && late.stderr.contains("[WARN]") && home.path().join("late.yaml").exists(), "{late:?}");

    let implied = run(&["auto-completion", "--query", "shell"], &[("MA_CLI_FORMAT", "csv")]);
    assert_eq!((implied.code, implied.stdout.as_str()), (0, "Bash\n"), "{implied:?}");
    let wrong: [&[&str]; 4] = [
        &["auto-completion", "--query", "shell", "-F", "csv"],
        &["auto-completion", "--columns", ""],
        &["ma-job", "get-job", "--columns", "name,,status"],
        &["ma-job", "get-job", "--sort", "name,"],
    ];
    for arguments in wrong {
        let output = run(arguments, &[]);
        assert_eq!((output.code, output.stdout.as_str()), (2, ""), "{arguments:?} {output:?}");
    }
}

#[test]
fn guessed_spellings_work_and_are_not_shown() {
    let (home, service) = (Home::new(), service());
    let same = |guessed: &[&str], documented: &[&str]| {
        let (left, right) = (service.run(&home, guessed), service.run(&home, documented));
        assert_eq!(left, right, "{guessed:?}");
    };
    same(&["ma-job", "list"], &["ma-job", "get-job"]);
    same(&["job", "show", "j1", "-F", "json"], &["ma-job", "get-job", "j1", "-F", "json"]);
    same(&["ma-job", "logs", "j1"], &["ma-job", "get-log", "-i", "j1"]);
    same(&["ma-job", "cancel", "j1", "-y"], &["ma-job", "stop", "-i", "j1", "-y"]);
    same(&["obs", "cp", "-r", "nothing", "obs://b"], &["obs-copy", "nothing", "obs://b"]);
    same(&["-F", "json", "obs", "copy", "-h"], &["obs-copy", "-h"]);
    // What stands between the two words holds.
    same(&["obs", "-P", "nosuch", "cp", "f", "obs://b"], &["obs-copy", "-P", "nosuch", "f", "obs://b"]);
    same(&["obs", "-F", "json", "cp", "nothing", "obs://b"], &["obs-copy", "-F", "json", "nothing", "obs://b"]);
    let page = home.run(&["ma-job", "-h"]).stdout;
    assert!(page.contains("Commands:\n  submit ") && !page.contains("\n  cancel") && !page.contains("\n  logs"), "{page}");
}

#[test]
fn misuse_is_one_line_of_json_where_documents_are_asked_for() {
    let home = Home::new();
    for (arguments, message) in [
        (&["ma-job", "get-jbo", "-F", "json"][..], "No such command 'get-jbo'. Did you mean get-job?"),
        (&["-Fyaml", "obs", "ls", "--recursiv"][..], "No such option: --recursiv Did you mean --recursive?"),
        (&["obs", "ls", "--format=jsonl", "--output", "x"][..], "No such option: --output Did you mean -F?"),
        (&["obs", "stat", "--query", "size"][..], "Missing argument 'URL'."),
    ] {
        let output = home.run(arguments);
        let error: Value = serde_json::from_str(&output.stderr).unwrap_or_else(|_| panic!("{output:?}"));
        assert_eq!((output.code, output.stdout.as_str(), output.stderr.lines().count()), (2, "", 1), "{output:?}");
        assert_eq!((&error["error"]["kind"], &error["error"]["message"]), (&json!("usage"), &json!(message)));
    }
    // Before anything is looked up or done.
    let output = home.run(&["obs", "mb", "obs://bck1", "--query", "["]);
    assert!(output.code == 2 && output.stderr.contains("--query [[]"), "{output:?}");
    let output = home.run_with(&["nothing"], &[("MA_CLI_FORMAT", "json")], "");
    assert!(output.stderr.starts_with("{\"error\":"), "{output:?}");
    assert!(home.run(&["nothing"]).stderr.starts_with("Usage: "));
}

#[test]
fn a_mistyped_region_is_named_when_its_services_are_not_there() {
    let home = Home::new();
    let variables = [
        ("REGION_NAME", "cn-noth-4"),
        ("HUAWEICLOUD_SDK_AK", "a"),
        ("HUAWEICLOUD_SDK_SK", "s"),
        ("PROJECT_ID", "p"),
        // Nothing listens there, so that no name is looked up outside.
        ("HTTPS_PROXY", "http://127.0.0.1:9"),
    ];
    let output = home.run_with(&["ma-job", "get-pool"], &variables, "");
    assert_eq!(output.code, 1, "{output:?}");
    assert!(output.stderr.contains("[cn-noth-4] is no region that this tool knows; did you mean [cn-north-4]?"), "{output:?}");
}
