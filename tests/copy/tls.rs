//! TLS from end to end: a certificate authority of the test's own, a store behind it, and a proxy's tunnel between.

use std::path::Path;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::authority::Authority;
use crate::dialect::{CLOUD, Ran, obs_copy};
use crate::proxy::Proxy;
use crate::stub::{Habits, Stub, serve};
use crate::support::{make_tree, noise};

/// An authority for the cloud's names.
fn authority() -> Authority {
    Authority::make(&[CLOUD, &format!("*.{CLOUD}")])
}

/// Puts TLS before a store; gives the address.
async fn guard(stub: &Stub, authority: &Authority) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (acceptor, shared) = (TlsAcceptor::from(Arc::new(authority.config())), Arc::clone(&stub.shared));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, shared) = (acceptor.clone(), Arc::clone(&shared));
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    serve(shared, stream).await;
                }
            });
        }
    });
    address
}

fn source(folder: &Path) {
    make_tree(&folder.join("in"), &[("small", Some(noise(1000, 1))), ("large", Some(noise(700_000, 2)))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn d2_9_the_object_store_s_client_believes_only_a_known_authority() {
    let (ours, other) = (authority(), authority());
    let stub = Stub::start(Habits::default()).await;
    let endpoint = format!("https://{}", guard(&stub, &ours).await);
    let folder = tempfile::tempdir().unwrap();
    source(folder.path());
    let (right, wrong) = (ours.bundle(), other.bundle());
    for unknown in [&["--ca-bundle", wrong.as_str()][..], &[]] {
        let ran = copy(&endpoint, folder.path(), unknown).await;
        assert_eq!(ran.code, Some(1), "{}", ran.stderr);
        assert!(ran.stderr.contains("certificate"), "{}", ran.stderr);
        assert!(stub.seen().is_empty(), "nothing was said to a stranger");
    }
    let ran = copy(&endpoint, folder.path(), &["--ca-bundle", &right, "--part-size", "256K"]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(stub.completed(), [[(1, 262_144), (2, 262_144), (3, 175_712)]]);
    let ran = copy(&endpoint, folder.path(), &["--no-verify-ssl"]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains("[WARN] TLS certificates are not checked"), "{}", ran.stderr);
}

async fn copy(endpoint: &str, folder: &Path, more: &[&str]) -> Ran {
    obs_copy(endpoint, &[], folder, &[&["in", "obs://copies/x/", "-d"], more].concat()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tunnel_hides_everything_but_the_name() {
    let authority = authority();
    let stub = Stub::start(Habits::default()).await;
    let proxy = Proxy::with(&guard(&stub, &authority).await, Vec::new()).await;
    let folder = tempfile::tempdir().unwrap();
    source(folder.path());
    let bundle = authority.bundle();
    let with_user = proxy.endpoint.replace("http://", "http://user:secret@");
    let endpoint = format!("https://{CLOUD}");
    let variables = [("HTTPS_PROXY", with_user.as_str())];
    let ran = obs_copy(&endpoint, &variables, folder.path(), &["in", "obs://copies/x/", "-d", "--ca-bundle", &bundle]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let heads = proxy.heads();
    assert!(!heads.is_empty());
    for head in heads {
        assert_eq!((head.method.as_str(), head.uri.to_string()), ("CONNECT", format!("copies.{CLOUD}:443")));
        assert_eq!(head.header("proxy-authorization"), Some("Basic dXNlcjpzZWNyZXQ="));
        assert_eq!(head.header("authorization"), None, "{head:?}");
    }
    assert!(stub.seen().iter().all(|seen| seen.header("proxy-authorization").is_none()));
    assert!(stub.seen().len() >= 2);
}
