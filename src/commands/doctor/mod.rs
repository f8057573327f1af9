//! `ma-cli doctor`: what stands in the way, and what to do about it.

mod access;
mod finding;
mod machine;
mod network;
mod tools;

use std::time::Duration;

use clap::value_parser;
use futures_util::future;

use self::finding::{Finding, Report, State};
use crate::ctx::Ctx;
use crate::error::Error;

/// Check profile, credentials, network, services and this machine
///
/// Each line is ok, warn or fail, with the remedy. Nothing is changed. Exit code 1 when a line fails.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ma-cli doctor
  ma-cli doctor -P dev --bucket obs://my-bucket
  ma-cli doctor -F json --query \"[?state=='fail'].check\"")]
pub struct DoctorArgs {
    /// Bucket that must be reachable; without it the list of buckets is asked for
    #[arg(long, value_name = "URL")]
    bucket: Option<String>,
    /// Longest wait for each answer, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = value_parser!(u64).range(1..=300))]
    timeout: u64,
    /// Send nothing
    #[arg(long)]
    offline: bool,
}

/// Checks and reports.
///
/// # Errors
/// The report cannot be written. What is found wrong is in the report, and in the exit code.
pub async fn run(ctx: &Ctx, args: DoctorArgs) -> Result<(), Error> {
    let limit = Duration::from_secs(args.timeout);
    let mut report = Report::default();
    report.add(machine::version());
    report.add(machine::profile(ctx));
    report.extend(machine::unknown_keys(ctx));
    report.extend(machine::region(ctx));
    let credentials = access::credentials(ctx, args.offline).await;
    let is_known = credentials.state != State::Fail;
    report.add(credentials);
    let network = async {
        if args.offline {
            return vec![Finding::new("network", State::Warn, "not checked (--offline)")];
        }
        let mut findings = Vec::new();
        let reached = network::check(ctx, limit, &mut findings).await;
        if is_known {
            findings.extend(access::check(ctx, &reached, args.bucket.as_deref(), limit).await);
        }
        findings
    };
    let (network, tools) = future::join(network, tools::check(ctx, limit)).await;
    report.extend(network);
    report.extend(tools);
    report.extend(machine::disks(ctx));
    ctx.ui.emit(&report)?;
    if report.has_failed() {
        ctx.set_exit_code(1);
    }
    Ok(())
}
