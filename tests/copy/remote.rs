//! From object to object inside the store.

use ma_cli::copy::{self, Error, Plan};
use ma_cli::obs::{Client, ObsUrl};

use crate::proxy::{Fault, Proxy};
use crate::support::{BUCKET, Store, client, copy_plan, download, keys, make_tree, noise, put, small_parts, tree, upload};

async fn run(client: &Client, source: &str, destination: &str, drop: bool) -> Result<copy::Summary, Error> {
    let request = copy::plan::Request::parse(source, destination, std::path::Path::new("/"))?;
    let plan = Plan::resolve(client, &request, drop).await?;
    copy_plan(client, plan, &small_parts()).await
}

async fn copies(client: &Client) {
    client.create_bucket("other-bucket").await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let files = [
        ("a b+c%é&<", Some(b"odd".to_vec())),
        ("deep/er/file", Some(b"1".to_vec())),
        ("empty", Some(Vec::new())),
        ("large", Some(noise((11 << 20) + 7, 1))),
    ];
    make_tree(folder.path(), &files);
    upload(client, folder.path(), "from/d/", &copy::Options::default()).await.unwrap();
    put(client, "from/d/marker/", b"").await;
    put(client, "from/d/line\nbreak", b"no disk is asked").await;
    let copied = run(client, "obs://copies/from/d", "obs://other-bucket/to", false).await.unwrap();
    assert_eq!((copied.files, copied.folders, copied.failed), (5, 1, 0), "{:?}", copied.failures);
    assert_eq!(copied.bytes, (11 << 20) + 7 + 4 + 16);
    assert!(copied.checks.md5 >= 4, "what is copied whole keeps its MD5 {:?}", copied.checks);
    let mut listing = client.list(&ObsUrl::new("other-bucket", "to/d/"), true);
    let mut found = Vec::new();
    while let Some(page) = listing.next_page().await.unwrap() {
        found.extend(page.entries.into_iter().map(|entry| entry.key));
    }
    assert!(found.contains(&"to/d/marker/".to_owned()) && found.len() == 6, "{found:?}");
    // Back under another name, and down: the same bytes.
    run(client, "obs://other-bucket/to/d/", "obs://copies/back", true).await.unwrap();
    client.delete(&ObsUrl::new(BUCKET, "back/line\nbreak")).await.unwrap();
    let target = folder.path().join("target");
    download(client, "back/", &target, &copy::Options::default()).await.unwrap();
    let mut found = tree(&target);
    found.remove("marker");
    for (name, content) in files {
        assert!(found.get(name) == Some(&content), "[{name}] differs");
    }
    run(client, "obs://copies/from/d/large", "obs://copies/single/", false).await.unwrap();
    assert_eq!(keys(client, "single/").await, ["single/large"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn embedded() {
    let store = Store::embedded().await;
    copies(&client(&store.endpoint)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn seaweedfs() {
    let store = Store::seaweedfs().await;
    copies(&client(&store.endpoint)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_sense_is_refused_before_anything_happens() {
    let store = Store::embedded().await;
    let direct = client(&store.endpoint);
    for key in ["p/x", "p/p/x", "p/y"] {
        put(&direct, key, key.as_bytes()).await;
    }
    for (source, destination) in [("p/x", "p/x"), ("p/x", "p/"), ("p/", ""), ("p", "p/"), ("", "copy/"), ("p/", "p/copy/")] {
        let (source, destination) = (format!("obs://{BUCKET}/{source}"), format!("obs://{BUCKET}/{destination}"));
        let refused = run(&direct, &source, &destination, false).await;
        assert!(matches!(refused, Err(Error::Plan(_))), "{source} {destination} {refused:?}");
    }
    assert!(matches!(run(&direct, "obs://copies/none", "obs://copies/z", false).await, Err(Error::NoSource(_))));
    assert_eq!(keys(&direct, "").await, ["p/p/x", "p/x", "p/y"]);
    // What would overwrite part of the source while it is copied is left, the rest goes on.
    put(&direct, "p/p/p/z", b"deep").await;
    let copied = run(&direct, "obs://copies/p/p/", "obs://copies/p/", true).await.unwrap();
    assert_eq!((copied.files, copied.failed), (1, 1), "{:?}", copied.failures);
    let got = direct.head(&ObsUrl::new(BUCKET, "p/p/p/z")).await.unwrap();
    assert_eq!(got.size, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_are_survived_and_nothing_is_left_behind() {
    let store = Store::embedded().await;
    let direct = client(&store.endpoint);
    put(&direct, "f/large", &noise(11 << 20, 4)).await;
    put(&direct, "f/small", b"small").await;
    for fault in [Fault::Status(503), Fault::Reset, Fault::LoseAnswer, Fault::CutBody] {
        let proxy = Proxy::start(&store.endpoint, fault, 3, |method, _| method == http::Method::PUT).await;
        let plan = Plan::CopyFolder { source: ObsUrl::new(BUCKET, "f/"), destination: ObsUrl::new(BUCKET, "g/") };
        let copied = copy_plan(&client(&proxy.endpoint), plan, &small_parts()).await.unwrap();
        assert_eq!((copied.files, copied.failed), (2, 0), "{fault:?} {:?}", copied.failures);
        assert!(proxy.is_spent());
        for key in ["large", "small"] {
            let (from, to) = (ObsUrl::new(BUCKET, format!("f/{key}")), ObsUrl::new(BUCKET, format!("g/{key}")));
            assert_eq!(direct.head(&from).await.unwrap().size, direct.head(&to).await.unwrap().size);
            direct.delete(&to).await.unwrap();
        }
    }
}
