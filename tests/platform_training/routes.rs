//! What belongs to jobs: tags, stages, categories of events, lines of logs, many deletions at once.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::bench::{Bench, command};
use crate::{Lab, ONE, lab, python};

async fn sent(bench: &Bench, method: Method, path: &str, body: Value, status: StatusCode) -> Value {
    let reply = bench.call(method, path, Some(&body)).await;
    assert_eq!(reply.status, status, "{path}: {}", reply.text);
    reply.body
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_stages_lines_and_deletions() {
    let Lab { bench, platform, folder } = lab(2).await;
    let numbered = "for i in 1 2 3 4 5 6; do echo line $i; done";
    let (first, second) =
        (bench.submit(&command("first", numbered, ONE)).await, bench.submit(&command("second", "true", ONE)).await);
    for id in [&first, &second] {
        bench.wait(id, &["Completed"]).await;
    }

    let tags = format!("modelarts-training-job/{first}/tags");
    let wanted = json!({"tags": [{"key": "team", "value": "vision"}, {"key": "empty"}]});
    sent(&bench, Method::POST, &format!("{tags}/create"), wanted, StatusCode::NO_CONTENT).await;
    let wanted = json!({"tags": [{"key": "team", "value": "speech"}]});
    sent(&bench, Method::POST, &format!("{tags}/create"), wanted.clone(), StatusCode::NO_CONTENT).await;
    let shown = json!([{"key": "empty", "value": ""}, {"key": "team", "value": "speech"}]);
    assert_eq!(bench.get(&tags).await["tags"], shown);
    assert_eq!(bench.get("modelarts-training-job/tags").await["tags"][1], json!({"key": "team", "values": ["speech"]}));
    let by_tag = json!({"tags": [{"key": "team", "values": ["speech"]}]});
    let instances = "modelarts-training-job/resource-instances";
    let found = sent(&bench, Method::POST, &format!("{instances}/filter"), by_tag.clone(), StatusCode::OK).await;
    assert_eq!((&found["resources"][0]["resource_id"], &found["total_count"]), (&json!(first), &json!(1)));
    assert_eq!(sent(&bench, Method::POST, &format!("{instances}/count"), by_tag, StatusCode::OK).await["total_count"], 1);
    let filter = json!({"filters": [{"key": "tags", "operator": "in", "value": ["team=speech"]}]});
    assert_eq!(sent(&bench, Method::POST, "training-job-searches", filter, StatusCode::OK).await["count"], 1);
    let many: Vec<Value> = (0..10).map(|index| json!({"key": format!("k{index}")})).collect();
    sent(&bench, Method::POST, &format!("{tags}/create"), json!({"tags": many}), StatusCode::NO_CONTENT).await;
    let more: Vec<Value> = (10..20).map(|index| json!({"key": format!("k{index}")})).collect();
    sent(&bench, Method::POST, &format!("{tags}/create"), json!({"tags": more}), StatusCode::BAD_REQUEST).await;
    let other = json!({"tags": [{"key": "team", "value": "vision"}]});
    sent(&bench, Method::DELETE, &format!("{tags}/delete"), other, StatusCode::NO_CONTENT).await;
    assert_eq!(bench.get(&tags).await["tags"].as_array().unwrap().len(), 12, "it has another value by now");
    sent(&bench, Method::DELETE, &format!("{tags}/delete"), wanted, StatusCode::NO_CONTENT).await;
    assert_eq!(bench.get(&tags).await["tags"].as_array().unwrap().len(), 11);

    let stages = bench.get(&format!("training-jobs/{first}/stages")).await;
    let names = stages["running_records"][0]["stages"].as_array().unwrap().iter().map(|stage| stage["name"].as_str().unwrap());
    assert_eq!(names.collect::<Vec<_>>(), ["scheduling", "preparing", "running", "end"]);
    let categories = bench.get("training-event-categories?flavor_type=CPU").await;
    assert_eq!(categories["event-categories"].as_array().unwrap().len(), 6);

    let lines = async |query: &str| bench.get(&format!("training-jobs/{first}/logs/worker-0?{query}")).await;
    let last = lines("lines=2").await;
    assert_eq!(last["content"], "line 5\nline 6\n");
    let earlier = lines(&format!("lines=2&base_line={}", last["start_line"].as_str().unwrap())).await;
    assert_eq!((&earlier["content"], &earlier["end_line"]), (&json!("line 3\nline 4\n"), &last["start_line"]));
    let next = lines(&format!("order=asc&lines=1&base_line={}", earlier["end_line"].as_str().unwrap())).await;
    assert_eq!((&next["content"], &next["lines"]), (&json!("line 5\n"), &json!(1)));
    let whole = bench.log(&first, "worker-0").await;
    let link =
        bench.get(&format!("training-jobs/{first}/tasks/worker-0/logs/url")).await["obs_url"].as_str().unwrap().to_owned();
    let offset = whole.find("line 6").unwrap();
    assert_eq!(bench.follow_from(&link, Some(offset)).await, (StatusCode::PARTIAL_CONTENT, "line 6\n".into()));
    assert_eq!(bench.follow_from(&link, Some(whole.len())).await.0, StatusCode::RANGE_NOT_SATISFIABLE);

    // One that runs keeps all of them.
    let running = bench.submit(&command("running", "echo begun; sleep 600", ONE)).await;
    bench.wait_log(&running, "worker-0", "begun").await;
    let jobs = |ids: &[&String]| json!({"jobs": ids.iter().map(|id| json!({"kind": "job", "metadata": {"id": id}})).collect::<Vec<_>>()});
    let batch = "training-jobs/batch-delete";
    sent(&bench, Method::POST, batch, jobs(&[&first, &running]), StatusCode::CONFLICT).await;
    bench.show(&first).await;
    sent(&bench, Method::POST, batch, jobs(&[&first, &second]), StatusCode::ACCEPTED).await;
    for id in [&first, &second] {
        assert!(!folder.path().join("platform/jobs").join(id).exists());
        assert_eq!(bench.call(Method::GET, &format!("training-jobs/{id}"), None).await.status, StatusCode::NOT_FOUND);
    }
    bench.stop(&running).await;
    bench.wait(&running, &["Terminated"]).await;
    platform.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_vendors_sdk_tags_follows_stops_and_deletes_jobs() {
    let Lab { bench, platform, folder: _folder } = lab(2).await;
    let access = &bench.access;
    let input = json!({
        "endpoint": access.endpoint,
        "project_id": access.project_id,
        "access_key": access.access_key,
        "secret_key": access.secret_key,
    });
    let text = python::run("python", &[&python::script("modelarts_jobs.py")], &[], &input.to_string()).await;
    assert!(text.contains("jobs: ok"), "{text}");
    platform.shutdown().await;
}
