//! The `ma-cli` program: everything of weight is in the library, so that tests run the same code.

use std::process::ExitCode;

/// A request of the copier makes some sixty small allocations, from several threads; `scripts/bench copy --row get` shows it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    ma_cli::main(std::env::args_os().collect(), ma_cli::settings::env::Env::from_process())
}
