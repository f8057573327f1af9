//! What is watched: drawn anew for people, told once for each change to programs.

use serde_json::json;

use crate::fake_service::FakeService;
use crate::support::{Home, binary};
use crate::terminal::Terminal;

#[test]
fn a_watched_job_is_drawn_anew_on_a_terminal() {
    let service = FakeService::start(&["worker-0"], |state, look| {
        if look == 1 {
            state.status["phase"] = json!("Completed");
        }
    });
    let variables = "HUAWEICLOUD_SDK_AK=KEYOFTESTS HUAWEICLOUD_SDK_SK=secret-of-tests PROJECT_ID=p1";
    let endpoint = format!("MA_CLI_MODELARTS_ENDPOINT={}", service.endpoint);
    let shell = format!("PATH=/usr/bin:/bin {endpoint} {variables} PS1='ready> ' sh");
    let terminal = Terminal::open_shell(Home::new(), &shell);
    terminal.type_line(&format!("{} ma-job get-job j1 --watch; echo code=$?", binary().display()));
    let first = terminal.wait_for("Running");
    assert!(first.contains("j1") && !first.contains("Completed"), "{first}");
    let last = terminal.wait_for("code=0");
    assert!(last.contains("Completed") && !last.contains("Running"), "the table before is still there:\n{last}");
}

#[test]
fn watched_metrics_are_told_when_there_is_more_until_the_job_has_ended() {
    let service = FakeService::start(&["worker-0"], |state, look| {
        let values = [json!([10]), json!([10]), json!([10, 20])];
        if let Some(values) = values.get(look as usize) {
            state.metrics = json!([{"metric": "cpuUsage", "value": values}]);
        } else {
            state.status["phase"] = json!("Completed");
        }
    });
    let output = service.run(&Home::new(), &["ma-job", "metrics", "j1", "--watch", "-F", "csv"]);
    let figures: Vec<&str> = output.stdout.lines().filter(|line| line.contains("cpuUsage")).collect();
    assert_eq!((output.code, figures.len()), (0, 3), "{output:?}");
    assert!(figures[0] == figures[1] && figures[2].contains("20"), "{figures:?}");
}
