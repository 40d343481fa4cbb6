//! A page that shows early exits happen; `--help` tells what it can show.

mod choices;
mod event;
mod feed;
mod monitor;
mod networks;
mod options;
mod page;
mod patient;
mod pictures;
mod queue;
mod race;
mod request;
mod routes;
mod server;
mod turns;
mod work;

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    adadiff_backends::keep_freed_memory();
    match options::Options::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
