//! The whole idea end to end on ImageNet; `--help` tells what it can do.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    adadiff_experiments::presets::IMAGENET.main()
}
