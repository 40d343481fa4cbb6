//! The command line, and what it starts.

use std::convert::Infallible;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;

use adadiff_backends::{DeviceTask, run_on};
use adadiff_experiments::commands::NetworkSource;
use adadiff_model::kernels::Kernels;
use anyhow::{Context, Result};
use clap::Parser;

use crate::choices::Choices;
use crate::networks::Networks;
use crate::queue::Queue;
use crate::routes::{Server, routes};
use crate::server::{listen, serve};

/// Shows in a browser how early exits happen: the full network and an adaptive one draw the same samples side by
/// side, step by step
#[derive(Debug, Parser)]
#[command(name = "playground", version)]
pub struct Options {
    /// The networks.
    #[command(flatten)]
    source: NetworkSource,
    /// Address to listen on: by itself only this machine reaches it
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8642")]
    listen: SocketAddr,
}

impl Options {
    /// Shows the page until the program is ended.
    ///
    /// # Errors
    /// Where a network cannot be loaded or the address cannot be listened on.
    pub fn run(self) -> Result<()> {
        run_on(self.source.device(), self).map(|never: Infallible| match never {})
    }
}

impl DeviceTask for Options {
    type Output = Result<Infallible>;

    fn run<B: Kernels>(self, device: B::Device) -> Result<Infallible> {
        let own = self.source.load::<B>(&device)?;
        let bundled = NetworkSource::load_bundled::<B>(&device)?;
        let mut networks = Networks::new(own, bundled);
        let choices = Choices::new(&networks, self.source.device().to_string());
        let queue = Arc::new(Queue::default());
        let server = Server {
            queue: queue.clone(),
            choices: serde_json::to_vec(&choices)?.into(),
        };
        thread::Builder::new()
            .name("drawing".to_owned())
            .spawn(move || {
                networks.warm_up();
                queue.serve(&mut networks)
            })
            .context("cannot start a thread to draw in")?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let listener = listen(self.listen).await?;
            let address = listener.local_addr()?;
            tell(address).context("cannot tell the address")?;
            serve(listener, routes(server)).await
        })
    }
}

/// Prints where the page is, and who reaches it.
fn tell(address: SocketAddr) -> std::io::Result<()> {
    if !address.ip().is_loopback() {
        eprintln!(
            "note: whoever reaches this machine at {address} can draw samples on it, and see what others are \
             waiting for; there is no password, and nothing is encrypted"
        );
    }
    let mut out = std::io::stdout().lock();
    writeln!(out, "http://{address}/")?;
    out.flush()
}
