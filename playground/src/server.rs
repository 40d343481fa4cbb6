//! Connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::patient::Patient;

/// Connections at once; others wait until one ends.
const CONNECTIONS: usize = 512;

/// How long the head of a request, or the next request, may take to arrive.
const HEAD: Duration = Duration::from_secs(15);

/// The largest head of a request.
const HEAD_BYTES: usize = 16 << 10;

/// Listens on an address.
///
/// # Errors
/// Where it is not this machine's, or another program has it.
pub async fn listen(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!(
            "cannot listen on {address}: `--listen {}:0` takes any free port",
            address.ip()
        )
    })
}

/// Answers whoever connects, for ever.
pub async fn serve(listener: TcpListener, router: Router) -> ! {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        // Nobody closes the semaphore.
        let place = room.clone().acquire_owned().await;
        match listener.accept().await {
            Ok((stream, _)) => {
                let answering = answer(stream, router.clone());
                tokio::spawn(async move {
                    answering.await;
                    drop(place);
                });
            }
            // No more files can be opened, or the visitor has left again.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn answer(stream: TcpStream, router: Router) {
    // Events are small, and wait for nothing; where that cannot be set they come a little later.
    let _ = stream.set_nodelay(true);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_BYTES);
    let stream = TokioIo::new(Patient::new(stream));
    // A connection that fails is the visitor's affair.
    let _ = http
        .serve_connection(stream, TowerToHyperService::new(router))
        .await;
}
