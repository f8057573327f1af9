//! The targets of `fuzz/`, driven by random bytes and by real documents with a few bytes changed. The seed is fixed; a failing
//! input is printed.

use std::panic::{AssertUnwindSafe, catch_unwind};

#[path = "../../fuzz/targets.rs"]
mod targets;

const KEYS: &str = "p/\na\na/b\na//b\n../x\n/etc\nb/\nb/c/\n..\n.\nc\u{e9}/d\n\u{1}\nx/../y\n";

const LISTING: &str = r#"<?xml version="1.0" encoding="UTF-8"?><!-- a --><ListBucketResult xmlns="http://x/"><Name>b</Name>
<Prefix/><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated><NextContinuationToken>t&amp;1</NextContinuationToken>
<Contents><Key>a%2Fb+c</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>&quot;9a0364b9e99bb480dd25e1f0284c8555&quot;</ETag>
<Size>12</Size><Owner><ID>x</ID></Owner></Contents><CommonPrefixes><Prefix>d%2F</Prefix></CommonPrefixes><![CDATA[x]]></ListBucketResult>"#;

const ARGUMENTS: &str = "ma-job\nget-job\n-pn\n2\n-ps=5\n-P\ndev\n-vD\n--format\njson\n--\n-x";

const PROFILES: &str =
    "# mine\nDEFAULT:\n  auth: AKSK\n  access_key: a\n\ndev: {region: \"x: y\", list: [1, &a 2, *a]}\n'o t': |\n  DEFAULT: 1\n";

const REGIONS: &str = "cn-north-4:\n  modelarts: https://modelarts.example\n  obs: 'https://obs.example'\nx: {}\n";

const REPLY: &str = r#"{"kind": "job", "metadata": {"id": "1", "name": "n", "create_time": 1}, "status": {"phase": "Failed", "duration": 5,
"tasks": ["worker-0"], "task_statuses": [{"task": "worker-0", "exit_code": 1, "message": "m"}]}, "error_code": "ModelArts.1", "error_msg": "m",
"job_config": {"parameters": [{"name": "a", "value": "1", "constraint": {"type": "Integer", "valid_type": "range", "valid_range": [1, 2]}}]},
"content": "l", "current_size": 1, "full_size": 2, "metrics": [{"metric": "cpuUsage", "value": [1, -1, null, 1e300]}]}"#;

const WORDS: &str = "bytes 0-9/100";

/// Changes, removes, doubles or adds some bytes.
fn mutate(random: &mut fastrand::Rng, seed: &[u8]) -> Vec<u8> {
    let mut bytes =
        if random.u8(0..10) == 0 { (0..random.usize(0..200)).map(|_| random.u8(..)).collect() } else { seed.to_vec() };
    for _ in 0..random.usize(0..8) {
        let at = random.usize(0..=bytes.len());
        let end = (at + random.usize(0..20)).min(bytes.len());
        match random.u8(0..5) {
            0 if at < bytes.len() => bytes[at] = random.u8(..),
            1 => bytes.insert(at, *random.choice(b"/.<>&;\"\\\0\n%+-]0").unwrap()),
            2 => drop(bytes.drain(at..end)),
            3 => bytes.truncate(at),
            _ => bytes = [&bytes[..end], &bytes[at..]].concat(),
        }
    }
    bytes
}

type Target = fn(&[u8]);

fn drive(count: u64) {
    // The last number: one in so many, for those that take longer.
    let targets: [(&str, Target, &str, u64); 8] = [
        ("argv", targets::argv, ARGUMENTS, 10),
        ("json", targets::json, REPLY, 1),
        ("keys", targets::keys, KEYS, 1),
        ("listing", targets::listing, LISTING, 1),
        ("profile", targets::profile, PROFILES, 10),
        ("region", targets::region, REGIONS, 2),
        ("words", targets::words, WORDS, 1),
        ("words", targets::words, "obs://bucket/a b/c", 1),
    ];
    for (name, target, seed, one_in) in targets {
        let mut random = fastrand::Rng::with_seed(1);
        target(seed.as_bytes());
        for _ in 0..count / one_in {
            let input = mutate(&mut random, seed.as_bytes());
            let outcome = catch_unwind(AssertUnwindSafe(|| target(&input)));
            assert!(outcome.is_ok(), "{name} fails on {:?}", String::from_utf8_lossy(&input));
        }
    }
}

#[test]
fn nothing_that_is_read_is_believed() {
    drive(5_000);
}

#[test]
#[ignore = "a minute: scripts/test --soak"]
fn soak_nothing_that_is_read_is_believed() {
    drive(1_000_000);
}
