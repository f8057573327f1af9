//! Every request the program sends and every reply the platform gives agree with the API catalogues.
//!
//! The program, and clients of the vendor's, talk to a platform through a proxy that records each exchange; each is then checked
//! (`contract/catalogue.rs`). Known disagreements stand in `data/contract-exceptions.txt`, which may only shrink.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "helpers of tests may panic and read the environment")]

#[path = "contract/bench.rs"]
mod bench;
#[path = "contract/catalogue.rs"]
mod catalogue;
#[path = "contract/exceptions.rs"]
mod exceptions;
#[path = "contract/program.rs"]
mod program;
#[path = "contract/proxy.rs"]
mod proxy;
#[path = "python/mod.rs"]
mod python;

use std::collections::BTreeSet;
use std::path::Path;

use bench::Bench;
use catalogue::{Catalogue, Exchange};

/// Operations that must have been seen, or the comparison says less than it seems to.
const SPOKEN: &[&str] = &[
    "ChangeAlgorithm",
    "ChangeTrainingJobDescription",
    "CreateAlgorithm",
    "CreateTemporaryAccessKeyByAgency",
    "CreateTrainJobTags",
    "CreateTrainingJob",
    "DeleteAlgorithm",
    "DeleteTrainJobTags",
    "DeleteTrainingJob",
    "KeystoneCreateAgencyToken",
    "KeystoneListAuthDomains",
    "KeystoneListAuthProjects",
    "KeystoneListProjects",
    "KeystoneListRegions",
    "KeystoneShowProject",
    "KeystoneValidateToken",
    "ListAlgorithms",
    "ListPools",
    "ListTrainingJobEvents",
    "ListTrainingJobs",
    "ShowAlgorithmByUuid",
    "ShowAutoSearchParamsAnalysis",
    "ShowAutoSearchPerTrial",
    "ShowAutoSearchTrialEarlyStop",
    "ShowAutoSearchTrials",
    "ShowAutoSearchYamlTemplateContent",
    "ShowAutoSearchYamlTemplatesInfo",
    "ShowObsUrlOfTrainingJobLogs",
    "ShowSearchAlgorithms",
    "ShowTrainJobTags",
    "ShowTrainingJobDetails",
    "ShowTrainingJobEngines",
    "ShowTrainingJobFlavors",
    "ShowTrainingJobLogsPreview",
    "ShowTrainingJobMetrics",
    "StopTrainingJob",
];

#[tokio::test(flavor = "multi_thread")]
async fn client_and_platform_keep_to_the_catalogues() {
    let bench = Bench::start().await;
    program::speak(&bench).await;
    bench.run_script("iam.py").await;
    bench.run_script("algorithm.py").await;
    let (operations, problems) = check(&bench.proxy.take());
    bench.shutdown().await;
    let missing: Vec<_> = SPOKEN.iter().filter(|operation| !operations.contains(**operation)).collect();
    assert!(missing.is_empty(), "never called: {missing:?}");
    if let Err(complaints) = exceptions::compare(include_str!("data/contract-exceptions.txt"), &problems) {
        panic!("\n{complaints}");
    }
}

/// Operations that were called, and what is wrong with the calls.
fn check(exchanges: &[Exchange]) -> (BTreeSet<String>, BTreeSet<String>) {
    let catalogue = Catalogue::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/catalogue"));
    let (mut operations, mut problems) = (BTreeSet::new(), BTreeSet::new());
    for exchange in exchanges {
        let verdict = catalogue.check(exchange);
        operations.extend(verdict.operation);
        problems.extend(verdict.problems);
    }
    (operations, problems)
}
