//! `ma-cli api`: paths, fields, bodies, pages, text answers and refusals, on a service that records what it was asked.

use serde_json::{Value, json};

use crate::fake_service::{FakeService, reply};
use crate::support::Home;

/// Lists in the ways the services cut them, an echo-less body, a text, a refusal.
fn canned(method: &str, path: &str) -> Option<Vec<u8>> {
    let json = |document: Value| Some(reply(200, "", document.to_string().as_bytes()));
    match (method, path) {
        ("GET", "/v2/p1/pools") => json(json!({"items": [{"metadata": {"name": "a"}}], "unknown": {"kept": 1}})),
        ("GET", "/v1/p1/notebooks?limit=2") => json(json!({"data": [1, 2], "total": 3})),
        ("GET", "/v1/p1/notebooks?limit=2&offset=2") => json(json!({"data": [3], "total": 3})),
        ("GET", "/v1/p1/workspaces?limit=1") => json(json!({"workspaces": ["a"], "total_count": 2, "count": 1})),
        ("GET", "/v1/p1/workspaces?limit=1&offset=1") => json(json!({"workspaces": ["b"], "total_count": 2, "count": 1})),
        ("GET", "/v1/p1/networks") => json(json!({"items": ["x"], "metadata": {"continue": "t+1"}})),
        ("GET", "/v1/p1/networks?continue=t%2B1") => json(json!({"items": ["y"], "metadata": {}})),
        ("GET", "/v1/p1/models?limit=100") => json(json!({"models": ["a", "b"], "total_count": 3})),
        ("GET", "/v1/p1/models?limit=100&offset=1") => json(json!({"models": ["c"], "total_count": 3})),
        ("GET", "/v3/projects") => json(json!({"projects": [{"id": "p1"}], "links": {"next": null}})),
        ("GET", "/v2/p1/training-jobs/a%2Fb/tasks/worker-0/logs/preview") => Some(reply(200, "", b"no JSON\n")),
        ("POST" | "PUT", _) => Some(reply(200, "", b"")),
        _ => Some(reply(404, "X-Request-Id: r9\r\n", br#"{"error_code": "APIGW.0101", "error_msg": "no such API"}"#)),
    }
}

fn service() -> FakeService {
    let service = FakeService::start(&[], |_, _| {});
    service.state.lock().unwrap().canned = Some(canned);
    service
}

#[test]
fn operations_are_reached_by_path_with_fields_bodies_and_pages() {
    let (home, service) = (Home::new(), service());
    let run = |arguments: &[&str]| {
        let mut command = service.command(&home, &[&["api"], arguments].concat());
        let output = command.env("MA_CLI_IAM_ENDPOINT", &service.endpoint).output().unwrap();
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap(), output.status.code())
    };
    let document = |arguments: &[&str]| -> Value {
        let (stdout, stderr, _) = run(arguments);
        serde_json::from_str(&stdout).unwrap_or_else(|_| panic!("{arguments:?}: {stdout}{stderr}"))
    };

    assert_eq!(document(&["get", "/v2/{project_id}/pools"])["unknown"]["kept"], 1);
    assert_eq!(run(&["GET", "v2/{project_id}/pools", "--query", "items[0].metadata.name"]).0, "a\n");
    assert_eq!(document(&["GET", "/v1/{project_id}/notebooks", "-f", "limit=2", "--paginate"]), json!([1, 2, 3]));
    assert_eq!(document(&["GET", "/v1/{project_id}/workspaces?limit=1", "--paginate"]), json!(["a", "b"]));
    let capped = ["GET", "/v1/{project_id}/models", "-f", "limit=100", "--paginate"];
    assert_eq!(document(&capped), json!(["a", "b", "c"]), "a service sends fewer items than it is asked for");
    assert_eq!(run(&["GET", "/v1/{project_id}/networks", "--paginate", "-F", "jsonl"]).0, "\"x\"\n\"y\"\n");
    assert_eq!(document(&["GET", "/v3/projects", "--paginate"]), json!([{"id": "p1"}]));
    let path = "/v2/{project_id}/training-jobs/{training_job_id}/tasks/worker-0/logs/preview";
    assert_eq!(run(&["GET", path, "-f", "training_job_id=a/b"]).0, "no JSON\n");
    let (stdout, stderr, code) = run(&["GET", path, "-f", "training_job_id=a/b", "-F", "json"]);
    assert_eq!((stdout.as_str(), code), ("", Some(1)), "a document was asked for: {stderr}");
    let before = service.state.lock().unwrap().seen.len();
    let (stdout, _, code) = run(&["DELETE", "/v2/{project_id}/training-jobs/x", "-F", "csv"]);
    let after = service.state.lock().unwrap().seen.len();
    assert_eq!((stdout.as_str(), code, after), ("", Some(2), before), "nothing is done whose result cannot be shown");

    std::fs::write(home.path().join("body.json"), "{\"name\": \"n\"}").unwrap();
    assert_eq!(
        run(&["POST", "/v2/{project_id}/algorithms", "--input", "body.json", "-f", "dry=1"]),
        (String::new(), String::new(), Some(0))
    );
    run(&["DELETE", "/v2/{project_id}/training-jobs/a#b", "-f", "c[d]=1", "-f", "e[]=2"]);
    let seen = service.state.lock().unwrap().seen.clone();
    for request in ["POST /v2/p1/algorithms?dry=1", "DELETE /v2/p1/training-jobs/a%23b?c%5Bd%5D=1&e%5B%5D=2"] {
        assert!(seen.contains(&request.to_owned()), "{request}: {seen:?}");
    }

    let (stdout, stderr, code) = run(&["GET", "/v2/{project_id}/pool", "-F", "json"]);
    let error: Value = serde_json::from_str(&stderr).unwrap();
    assert_eq!((stdout.as_str(), code, &error["error"]["request_id"]), ("", Some(5), &json!("r9")));
    assert_eq!(error["error"]["hints"], json!(["did you mean [/v2/{project_id}/pools]?"]));

    std::fs::write(home.path().join("list.json"), "[1]").unwrap();
    for (arguments, words) in [
        (&["GET", "https://elsewhere/v2/x"][..], "is a URL"),
        (&["GET", path][..], "add -f training_job_id=VALUE"),
        (&["POST", "/v2/x", "-f", "a:=nope"][..], "no JSON"),
        (&["DELETE", "/v2/{project_id}/training-jobs/.."][..], "names another path"),
        (&["DELETE", "/v2/{project_id}/training-jobs/{id}", "-f", "id=."][..], "names another path"),
        (&["DELETE", "/v1/{project_id}/notebooks", "--paginate"][..], "not for DELETE"),
        (&["POST", "/v2/x", "--input", "list.json", "--paginate"][..], "no JSON object"),
    ] {
        let (_, stderr, code) = run(arguments);
        assert!(code == Some(2) && stderr.contains(words), "{arguments:?}: {stderr}");
    }
}
