//! A platform, a recording proxy in front of its control planes, and ways to call it through that proxy.

use std::path::PathBuf;
use std::process::{Output, Stdio};

use ma_cli::platform::{Handle, Options, Platform};
use serde_json::json;
use tempfile::TempDir;
use tokio::process::Command;

use super::proxy::Proxy;
use super::python;

/// How the program proves who it is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Auth {
    Keys,
    WrongKeys,
    Password,
}

pub(crate) struct Bench {
    pub(crate) proxy: Proxy,
    platform: Handle,
    folder: TempDir,
}

impl Bench {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = Options::on_free_ports(folder.path().join("platform"), env!("CARGO_BIN_EXE_ma-cli"));
        let platform = Platform::start(options).await.unwrap();
        let proxy = Proxy::start(&platform.endpoint).await;
        let bench = Self { proxy, platform, folder };
        for auth in [Auth::Keys, Auth::WrongKeys, Auth::Password] {
            std::fs::write(bench.profile(auth), bench.profile_text(auth)).unwrap();
        }
        bench
    }

    pub(crate) async fn shutdown(self) {
        self.platform.shutdown().await;
    }

    /// Runs the program; its exit code must be `code`. Returns its standard output.
    pub(crate) async fn run(&self, code: i32, auth: Auth, arguments: &[&str]) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_ma-cli"))
            .args(arguments)
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .env("HOME", self.folder.path())
            .env("MA_CLI_CONFIG_FILE", self.profile(auth))
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .unwrap();
        check(&format!("{arguments:?} ({auth:?})"), &output, code)
    }

    /// Runs a script that uses a client of the vendor's; it reads where and who from standard input.
    pub(crate) async fn run_script(&self, script: &str) -> String {
        let account = &self.platform.account;
        let access = json!({
            "endpoint": self.proxy.endpoint(),
            "obs_endpoint": self.platform.obs_endpoint,
            "region": account.region,
            "project_id": account.project_id,
            "access_key": account.access_key,
            "secret_key": account.secret_key.expose(),
            "account": account.domain_name,
            "username": account.user_name,
            "password": account.password.expose(),
        });
        python::run("python", &[&python::script(script)], &[], &access.to_string()).await
    }

    fn profile(&self, auth: Auth) -> PathBuf {
        self.folder.path().join(format!("{auth:?}.yaml"))
    }

    /// A profile whose control planes are the proxy. JSON is YAML.
    fn profile_text(&self, auth: Auth) -> String {
        let account = &self.platform.account;
        let control = self.proxy.endpoint();
        let mut profile = json!({
            "region": account.region,
            "endpoints": { "modelarts": control, "iam": control, "obs": self.platform.obs_endpoint },
        });
        match auth {
            Auth::Keys | Auth::WrongKeys => {
                profile["auth"] = "AKSK".into();
                profile["access_key"] = account.access_key.as_str().into();
                let wrong = matches!(auth, Auth::WrongKeys);
                profile["secret_key"] = if wrong { "wrong".into() } else { account.secret_key.expose().into() };
                profile["project_id"] = account.project_id.as_str().into();
            }
            // Without a project id: the project is looked up by the region's name.
            Auth::Password => {
                profile["auth"] = "PWD".into();
                profile["account"] = account.domain_name.as_str().into();
                profile["username"] = account.user_name.as_str().into();
                profile["password"] = account.password.expose().into();
            }
        }
        json!({ "DEFAULT": profile }).to_string()
    }
}

fn check(what: &str, output: &Output, code: i32) -> String {
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{what}\nstdout:\n{stdout}\nstderr:\n{stderr}");
    stdout.into_owned()
}
