//! TLS from end to end: a certificate authority of the test's own, a store behind it, and a proxy's tunnel between.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::dialect::{CLOUD, Ran, obs_copy};
use crate::proxy::Proxy;
use crate::stub::{Habits, Stub, serve};
use crate::support::{make_tree, noise};

/// An authority, and a certificate of it for the cloud's names and for this machine.
struct Authority {
    folder: tempfile::TempDir,
}

impl Authority {
    fn make() -> Self {
        let authority = Self { folder: tempfile::tempdir().unwrap() };
        let names = format!("subjectAltName=DNS:{CLOUD},DNS:*.{CLOUD},IP:127.0.0.1");
        let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
        let own = ["-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test authority"];
        authority.openssl(&[&["req", "-x509"], &curve[..], &own[..]].concat());
        let signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-keyout", "store.key", "-out", "store.pem", "-subj", "/CN=store"];
        let leaf = ["-addext", &names, "-addext", "basicConstraints=critical,CA:FALSE"];
        authority.openssl(&[&["req", "-x509"], &curve[..], &signed[..], &leaf[..]].concat());
        authority
    }

    fn openssl(&self, arguments: &[&str]) {
        let output = Command::new("openssl").args(arguments).current_dir(self.folder.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn acceptor(&self) -> TlsAcceptor {
        let chain = CertificateDer::pem_file_iter(self.file("store.pem")).unwrap().collect::<Result<_, _>>().unwrap();
        let key = PrivateKeyDer::from_pem_file(self.file("store.key")).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        TlsAcceptor::from(Arc::new(config.with_no_client_auth().with_single_cert(chain, key).unwrap()))
    }
}

/// Puts TLS before a store; gives the address.
async fn guard(stub: &Stub, authority: &Authority) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (acceptor, shared) = (authority.acceptor(), Arc::clone(&stub.shared));
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
async fn only_a_known_authority_is_believed() {
    let (ours, other) = (Authority::make(), Authority::make());
    let stub = Stub::start(Habits::default()).await;
    let endpoint = format!("https://{}", guard(&stub, &ours).await);
    let folder = tempfile::tempdir().unwrap();
    source(folder.path());
    let bundle = |authority: &Authority| authority.file("ca.pem").display().to_string();
    let (right, wrong) = (bundle(&ours), bundle(&other));
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
    let authority = Authority::make();
    let stub = Stub::start(Habits::default()).await;
    let proxy = Proxy::with(&guard(&stub, &authority).await, Vec::new()).await;
    let folder = tempfile::tempdir().unwrap();
    source(folder.path());
    let bundle = authority.file("ca.pem").display().to_string();
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
