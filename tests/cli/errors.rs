//! Every kind of error as people and programs see it, with its exit code: classified from what really goes wrong where a layer
//! below makes it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use http::StatusCode;
use ma_cli::error::{Error, Kind};
use ma_cli::ui::{Format, Options, Terminals, Ui};
use ma_cli::{api, auth, copy, http as transport, settings};

/// What a service answered.
fn refused(status: u16, body: &str) -> Error {
    let refusal = api::Refusal::read(StatusCode::from_u16(status).unwrap(), Some("r1"), body.as_bytes());
    Error::from(api::Error::Service(Box::new(refusal))).context("training job [j1]")
}

fn samples() -> Vec<Error> {
    let host = || "modelarts.example:443".to_owned();
    vec![
        Error::from("obs://".parse::<ma_cli::obs::ObsUrl>().unwrap_err()),
        Error::from(settings::Error::NoEndpoint { service: "modelarts", why: "set a region".to_owned() }),
        Error::from(settings::Error::NoProfile {
            name: "dev".to_owned(),
            path: PathBuf::from("p.yaml"),
            known: vec!["DEFAULT".to_owned()],
            named: None,
        }),
        Error::from(settings::Error::NoPlatform { directory: PathBuf::from("platform") }),
        Error::from(auth::Error::NothingConfigured(auth::CredentialReport::default())),
        refused(401, r#"{"error_code": "APIGW.0301", "error_msg": "Incorrect IAM authentication information"}"#),
        refused(403, r#"{"error_code": "ModelArts.0201", "error_msg": "no permission"}"#),
        refused(404, r#"{"error_code": "ModelArts.2763", "error_msg": "job not found", "error_solution": "check the id"}"#),
        refused(409, r#"{"error_code": "ModelArts.2772", "error_msg": "the name is taken"}"#),
        Error::new(Kind::Quota, "no more jobs can be submitted").hint("ask for a larger quota"),
        refused(429, r#"{"error_code": "APIGW.0308", "error_msg": "too many"}"#),
        Error::from(transport::Error::Connect { host: host(), message: "connection refused".to_owned() }),
        Error::from(transport::Error::Connect { host: "127.0.0.1:9".to_owned(), message: "connection refused".to_owned() }),
        Error::from(transport::Error::Tls { host: host(), message: "unknown issuer".to_owned(), is_certificate: true }),
        Error::from(transport::Error::Timeout { host: host(), seconds: 60 }),
        refused(500, "<html>"),
        refused(501, r#"{"error_code": "ModelArts.0501", "error_msg": "not here"}"#),
        Error::new(Kind::Local, "cannot write [a\u{1b}[2J]").caused_by(std::io::Error::other("no room")),
        Error::new(Kind::Local, "C1 \u{9b}2J and bidi \u{202e}txt").caused_by(std::io::Error::other("\u{85}\u{2066}")),
        Error::new(Kind::Partial, "3 of 10 files were not copied"),
        Error::new(Kind::Timeout, "the job is still Running after 2 h"),
        Error::new(Kind::JobFailed, "training job [j1] is Failed"),
        Error::new(Kind::JobStopped, "training job [j1] is Terminated"),
        Error::new(Kind::Declined, "nothing was done, as you did not say yes"),
        Error::from(copy::Error::Cancelled),
        Error::new(Kind::BrokenPipe, "the reader of standard output went away"),
        Error::new(Kind::Internal, "the document cannot be written as JSON"),
    ]
}

#[test]
fn every_kind_is_shown() {
    let ui = |format| Ui::new(Options { format, ..Options::default() }, Terminals::default());
    let (people, programs) = (ui(Format::Table), ui(Format::Json));
    let mut shown = String::new();
    let mut kinds = BTreeSet::new();
    for error in samples() {
        kinds.insert(error.kind.name());
        let line = programs.error_text(&error);
        let hostile = ['\u{1b}', '\u{9b}', '\u{85}', '\u{202e}', '\u{2066}'];
        assert!(line.ends_with("}\n") && line.lines().count() == 1 && !line.contains(hostile), "{line}");
        assert!(!people.error_text(&error).contains(hostile), "{error:?}");
        shown.push_str(&format!("exit {}\n{}{line}\n", error.kind.exit_code(), people.error_text(&error)));
    }
    assert_eq!(kinds, Kind::ALL.iter().map(|kind| kind.name()).collect());
    insta::assert_snapshot!(shown);
}
