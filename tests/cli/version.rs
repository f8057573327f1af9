//! `ma-cli version`.

use serde_json::{Value, json};

use crate::support::Home;

#[test]
fn version_tells_what_the_binary_is_made_of() {
    let home = Home::new();
    let output = home.run(&["version", "-F", "json"]);
    assert_eq!((output.code, output.stderr.as_str()), (0, ""));
    let document: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(document["version"], env!("CARGO_PKG_VERSION"));
    // Nothing is asked of Git in such a build: `scripts/release` says what they are.
    assert_eq!(document["commit"], option_env!("MA_CLI_COMMIT").unwrap_or("unknown"));
    assert_eq!(document["build_date"], option_env!("MA_CLI_BUILD_DATE").unwrap_or("unknown"));
    assert!(document["catalogue"].as_str().unwrap().starts_with("3."), "{document}");
    for feature in ["keyring", "platform"] {
        assert!(document["features"].as_array().unwrap().contains(&json!(feature)), "{document}");
    }
    let table = home.run(&["version"]).stdout;
    for word in ["build date", "catalogue", "platform"] {
        assert!(table.contains(word), "{table}");
    }
    assert_eq!(home.run(&["version", "--query", "version"]).stdout, format!("{}\n", env!("CARGO_PKG_VERSION")));
}
