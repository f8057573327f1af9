//! What objects are given besides their bytes, and what of it comes back.

use ma_cli::copy::{self, Plan};
use ma_cli::obs::attributes::{Attributes, CustomerKey, Encryption, Metadata};
use ma_cli::obs::bytes::PutOptions;
use ma_cli::obs::{Client, ObsUrl};

use crate::proxy::{Fault, Proxy};
use crate::support::{BUCKET, Store, client, copy_plan, make_tree, noise, put, small_parts, upload};

fn url(key: &str) -> ObsUrl {
    ObsUrl::new(BUCKET, key)
}

fn metadata(pairs: &[(&str, &str)]) -> Metadata {
    let mut metadata = Metadata::default();
    for (name, value) in pairs {
        metadata.add(name, value).unwrap();
    }
    metadata
}

/// Small and large, up and as a copy: the same attributes arrive.
async fn attributes_arrive(client: &Client) {
    let folder = tempfile::tempdir().unwrap();
    let files = [("small.csv", Some(b"1,2".to_vec())), ("large.json", Some(noise(11 << 20, 1))), ("odd", Some(b"x".to_vec()))];
    make_tree(folder.path(), &files);
    let attributes = Attributes {
        guess_type: true,
        cache_control: Some("max-age=60".into()),
        metadata: metadata(&[("Team", "vision  and  sound"), ("k_2", "100% = a;b")]),
        ..Attributes::default()
    };
    let with = client.clone().with_attributes(attributes).unwrap();
    let up = upload(&with, folder.path(), "attributes/", &small_parts()).await.unwrap();
    assert_eq!((up.files, up.failed), (3, 0), "{:?}", up.failures);
    // Without attributes of its own, a copy keeps them, in one piece or in parts.
    let plan = Plan::CopyFolder { source: url("attributes/"), destination: url("attributes-copy/") };
    let copied = copy_plan(client, plan, &small_parts()).await.unwrap();
    assert_eq!((copied.files, copied.failed), (3, 0), "{:?}", copied.failures);
    for prefix in ["attributes/", "attributes-copy/"] {
        for (name, content_type) in [("small.csv", Some("text/csv")), ("large.json", Some("application/json")), ("odd", None)] {
            let info = client.head(&url(&format!("{prefix}{name}"))).await.unwrap();
            if let Some(content_type) = content_type {
                assert_eq!(info.content_type.as_deref(), Some(content_type), "{prefix}{name}");
            }
            let mut found: Vec<(String, String)> = info.metadata.clone();
            found.iter_mut().for_each(|(name, _)| name.make_ascii_lowercase());
            let expected = [("k_2", "100% = a;b"), ("team", "vision  and  sound")];
            assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value.to_owned())), "{prefix}{name}");
            assert!(info.headers.contains(&("cache-control", "max-age=60".to_owned())), "{prefix}{name} {:?}", info.headers);
        }
    }
    let other = Attributes { metadata: metadata(&[("new", "1")]), guess_type: true, ..Attributes::default() };
    let with = client.clone().with_attributes(other).unwrap();
    for name in ["small.csv", "large.json"] {
        let source = url(&format!("attributes/{name}"));
        let plan = Plan::CopyObject { source, destination: url("attributes-other/x.txt") };
        copy_plan(&with, plan, &small_parts()).await.unwrap();
        let info = client.head(&url("attributes-other/x.txt")).await.unwrap();
        assert_eq!(info.content_type.as_deref(), Some("text/plain"));
        assert_eq!(info.metadata.len(), 1, "{:?}", info.metadata);
    }
}

/// An object that exists is left alone, whether it would be put or be made of parts.
async fn existing_objects_are_left_alone(client: &Client) {
    let folder = tempfile::tempdir().unwrap();
    make_tree(folder.path(), &[("small", Some(b"new".to_vec())), ("large", Some(noise(11 << 20, 2)))]);
    for name in ["small", "large"] {
        put(client, &format!("there/{name}"), b"old").await;
    }
    let with = client.clone().with_attributes(Attributes { no_overwrite: true, ..Attributes::default() }).unwrap();
    let up = upload(&with, folder.path(), "there/", &small_parts()).await.unwrap();
    assert_eq!((up.files, up.failed), (0, 2));
    for failure in &up.failures {
        assert!(failure.error.store().is_some_and(ma_cli::obs::Error::is_changed), "{failure:?}");
    }
    for name in ["small", "large"] {
        assert_eq!(client.head(&url(&format!("there/{name}"))).await.unwrap().size, 3);
    }
    let up = upload(&with, folder.path(), "not-there/", &small_parts()).await.unwrap();
    assert_eq!((up.files, up.failed), (2, 0), "{:?}", up.failures);
}

#[tokio::test(flavor = "multi_thread")]
async fn embedded() {
    let store = Store::embedded().await;
    attributes_arrive(&client(&store.endpoint)).await;
    existing_objects_are_left_alone(&client(&store.endpoint)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn seaweedfs() {
    let store = Store::seaweedfs().await;
    attributes_arrive(&client(&store.endpoint)).await;
    existing_objects_are_left_alone(&client(&store.endpoint)).await;
}

/// A key goes with every request for bytes, and with none that needs none; nothing is verified by an ETag that is no MD5.
#[tokio::test(flavor = "multi_thread")]
async fn a_customers_key_goes_where_it_is_needed() {
    let store = Store::embedded().await;
    let proxy = Proxy::start(&store.endpoint, Fault::Status(500), 0, |_, _| false).await;
    let key = CustomerKey::parse(&[5; 32]).unwrap();
    let attributes = Attributes { encryption: Some(Encryption::Customer(key)), ..Attributes::default() };
    let folder = tempfile::tempdir().unwrap();
    make_tree(&folder.path().join("in"), &[("small", Some(b"s".to_vec())), ("large", Some(noise(11 << 20, 3)))]);
    let with = client(&proxy.endpoint).with_attributes(attributes.clone()).unwrap();
    let plan = Plan::UploadFolder { source: folder.path().join("in"), destination: url("sse/") };
    // Whether the store can do it or refuses, the requests tell.
    let _ = copy_plan(&with, plan, &small_parts()).await;
    let _ = with.head(&url("sse/small")).await;
    let _ = with.get_once(&url("sse/small"), &ma_cli::obs::bytes::GetOptions::default()).await;
    let seen = proxy.seen();
    let key_header = "x-amz-server-side-encryption-customer-key ";
    for request in &seen {
        let needs_key =
            ["PUT /copies/sse/", "HEAD /copies/sse/", "GET /copies/sse/"].iter().any(|start| request.starts_with(start))
                || request.contains("?uploads");
        assert_eq!(format!("{request} ").contains(key_header), needs_key, "{request}");
    }
    assert!(seen.iter().any(|request| request.starts_with("GET /copies/sse/small")), "{seen:?}");
    let elsewhere = client("http://store.example.com").with_attributes(attributes);
    assert!(elsewhere.is_err(), "a key is not sent in the clear");
}

/// What is said about objects is no part of what is said about their bytes.
#[tokio::test(flavor = "multi_thread")]
async fn options_of_the_copier_stay_as_they_are() {
    let store = Store::embedded().await;
    let plain = client(&store.endpoint);
    let payload = ma_cli::obs::body::Payload::Whole(bytes::Bytes::from_static(b"x"));
    plain.put_once(&url("plain.csv"), payload, &PutOptions::default()).await.unwrap();
    let info = plain.head(&url("plain.csv")).await.unwrap();
    assert_ne!(info.content_type.as_deref(), Some("text/csv"), "nothing is guessed unless asked for");
    assert!(info.metadata.is_empty() && info.headers.is_empty());
    assert!(copy::Options::default().part_size.is_none());
}
