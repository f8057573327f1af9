//! The `ma-cli` program: everything of weight is in the library, so that tests run the same code.

use std::process::ExitCode;

fn main() -> ExitCode {
    ma_cli::main(std::env::args_os().collect(), ma_cli::settings::env::Env::from_process())
}
