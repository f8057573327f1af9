//! A stand-in for the training service that does what no real one can be told to: it breaks connections in the middle of an
//! answer, replaces a log by another, ends a job at a given moment. It believes every signature.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Home, Output};

/// Most of a log that a preview shows; small, so that what lies before it is asked for.
const PREVIEW: usize = 4096;
/// How long a run of the binary may take.
const DEADLINE: Duration = Duration::from_secs(60);

/// Method and path with query in, the whole answer out.
pub(crate) type Canned = fn(&str, &str) -> Option<Vec<u8>>;

/// What the service knows and how it behaves.
#[derive(Debug)]
pub(crate) struct State {
    /// `status` of the job.
    pub(crate) status: Value,
    /// The log of each task.
    pub(crate) logs: Vec<(String, Vec<u8>)>,
    /// Whether links give any part.
    pub(crate) has_ranges: bool,
    /// Links are refused.
    pub(crate) has_no_links: bool,
    /// Where links lead, if not here.
    pub(crate) link_host: Option<String>,
    /// So many times a page is sent instead of a link, as proxies do.
    pub(crate) bad_links: u32,
    /// Most of a log that a preview shows.
    pub(crate) preview: usize,
    /// Previews are refused with this status.
    pub(crate) no_preview: Option<u16>,
    /// Requests stay without an answer.
    pub(crate) is_silent: bool,
    /// In so many searches the job is found, whatever is searched for.
    pub(crate) found: u32,
    /// Metrics of a task.
    pub(crate) metrics: Value,
    /// Every so many answers about a log are cut in their middle.
    pub(crate) cut_each: Option<u32>,
    /// What the log gains after the first look at it when the job has ended.
    pub(crate) late: Option<Vec<u8>>,
    /// First lines of the requests so far.
    pub(crate) seen: Vec<String>,
    /// Answers before all others.
    pub(crate) canned: Option<Canned>,
    /// Bodies that were posted to `/hook/…`.
    pub(crate) posted: Vec<Value>,
    answers: u32,
}

/// Called before each look at the job, with how many there were before.
type Step = Box<dyn FnMut(&mut State, u32) + Send>;

/// A running service.
pub(crate) struct FakeService {
    pub(crate) endpoint: String,
    pub(crate) state: Arc<Mutex<State>>,
    listener: TcpListener,
    accepting: Option<JoinHandle<()>>,
}

impl FakeService {
    /// A service with one running job `j1` that has these tasks with empty logs.
    pub(crate) fn start(tasks: &[&str], step: impl FnMut(&mut State, u32) + Send + 'static) -> Self {
        let state = State {
            status: json!({"phase": "Running", "start_time": 1, "tasks": tasks}),
            logs: tasks.iter().map(|task| ((*task).to_owned(), Vec::new())).collect(),
            has_ranges: true,
            has_no_links: false,
            link_host: None,
            bad_links: 0,
            preview: PREVIEW,
            no_preview: None,
            is_silent: false,
            found: u32::MAX,
            metrics: json!([]),
            cut_each: None,
            late: None,
            seen: Vec::new(),
            canned: None,
            posted: Vec::new(),
            answers: 0,
        };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(state));
        let (accepted, shared, own) = (listener.try_clone().unwrap(), Arc::clone(&state), endpoint.clone());
        let step: Arc<Mutex<(Step, u32)>> = Arc::new(Mutex::new((Box::new(step), 0)));
        let accepting = std::thread::spawn(move || {
            while let Ok((stream, _)) = accepted.accept() {
                if own.is_empty() || shared.lock().unwrap().seen.last().is_some_and(|line| line == "END") {
                    return;
                }
                let (state, step, own) = (Arc::clone(&shared), Arc::clone(&step), own.clone());
                std::thread::spawn(move || serve(stream, &state, &step, &own));
            }
        });
        Self { endpoint, state, listener, accepting: Some(accepting) }
    }

    pub(crate) fn command(&self, home: &Home, arguments: &[&str]) -> std::process::Command {
        let mut command = home.command();
        command
            .args(arguments)
            .env("MA_CLI_MODELARTS_ENDPOINT", &self.endpoint)
            .env("HUAWEICLOUD_SDK_AK", "ACCESSKEYOFTESTS")
            .env("HUAWEICLOUD_SDK_SK", "secret-key-of-tests")
            .env("PROJECT_ID", "p1");
        command
    }

    /// Runs the binary with this service; it must end by itself.
    pub(crate) fn run(&self, home: &Home, arguments: &[&str]) -> Output {
        let mut command = self.command(home, arguments);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (stdout, stderr) = (read_all(child.stdout.take()), read_all(child.stderr.take()));
        let deadline = Instant::now() + DEADLINE;
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > deadline {
                child.kill().unwrap();
                let (stdout, stderr) = (stdout.join().unwrap(), stderr.join().unwrap());
                panic!("{arguments:?} does not end; {} bytes of output and:\n{stderr}", stdout.len());
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        Output { stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap(), code: status.code().unwrap_or(-1) }
    }

    /// How many requests began like this.
    pub(crate) fn requests(&self, start: &str) -> usize {
        self.state.lock().unwrap().seen.iter().filter(|line| line.starts_with(start)).count()
    }
}

impl Drop for FakeService {
    fn drop(&mut self) {
        if let Ok(mut state) = self.state.lock() {
            state.seen.push("END".to_owned());
        }
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.listener.local_addr().unwrap());
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

fn read_all(stream: Option<impl Read + Send + 'static>) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut text = String::new();
        stream.unwrap().read_to_string(&mut text).unwrap();
        text
    })
}

/// Answers requests until the connection ends.
fn serve(stream: TcpStream, state: &Mutex<State>, step: &Mutex<(Step, u32)>, endpoint: &str) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    loop {
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            match reader.read_line(&mut line) {
                Ok(read) if read > 0 => {}
                _ => return,
            }
            if line.trim().is_empty() {
                break;
            }
            head.push(line.trim().to_owned());
        }
        let header = |name: &str| {
            head.iter().find_map(|line| {
                line.split_once(':').filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
            })
        };
        let length: usize = header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        let mut words = head[0].split(' ');
        let (method, path) = (words.next().unwrap().to_owned(), words.next().unwrap().to_owned());
        let (answer, may_be_cut) = {
            let mut state = state.lock().unwrap();
            state.seen.push(format!("{method} {path}"));
            if state.is_silent {
                // The connection stays open until the test ends.
                std::mem::forget(stream);
                return;
            }
            if path.ends_with("/training-jobs/j1") && method == "GET" {
                let mut step = step.lock().unwrap();
                let count = step.1;
                step.1 += 1;
                (step.0)(&mut state, count);
            }
            let answer = answer(&mut state, &method, &path, header("range"), &body, endpoint);
            state.answers += u32::from(path.contains("log"));
            if path.contains("log") && state.status["phase"] == "Completed" {
                let late = state.late.take().unwrap_or_default();
                state.logs[0].1.extend(late);
            }
            let is_cut = path.contains("log") && state.cut_each.is_some_and(|each| state.answers.is_multiple_of(each));
            (answer, is_cut)
        };
        if path.contains("/terminal") {
            let _ = stream.write_all(&answer);
            // The program ends while the client still sends, and nobody reads that.
            let _ = reader.read_exact(&mut [0; 100]);
            let _ = stream.write_all(b"\0\0\0\0\x05said\n\x02\0\0\0\x04\0\0\0\x03");
            return;
        }
        let bytes = if may_be_cut { &answer[..answer.len() * 2 / 3] } else { &answer[..] };
        if stream.write_all(bytes).is_err() || may_be_cut {
            let _ = stream.shutdown(Shutdown::Both);
            return;
        }
    }
}

fn answer(state: &mut State, method: &str, path: &str, range: Option<&str>, body: &[u8], endpoint: &str) -> Vec<u8> {
    if let Some(answer) = state.canned.and_then(|canned| canned(method, path)) {
        return answer;
    }
    let path = path.split('?').next().unwrap();
    if let Some(hook) = path.strip_prefix("/hook/") {
        state.posted.push(serde_json::from_slice(body).unwrap_or(json!({"unreadable": hook})));
        return reply(200, "", b"{}");
    }
    let job = || json!({"metadata": {"id": "j1", "name": "n1"}, "status": state.status, "spec": {"log_export_path": {"obs_url": "/b/logs/"}}});
    let ok = |document: &Value| reply(200, "", document.to_string().as_bytes());
    let log_of = |task: &str| state.logs.iter().find(|(name, _)| name == task).map(|(_, log)| log);
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    match (method, &parts[..]) {
        ("GET", ["v2", "p1", "training-jobs", "j1"]) => ok(&job()),
        ("DELETE", ["v2", "p1", "training-jobs", "j1"]) => reply(202, "", b"{}"),
        ("POST", ["v2", "p1", "training-job-searches"]) => {
            let items = if state.found > 0 { vec![job()] } else { Vec::new() };
            state.found = state.found.saturating_sub(1);
            ok(&json!({"items": items, "count": items.len()}))
        }
        ("GET", [.., "terminal"]) => {
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ma-terminal\r\n\r\n".to_vec()
        }
        ("POST", ["v2", "p1", "training-jobs", "j1", "actions"]) => {
            state.status["phase"] = json!("Terminated");
            ok(&json!({}))
        }
        ("GET", [.., "j1", "events"]) => {
            ok(&json!({"events": [{"level": "Info", "message": "the queue is long"}], "total": 1}))
        }
        ("GET", [.., "j1", "metrics", _]) => ok(&json!({"metrics": state.metrics})),
        ("GET", [.., "logs", "preview"]) if state.no_preview.is_some() => reply(
            state.no_preview.unwrap(),
            "",
            br#"{"error_code": "ModelArts.2818", "error_msg": "the log file is not generated"}"#,
        ),
        ("GET", [.., "j1", "tasks", task, "logs", "preview"]) => match log_of(task) {
            Some(log) => {
                let newest = &log[log.len().saturating_sub(state.preview)..];
                let content = String::from_utf8_lossy(newest);
                ok(&json!({"content": content, "current_size": newest.len(), "full_size": log.len()}))
            }
            None => reply(404, "", br#"{"error_code": "ModelArts.0404", "error_msg": "no such task"}"#),
        },
        ("GET", [.., "j1", "tasks", _, "logs", "url"]) if state.has_no_links => {
            reply(400, "", br#"{"error_code": "ModelArts.2818", "error_msg": "the log file is not generated"}"#)
        }
        ("GET", [.., "logs", "url"]) if state.bad_links > 0 => {
            state.bad_links -= 1;
            reply(200, "", b"<html>please log in</html>")
        }
        ("GET", [.., "j1", "tasks", task, "logs", "url"]) => {
            let endpoint = state.link_host.as_deref().unwrap_or(endpoint);
            ok(&json!({"obs_url": format!("{endpoint}/log/{task}?Signature=S1GNEDL1NK")}))
        }
        ("GET", ["log", task]) => part(log_of(task).unwrap(), range.filter(|_| state.has_ranges)),
        _ => reply(404, "", br#"{"error_code": "ModelArts.0404", "error_msg": "no such job"}"#),
    }
}

/// The part of the log that was asked for.
fn part(log: &[u8], range: Option<&str>) -> Vec<u8> {
    let Some(from) = range.and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok()) else {
        return reply(200, "", log);
    };
    if from >= log.len() {
        return reply(416, &format!("Content-Range: bytes */{}\r\n", log.len()), b"");
    }
    reply(206, &format!("Content-Range: bytes {from}-{}/{}\r\n", log.len() - 1, log.len()), &log[from..])
}

pub(crate) fn reply(status: u16, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 {status} x\r\n{headers}Content-Length: {}\r\n\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    bytes
}
