//! A certificate authority of the test's own.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// An authority, and a certificate of it for some names and for this machine.
pub(crate) struct Authority {
    folder: tempfile::TempDir,
}

impl Authority {
    /// Makes both; the names may begin with `*.`.
    pub(crate) fn make(names: &[&str]) -> Self {
        let authority = Self { folder: tempfile::tempdir().unwrap() };
        let names: String = names.iter().map(|name| format!("DNS:{name},")).collect();
        let names = format!("subjectAltName={names}IP:127.0.0.1");
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

    /// The file that makes a client believe this authority.
    pub(crate) fn bundle(&self) -> String {
        self.file("ca.pem").display().to_string()
    }

    /// Serves with the certificate. Offers no protocol, so HTTP/1.1 is spoken.
    pub(crate) fn config(&self) -> ServerConfig {
        let chain = CertificateDer::pem_file_iter(self.file("store.pem")).unwrap().collect::<Result<_, _>>().unwrap();
        let key = PrivateKeyDer::from_pem_file(self.file("store.key")).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        config.with_no_client_auth().with_single_cert(chain, key).unwrap()
    }
}
