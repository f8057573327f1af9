//! How bytes are moved and checked.

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
    /// Size of the parts of large files, such as 64M [default: chosen by file size]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    part_size: Option<u64>,
}

impl TransferArgs {
    /// Puts what was asked for into the options.
    pub(super) fn apply(&self, options: &mut copy::Options) {
        options.jobs = usize::try_from(self.jobs).unwrap_or(copy::budget::SLOTS);
        options.part_size = self.part_size;
        options.verify = verify(&self.verify);
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

/// Reads `64M`, `1G`, `5242880`: powers of 1024.
fn parse_size(word: &str) -> Result<u64, String> {
    let digits = word.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let factor: u64 = match word[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        _ => return Err("a size is a number with K, M or G behind it".to_owned()),
    };
    let size = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
    size.filter(|size| *size >= copy::parts::SMALLEST_PART).ok_or_else(|| "a part has at least 100K".to_owned())
}
