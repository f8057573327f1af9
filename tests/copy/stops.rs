//! A store that hangs can be left at any time.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ma_cli::copy::{self, Error, Plan, Silent};
use ma_cli::obs::ObsUrl;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::support::{ACCESS_KEY, BUCKET, SECRET_KEY, client, noise, small_parts};

/// Far less than the time after which a client gives a hanging store up.
const SOON: Duration = Duration::from_secs(5);

/// Takes connections and never answers; tells of the first.
async fn hanging() -> (String, oneshot::Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (asked, first) = oneshot::channel();
    tokio::spawn(async move {
        let mut open = Vec::new();
        let mut asked = Some(asked);
        while let Ok((stream, _)) = listener.accept().await {
            open.push(stream);
            if let Some(asked) = asked.take() {
                let _ = asked.send(());
            }
        }
    });
    (endpoint, first)
}

fn plans(folder: &Path) -> [Plan; 5] {
    let (large, empty) = (folder.join("large"), folder.join("empty"));
    std::fs::write(&large, noise(11 << 20, 1)).unwrap();
    std::fs::create_dir(&empty).unwrap();
    let url = |key: &str| ObsUrl::new(BUCKET, key);
    [
        Plan::UploadFile { source: large, destination: url("large") },
        Plan::UploadFolder { source: empty.clone(), destination: url("below") },
        Plan::UploadFolder { source: empty, destination: url("") },
        Plan::DownloadFile { source: url("large"), destination: folder.join("out/large") },
        Plan::DownloadFolder { source: url("below"), destination: folder.join("out") },
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_stops_while_the_store_hangs() {
    let folder = tempfile::tempdir().unwrap();
    for plan in plans(folder.path()) {
        let (endpoint, asked) = hanging().await;
        let cancel = CancellationToken::new();
        let (client, options) = (client(&endpoint), small_parts());
        let shown = format!("{plan:?}");
        let copying = copy::copy(&client, plan, &options, Arc::new(Silent), &cancel);
        let stopping = async {
            asked.await.unwrap();
            cancel.cancel();
            Instant::now()
        };
        let (copied, stopped) = tokio::join!(copying, stopping);
        assert!(matches!(copied, Err(Error::Cancelled)), "{shown} {copied:?}");
        assert!(stopped.elapsed() < SOON, "{shown} {:?}", stopped.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_stops_while_it_finds_out_what_the_source_is() {
    let (endpoint, asked) = hanging().await;
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_ma-cli"))
        .args(["obs-copy", "obs://copies/file", "out"])
        .env_clear()
        .env("HOME", folder.path())
        .env("MA_CLI_OBS_ENDPOINT", &endpoint)
        .env("HUAWEICLOUD_SDK_AK", ACCESS_KEY)
        .env("HUAWEICLOUD_SDK_SK", SECRET_KEY)
        .env("REGION_NAME", "us-east-1")
        .env("PROJECT_ID", "none")
        .current_dir(folder.path())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    asked.await.unwrap();
    let stopped = Instant::now();
    let id = command.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let status = loop {
        if let Some(status) = command.try_wait().unwrap() {
            break status;
        }
        if stopped.elapsed() > SOON {
            command.kill().unwrap();
            command.wait().unwrap();
            panic!("it does not stop");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(status.code(), Some(130));
}
