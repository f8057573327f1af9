//! Connections to control planes: HTTP/2 where it is offered, time limits and attempts as the profile says.

use std::fs;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ma_cli::http::{Client, Options, Request};
use tokio::io::AsyncReadExt as _;
use tokio_rustls::TlsAcceptor;

use crate::authority::Authority;
use crate::small_server::SmallServer;
use crate::support::Home;

#[tokio::test]
async fn control_planes_are_spoken_to_by_http_2_and_terminals_are_not() {
    let authority = Authority::make(&[]);
    let mut config = authority.config();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = url::Url::parse(&format!("https://{}/", listener.local_addr().unwrap())).unwrap();
    let client = Client::new(Options { ca_bundle: Some(authority.bundle().into()), ..Options::default() });
    let begun = async || {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = acceptor.accept(stream).await.unwrap();
        let protocol = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
        let mut first = [0; 4];
        stream.read_exact(&mut first).await.unwrap();
        (protocol, first)
    };
    let request = || Request::new(http::Method::GET, url.clone());
    let (_, seen) = tokio::join!(client.send(request()), begun());
    assert_eq!(seen, (Some(b"h2".to_vec()), *b"PRI "));
    let (_, seen) = tokio::join!(client.upgrade(request(), "websocket"), begun());
    assert_eq!(seen, (None, *b"GET "));
}

#[test]
fn the_profile_limits_attempts_and_silence() {
    let home = Home::new();
    let write = |extra: &str| {
        let text = format!("DEFAULT: {{access_key: a, secret_key: b, region: cn-north-4, project_id: p1, {extra}}}\n");
        fs::create_dir_all(home.path().join(".modelarts")).unwrap();
        fs::write(home.profile_file(), text).unwrap();
    };
    let down = SmallServer::start(|_| (503, String::new(), "{}".to_owned()));
    write("attempts: 2");
    let output = home.run_with(&["ma-job", "get-pool", "-D"], &[("MA_CLI_MODELARTS_ENDPOINT", &down.endpoint)], "");
    assert_eq!((output.code, down.seen().len()), (1, 2), "{output:?}");
    assert!(output.stderr.contains("attempt 2 follows in ") && output.stderr.contains("503"), "{}", output.stderr);

    // Accepts and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    write("attempts: 1, read_timeout: 0.3");
    let begun = Instant::now();
    let output = home.run_with(&["ma-job", "get-pool"], &[("MA_CLI_MODELARTS_ENDPOINT", &endpoint)], "");
    assert!(output.code == 1 && output.stderr.contains("did not answer"), "{output:?}");
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
}
