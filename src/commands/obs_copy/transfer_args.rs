//! How bytes are moved and checked.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use crate::copy::{self, Verify};

/// Options about the transfer itself.
#[derive(Debug, clap::Args)]
pub(super) struct TransferArgs {
    /// How to check that the bytes arrived; auto is the strongest that the store allows
    #[arg(long, default_value = "auto", value_name = "CHECK",
          value_parser = clap::builder::PossibleValuesParser::new(["auto", "md5", "crc", "size", "none"]))]
    verify: String,
    /// Requests in flight at most
    #[arg(long, default_value_t = copy::budget::SLOTS as u64, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1024))]
    jobs: u64,
    /// Bytes a second at most for the whole run, such as 20M
    #[arg(long, value_name = "RATE", value_parser = parse_bytes)]
    limit_rate: Option<u64>,
    /// Requests a second at most for the whole run
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit_requests: Option<u32>,
    /// Bytes of file content held in memory at most, such as 64M [default: 24M]
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes)]
    max_memory: Option<u64>,
    /// Seconds without any byte moving after which a request is tried again
    #[arg(long, default_value_t = crate::obs::client::STALL.as_secs(), value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    stall_timeout: u64,
    /// Write downloads to the disk itself (fsync) before they get their names
    #[arg(long)]
    durable: bool,
    /// What of a file to keep in metadata of its object, and to give back to downloads: its time, its permissions
    #[arg(long, value_name = "WHAT", value_delimiter = ',',
          value_parser = clap::builder::PossibleValuesParser::new(["mtime", "mode", "none"]))]
    preserve: Vec<String>,
    /// End the run with the first file that fails
    #[arg(long)]
    fail_fast: bool,
    /// Size of the parts of large files, such as 64M [default: chosen by file size]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    part_size: Option<u64>,
}

impl TransferArgs {
    /// After how long a request counts as stalled.
    pub(super) fn stall(&self) -> Duration {
        // What a limited rate holds back is no stall.
        let piece = self.limit_rate.map_or(0, |rate| 2 * copy::budget::PIECE as u64 / rate + 1);
        Duration::from_secs(self.stall_timeout.max(piece))
    }

    /// Puts what was asked for into the options.
    pub(super) fn apply(&self, options: &mut copy::Options) {
        options.jobs = usize::try_from(self.jobs).unwrap_or(copy::budget::SLOTS);
        options.part_size = self.part_size;
        options.verify = verify(&self.verify);
        options.limit_rate = self.limit_rate.and_then(NonZeroU64::new);
        options.limit_requests = self.limit_requests.and_then(NonZeroU32::new);
        options.memory = self.max_memory.unwrap_or(options.memory);
        options.durable = self.durable;
        options.fail_fast = self.fail_fast;
        let keeps = |what: &str| self.preserve.iter().any(|word| word == what);
        options.preserve = copy::Preserve { modified: keeps("mtime"), mode: keeps("mode") };
    }
}

fn verify(word: &str) -> Verify {
    match word {
        "md5" => Verify::Md5,
        "crc" => Verify::Crc,
        "size" => Verify::Size,
        "none" => Verify::None,
        _ => Verify::Auto,
    }
}

/// Reads `64M`, `1G`, `5242880`: powers of 1024, at least 1.
fn parse_bytes(word: &str) -> Result<u64, String> {
    let digits = word.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let factor: u64 = match word[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        _ => return Err("a size is a number with K, M or G behind it".to_owned()),
    };
    let size = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
    size.filter(|size| *size > 0).ok_or_else(|| "a size is a number greater than 0".to_owned())
}

/// Reads the size of a part.
fn parse_size(word: &str) -> Result<u64, String> {
    let size = parse_bytes(word)?;
    if size >= copy::parts::SMALLEST_PART { Ok(size) } else { Err("a part has at least 100K".to_owned()) }
}
