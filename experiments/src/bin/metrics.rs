//! How far two sets of images are apart; `--help` tells what it can do.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    adadiff_experiments::metrics_tool::main()
}
