//! The whole idea end to end on CIFAR-10; `--help` tells what it can do.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    adadiff_experiments::presets::CIFAR10.main()
}
