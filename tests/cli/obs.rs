//! `ma-cli obs`: buckets and objects by hand, on the platform.

use std::fs;

use crate::support::LocalPlatform;

#[test]
fn a_user_needs_no_other_tool_for_buckets_and_objects() {
    let platform = LocalPlatform::start();
    assert_eq!(platform.run(&["obs", "mb", "obs://lab"]).code, 0);
    assert_eq!(platform.run(&["obs", "mb", "lab"]).code, 0, "a bucket of one's own is no error");
    fs::write(platform.home.path().join("a b.txt"), "hello\n").unwrap();
    assert_eq!(platform.run(&["obs-copy", "a b.txt", "obs://lab/dir/"]).code, 0);

    let output = platform.run(&["obs", "cat", "obs://lab/dir/a b.txt"]);
    assert_eq!((output.stdout.as_str(), output.code), ("hello\n", 0));
    let output = platform.run(&["obs", "stat", "obs://lab/dir/a b.txt", "--query", "size"]);
    assert_eq!((output.stdout.trim(), output.code), ("6", 0), "{output:?}");
    assert!(platform.run(&["obs", "ls"]).stdout.contains("lab"));
    assert!(platform.run(&["obs", "ls", "obs://lab/"]).stdout.contains("dir/"));
    let output = platform.run(&["obs", "ls", "-r", "obs://lab/", "-F", "jsonl"]);
    assert_eq!(output.stdout.lines().count(), 1, "{output:?}");

    let output = platform.run(&["obs", "rm", "-r", "obs://lab/dir/", "--no-input"]);
    assert_eq!(output.code, 1, "{output:?}");
    assert!(output.stderr.contains("--yes"), "{output:?}");
    assert_eq!(platform.run(&["obs", "rm", "-r", "-y", "obs://lab/dir/"]).code, 0);
    assert_eq!(platform.run(&["obs", "ls", "obs://lab/", "-F", "json"]).stdout, "[]\n");
}

#[test]
fn what_is_not_there_is_exit_code_5() {
    let platform = LocalPlatform::start();
    assert_eq!(platform.run(&["obs", "mb", "obs://lab"]).code, 0);
    for command in
        [["stat", "obs://lab/none"], ["cat", "obs://lab/none"], ["rm", "obs://lab/none"], ["ls", "obs://nowhere-at-all/"]]
    {
        let output = platform.run(&[&["obs"], &command[..]].concat());
        assert_eq!(output.code, 5, "{command:?}: {output:?}");
        assert!(output.stderr.starts_with("[ERROR] "), "{command:?}: {output:?}");
    }
}

#[test]
fn a_bucket_name_that_no_store_takes_says_what_one_looks_like() {
    let platform = LocalPlatform::start();
    let output = platform.run(&["obs", "mb", "obs://t"]);
    assert_eq!(output.code, 2, "{output:?}");
    assert!(output.stderr.contains("hint: a bucket's name has 3 to 63 characters"), "{output:?}");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let platform = LocalPlatform::start();
    assert_eq!(platform.run(&["obs", "mb", "obs://lab"]).code, 0);
    fs::write(platform.home.path().join("big"), vec![b'x'; 4 << 20]).unwrap();
    assert_eq!(platform.run(&["obs-copy", "big", "obs://lab/big"]).code, 0);
    let script = format!(
        "'{}' -P local obs cat obs://lab/big | head -c 10; echo \" ${{PIPESTATUS[0]}}\"",
        crate::support::binary().display()
    );
    let output = std::process::Command::new("bash")
        .args(["-c", &script])
        .env_clear()
        .env("HOME", platform.home.path())
        .env("PATH", "/usr/bin:/bin")
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "xxxxxxxxxx 0\n");
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}

#[test]
fn keys_and_an_endpoint_in_the_environment_are_enough() {
    let platform = LocalPlatform::start();
    assert_eq!(platform.run(&["obs", "mb", "obs://lab"]).code, 0);
    let variables = [
        ("HUAWEICLOUD_SDK_AK", platform.field("access_key")),
        ("HUAWEICLOUD_SDK_SK", platform.field("secret_key")),
        ("MA_CLI_OBS_ENDPOINT", platform.field("obs_endpoint")),
    ];
    let output = platform.home.run_with(&["obs", "ls"], &variables, "");
    assert_eq!(output.code, 0, "{output:?}");
    assert!(output.stdout.contains("lab"), "{output:?}");
}

#[test]
fn only_an_empty_bucket_is_removed() {
    let platform = LocalPlatform::start();
    assert_eq!(platform.run(&["obs", "mb", "obs://lab"]).code, 0);
    fs::write(platform.home.path().join("file"), "x").unwrap();
    assert_eq!(platform.run(&["obs-copy", "file", "obs://lab/"]).code, 0);
    let output = platform.run(&["obs", "rb", "obs://lab"]);
    assert_eq!(output.code, 1, "{output:?}");
    assert!(output.stderr.contains("BucketNotEmpty"), "{output:?}");
    assert_eq!(platform.run(&["obs", "cat", "obs://lab/file"]).stdout, "x");
    assert_eq!(platform.run(&["obs", "rm", "obs://lab/file"]).code, 0);
    assert_eq!(platform.run(&["obs", "rb", "lab"]).code, 0);
    assert_eq!(platform.run(&["obs", "ls", "-F", "json"]).stdout, "[]\n");
    assert_eq!(platform.run(&["obs", "rb", "obs://lab"]).code, 5);
}
