//! Rows D2.3, D2.4, D2.9 of the list of incidents: credentials go to whom they are for, and to nobody else.

use std::fs;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::authority::Authority;
use crate::fake_service::FakeService;
use crate::small_server::SmallServer;
use crate::support::{Home, Output};

const SECRET: &str = "SECRETKEY0123456789";
const KEYS: [(&str, &str); 4] = [
    ("HUAWEICLOUD_SDK_AK", "AKID00000001"),
    ("HUAWEICLOUD_SDK_SK", SECRET),
    ("HUAWEICLOUD_SDK_SECURITY_TOKEN", "STSTOKEN0001"),
    ("REGION_NAME", "cn-north-4"),
];
const PROJECT: (&str, &str) = ("PROJECT_ID", "p1");
/// Endpoint of the control plane in [`KEYS`]' region.
const CLOUD: &str = "modelarts.cn-north-4.myhuaweicloud.com";

fn endpoints(address: &str) -> [(&'static str, &str); 3] {
    ["MA_CLI_MODELARTS_ENDPOINT", "MA_CLI_OBS_ENDPOINT", "MA_CLI_IAM_ENDPOINT"].map(|name| (name, address))
}

/// Nobody shall come here.
fn elsewhere() -> SmallServer {
    SmallServer::start(|_| (200, String::new(), "{}".to_owned()))
}

/// What is asked for with each kind of credentials, and a header that must have been sent with it.
fn requests(home: &Home) -> Vec<(Vec<&'static str>, &'static str)> {
    fs::write(home.path().join("file"), "content").unwrap();
    fs::write(home.path().join("key"), [b'k'; 32]).unwrap();
    let sse = ["--sse", "customer", "--sse-customer-key-file", "key"];
    let with_sse = |words: &[&'static str]| [words, &sse].concat();
    vec![
        (vec!["ma-job", "get-pool"], "x-security-token: ststoken0001"),
        (vec!["api", "POST", "/v2/{project_id}/algorithms", "-f", "a=b"], "x-security-token: ststoken0001"),
        (vec!["obs", "ls", "obs://bucket/"], "x-amz-security-token: ststoken0001"),
        (vec!["obs", "cat", "obs://bucket/key"], "x-amz-security-token: ststoken0001"),
        (with_sse(&["obs-copy", "file", "obs://bucket/key"]), "x-amz-server-side-encryption-customer-key: "),
        (with_sse(&["obs-copy", "obs://bucket/key", "back"]), "x-amz-server-side-encryption-customer-key: "),
    ]
}

#[test]
fn d2_3_d2_4_no_redirect_is_followed_with_keys() {
    let elsewhere = elsewhere();
    let target = elsewhere.endpoint.clone();
    let server =
        SmallServer::start(move |_| (307, format!("Location: {target}/stolen?Signature=S1GNEDL1NK\r\n"), String::new()));
    let home = Home::new();
    for (words, header) in requests(&home) {
        let before = server.seen().len();
        let variables = [&KEYS[..], &[PROJECT], &endpoints(&server.endpoint)].concat();
        let output = home.run_with(&[&words[..], &["-D"]].concat(), &variables, "");
        assert_ne!(output.code, 0, "{output:?}");
        let seen = server.seen()[before..].join("\n").to_ascii_lowercase();
        assert!(seen.contains(header), "{words:?}: {seen}");
        assert!(!seen.contains("\r\nreferer:"), "{words:?}: {seen}");
        assert!(elsewhere.seen().is_empty(), "{words:?}: {:?}", elsewhere.seen());
        for secret in ["S1GNEDL1NK", SECRET, "STSTOKEN0001", "AKID00000001"] {
            assert!(!output.stderr.contains(secret) && !output.stdout.contains(secret), "{secret}: {output:?}");
        }
    }
    let variables = [&KEYS[..], &endpoints(&server.endpoint)].concat();
    let output = home.run_with(&["configure", "test", "-F", "json"], &variables, "");
    assert_eq!(output.stdout.matches("\"ok\": false").count(), 3, "{output:?}");
    assert!(elsewhere.seen().is_empty(), "{:?}", elsewhere.seen());
}

#[test]
fn d2_3_d2_4_no_redirect_is_followed_with_a_password_or_token() {
    let elsewhere = elsewhere();
    let target = elsewhere.endpoint.clone();
    let server = SmallServer::start(move |_| (308, format!("Location: {target}/stolen\r\n"), String::new()));
    let iam = SmallServer::start(|_| {
        let body = r#"{"token": {"expires_at": "2999-01-01T00:00:00Z", "project": {"id": "p1"}}}"#;
        (201, "X-Subject-Token: T0KENOFTESTS\r\n".to_owned(), body.to_owned())
    });
    let home = Home::new();
    home.run(&["configure", "-a", "acme", "-u", "jo", "-p", SECRET, "-r", "cn-north-4"]);
    let run = |iam: &str| {
        let variables = [("MA_CLI_MODELARTS_ENDPOINT", server.endpoint.as_str()), ("MA_CLI_IAM_ENDPOINT", iam)];
        assert_ne!(home.run_with(&["ma-job", "get-pool"], &variables, "").code, 0);
        server.seen().pop().unwrap()
    };
    assert!(run(&server.endpoint).contains(SECRET), "the password went to whom it is for");
    assert!(run(&iam.endpoint).contains("x-auth-token: T0KENOFTESTS\r\n"));
    assert!(elsewhere.seen().is_empty(), "{:?}", elsewhere.seen());
}

#[test]
fn d2_2_d2_3_a_signed_link_is_not_shown_and_leads_nowhere_else() {
    let elsewhere = elsewhere();
    let target = elsewhere.endpoint.clone();
    let redirecting = SmallServer::start(move |_| (302, format!("Location: {target}/stolen\r\n"), String::new()));
    let broken = SmallServer::start(|_| (500, String::new(), "<Error><Code>InternalError</Code></Error>".to_owned()));
    let home = Home::new();
    for host in [redirecting.endpoint.as_str(), broken.endpoint.as_str(), "http://127.0.0.1:9", "https://127.0.0.1:9"] {
        let service = FakeService::start(&["worker-0"], |_, _| {});
        {
            let mut state = service.state.lock().unwrap();
            state.link_host = Some(host.to_owned());
            state.logs[0].1 = b"line\n".repeat(4000);
            state.status["phase"] = "Completed".into();
        }
        for more in [&["-D"][..], &["-F", "json"], &[]] {
            let output = service.run(&home, &[&["ma-job", "get-log", "-i", "j1"][..], more].concat());
            assert!(service.requests("GET /v2/p1/training-jobs/j1/tasks/worker-0/logs/url") > 0, "{output:?}");
            assert!(!output.stderr.contains("S1GNEDL1NK") && !output.stdout.contains("S1GNEDL1NK"), "{host}: {output:?}");
        }
    }
    assert!(!redirecting.seen().is_empty() && !broken.seen().is_empty());
    assert!(elsewhere.seen().is_empty(), "{:?}", elsewhere.seen());
}

/// Answers every request that comes through TLS.
struct TlsServer {
    address: String,
    seen: Arc<Mutex<Vec<String>>>,
}

impl TlsServer {
    /// `answer` is the whole of it.
    async fn start(authority: &Authority, answer: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (acceptor, seen) = (TlsAcceptor::from(Arc::new(authority.config())), Arc::new(Mutex::new(Vec::new())));
        let remembered = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, seen, answer) = (acceptor.clone(), Arc::clone(&remembered), answer.clone());
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else { return };
                    let asked = request(&mut stream).await;
                    seen.lock().unwrap().push(asked);
                    let _ = stream.write_all(answer.as_bytes()).await;
                    let _ = stream.shutdown().await;
                });
            }
        });
        Self { address, seen }
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

/// Head and body.
async fn request(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return text;
            }
        }
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return text;
        }
    }
}

async fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let owned: Vec<String> = arguments.iter().map(|&word| word.to_owned()).collect();
    let variables: Vec<(String, String)> = variables.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
    let run = move || {
        let home = Home::new();
        fs::write(home.path().join("file"), "content").unwrap();
        let words: Vec<&str> = owned.iter().map(String::as_str).collect();
        let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        home.run_with(&words, &variables, "")
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn d2_3_d2_4_no_redirect_leads_from_https_to_http() {
    let elsewhere = elsewhere();
    let authority = Authority::make(&[]);
    let answer = format!("HTTP/1.1 302 Found\r\nLocation: {}/stolen\r\nContent-Length: 0\r\n\r\n", elsewhere.endpoint);
    let server = TlsServer::start(&authority, answer).await;
    let (bundle, address) = (authority.bundle(), format!("https://{}", server.address));
    let variables = [&KEYS[..], &[PROJECT], &endpoints(&address)].concat();
    let commands = [&["ma-job", "get-pool"][..], &["obs", "ls", "obs://bucket/"], &["obs-copy", "file", "obs://bucket/key"]];
    for (asked, command) in commands.into_iter().enumerate() {
        let output = run(&[command, &["--ca-bundle", &bundle]].concat(), &variables).await;
        assert_ne!(output.code, 0, "{output:?}");
        assert!(server.seen().len() > asked, "{output:?}");
        assert!(elsewhere.seen().is_empty(), "{command:?}: {:?}", elsewhere.seen());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn d2_9_the_control_planes_client_believes_only_a_known_authority() {
    let (ours, other) = (Authority::make(&[CLOUD]), Authority::make(&[CLOUD]));
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}".to_owned();
    let server = TlsServer::start(&ours, answer).await;
    let (right, wrong, address) = (ours.bundle(), other.bundle(), format!("https://{}", server.address));
    let variables = [&KEYS[..], &[PROJECT], &endpoints(&address)].concat();
    for unknown in [&["--ca-bundle", wrong.as_str()][..], &[]] {
        let output = run(&[&["ma-job", "get-pool"][..], unknown].concat(), &variables).await;
        assert!(output.code == 1 && output.stderr.contains("certificate"), "{output:?}");
        assert!(server.seen().is_empty(), "nothing was said to a stranger");
    }
    let output = run(&["ma-job", "get-pool", "--ca-bundle", &right], &variables).await;
    assert!(output.code == 0 && output.stderr.is_empty(), "{output:?}");
    let output = run(&["ma-job", "get-pool", "--no-verify-ssl"], &variables).await;
    assert!(output.code == 0 && output.stderr.contains("[WARN] TLS certificates are not checked"), "{output:?}");
    assert_eq!(server.seen().len(), 2);

    // A proxy's tunnel hides everything but the name, and what is at its end must show the same certificate.
    let heads = Arc::new(Mutex::new(Vec::new()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = format!("http://user:PROXYPASSWORD@{}", listener.local_addr().unwrap());
    let (remembered, target) = (Arc::clone(&heads), server.address.clone());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (heads, target) = (Arc::clone(&remembered), target.clone());
            tokio::spawn(async move {
                let head = request(&mut stream).await;
                heads.lock().unwrap().push(head);
                let mut server = TcpStream::connect(target).await.unwrap();
                stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                let _ = copy_bidirectional(&mut stream, &mut server).await;
            });
        }
    });
    let variables = [&KEYS[..], &[PROJECT, ("HTTPS_PROXY", proxy.as_str())]].concat();
    let output = run(&["ma-job", "get-pool", "--ca-bundle", &wrong], &variables).await;
    assert!(output.code == 1 && output.stderr.contains("certificate"), "{output:?}");
    assert_eq!(server.seen().len(), 2);
    let output = run(&["ma-job", "get-pool", "--ca-bundle", &right], &variables).await;
    assert_eq!(output.code, 0, "{output:?}");
    let asked = server.seen().pop().unwrap();
    assert!(server.seen().len() == 3 && asked.contains("x-security-token: ststoken0001"), "{asked}");
    assert!(!asked.contains("proxy-authorization"), "{asked}");
    let heads = heads.lock().unwrap().clone();
    assert_eq!(heads.len(), 2, "{heads:?}");
    for head in heads {
        assert!(head.starts_with(&format!("connect {CLOUD}:443 ")), "{head}");
        assert!(head.contains("proxy-authorization: basic ") && !head.contains("\r\nauthorization:"), "{head}");
        assert!(!head.contains("ststoken0001"), "{head}");
    }
}
