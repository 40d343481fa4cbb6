//! The whole idea end to end on Fashion-MNIST; `--help` tells what it can do.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    adadiff_experiments::presets::FASHION_MNIST.main()
}
