//! What is left when the process is killed at any moment: a child serves, the test kills it and looks.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::primitives::ByteStream;
use md5::{Digest as _, Md5};
use tokio_util::sync::CancellationToken;

use crate::support::{ACCESS_KEY, SECRET_KEY, Server, client, open, tree};

const FOLDER: &str = "MA_CLI_TEST_OBS_FOLDER";

/// Serves until it is killed; only as a child of the test below.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the child of another test"]
async fn child() {
    #[expect(clippy::disallowed_methods, reason = "how the test tells its child")]
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("\nport={}", listener.local_addr().unwrap().port());
    Arc::new(open(Path::new(&folder))).serve(listener, CancellationToken::new()).await;
}

fn spawn(folder: &Path) -> (Child, String) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::child", "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let port = lines.map_while(Result::ok).find_map(|line| line.strip_prefix("port=").map(str::to_owned)).unwrap();
    (child, format!("http://127.0.0.1:{port}"))
}

fn body(writer: usize, round: u64) -> Vec<u8> {
    let size = 10_000 + usize::try_from(fastrand::u64(..)).unwrap_or(7) % 300_000;
    format!("{writer}/{round};").bytes().cycle().take(size).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_store_has_no_half_objects() {
    let folder = tempfile::tempdir().unwrap();
    for life in 0..8_u64 {
        let (mut child, endpoint) = spawn(folder.path());
        let client = client(&endpoint, ACCESS_KEY, SECRET_KEY, None);
        // There from the second life on.
        let _ = client.create_bucket().bucket("bucket").send().await;
        let writers: Vec<_> = (0..6)
            .map(|writer| {
                let client = client.clone();
                tokio::spawn(async move {
                    let mut acknowledged = None;
                    for round in 0.. {
                        // Few keys, so that most writes replace; `k0` and `k0/x` cannot both be plain files.
                        let key = format!("k{}{}", writer / 2, if writer % 2 == 0 { "" } else { "/x" });
                        let bytes = body(writer, life * 1_000_000 + round);
                        let digest = hex::encode(Md5::digest(&bytes));
                        match client.put_object().bucket("bucket").key(&key).body(ByteStream::from(bytes)).send().await {
                            Ok(_) => acknowledged = Some((key, digest)),
                            Err(_) => return (acknowledged, Some((key, digest))),
                        }
                    }
                    (acknowledged, None)
                })
            })
            .collect();
        // Not to wait for something: the moment of the kill is to be any.
        tokio::time::sleep(Duration::from_millis(150 + fastrand::u64(0..150))).await;
        child.kill().unwrap();
        child.wait().unwrap();
        let (mut child, endpoint) = spawn(folder.path());
        let client = crate::support::client(&endpoint, ACCESS_KEY, SECRET_KEY, None);
        for writer in writers {
            let (acknowledged, last) = writer.await.unwrap();
            let Some((key, digest)) = acknowledged else { continue };
            let get = client.get_object().bucket("bucket").key(&key).send().await;
            let get = get.unwrap_or_else(|error| panic!("{key} was acknowledged and is lost: {error:?}"));
            let etag = get.e_tag().unwrap().trim_matches('"').to_owned();
            let found = hex::encode(Md5::digest(get.body.collect().await.unwrap().to_vec()));
            assert_eq!(found, etag, "{key}: the bytes are not those of the row");
            let allowed = found == digest || last.as_ref().is_some_and(|(_, last)| *last == found);
            assert!(allowed, "{key} is neither what was acknowledged last nor what was under way");
        }
        assert_eq!(tree(&folder.path().join("obs/.incoming")), Vec::<String>::new());
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

/// Uploads under way survive, their parts too; folders of uploads that nobody knows go.
#[tokio::test]
async fn uploads_survive_a_restart() {
    let (server, client) = Server::with_bucket().await;
    let created = client.create_multipart_upload().bucket("bucket").key("k").send().await.unwrap();
    let upload = created.upload_id().unwrap();
    let part = client.upload_part().bucket("bucket").key("k").upload_id(upload).part_number(3);
    let part = part.body(ByteStream::from_static(b"part")).send().await.unwrap();
    let stray = server.folder.path().join("obs/.uploads/STRAY");
    std::fs::create_dir(&stray).unwrap();
    std::fs::write(stray.join("1"), "x").unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::rename(server.folder.path().join("obs"), folder.path().join("obs")).unwrap();
    for name in tree(server.folder.path()) {
        std::fs::copy(server.folder.path().join(&name), folder.path().join(&name)).unwrap();
    }
    let server = Server::start_in(folder).await;
    let client = server.client();
    assert!(!server.folder.path().join("obs/.uploads/STRAY").exists());
    let parts = client.list_parts().bucket("bucket").key("k").upload_id(upload).send().await.unwrap();
    assert_eq!(parts.parts()[0].e_tag(), part.e_tag());
    let part = aws_sdk_s3::types::CompletedPart::builder().part_number(3).e_tag(part.e_tag().unwrap()).build();
    let parts = aws_sdk_s3::types::CompletedMultipartUpload::builder().parts(part).build();
    let complete = client.complete_multipart_upload().bucket("bucket").key("k").upload_id(upload).multipart_upload(parts);
    complete.send().await.unwrap();
    let get = client.get_object().bucket("bucket").key("k").send().await.unwrap();
    assert_eq!(get.body.collect().await.unwrap().to_vec(), b"part");
}
