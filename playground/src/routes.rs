//! What is answered to which address.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::feed::feed;
use crate::page::PAGE_FILES;
use crate::queue::Queue;
use crate::request::Address;
use crate::work::QueuedWork;

/// What all answers are made from.
#[derive(Clone, Debug)]
pub struct Server {
    /// Where work is queued.
    pub queue: Arc<Queue>,
    /// What can be chosen, in JSON.
    pub choices: Bytes,
}

/// What browsers may do with a page of this server: show it, by itself.
const HEADERS: [(HeaderName, &str); 7] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::CACHE_CONTROL, "no-store"),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
];

/// All addresses.
pub fn routes(server: Server) -> Router {
    let mut router = Router::new()
        .route("/api/choices", get(choices))
        .route("/api/counts", get(counts))
        .route("/api/draw", get(draw))
        .route("/api/look", get(look));
    for file in PAGE_FILES {
        let answer = move || async { ([(header::CONTENT_TYPE, file.media_type)], file.bytes) };
        router = router.route(file.path, get(answer));
    }
    router
        .fallback(|| async { (StatusCode::NOT_FOUND, "there is no such page\n") })
        .layer(middleware::from_fn(guard))
        .with_state(server)
}

async fn choices(State(server): State<Server>) -> Response {
    json(server.choices)
}

async fn counts(State(server): State<Server>) -> Response {
    // Numbers can always be written.
    json(serde_json::to_vec(&server.queue.counts()).unwrap_or_default())
}

async fn draw(
    State(server): State<Server>,
    address: Result<Query<Address>, QueryRejection>,
) -> Response {
    let work = read(address).and_then(|address| Ok(QueuedWork::Draw(address.draw_request()?)));
    start(&server, work)
}

async fn look(
    State(server): State<Server>,
    address: Result<Query<Address>, QueryRejection>,
) -> Response {
    let work = read(address)
        .and_then(|address| Ok(QueuedWork::Look(address.draw_request()?, address.place()?)));
    start(&server, work)
}

fn read(address: Result<Query<Address>, QueryRejection>) -> Result<Address, String> {
    match address {
        Ok(Query(address)) => Ok(address),
        Err(error) => Err(error.body_text()),
    }
}

fn json(text: impl Into<Body>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text.into()).into_response()
}

/// Queues the work and answers with its events.
fn start(server: &Server, work: Result<QueuedWork, String>) -> Response {
    let work = match work {
        Ok(work) => work,
        Err(message) => return (StatusCode::BAD_REQUEST, message + "\n").into_response(),
    };
    let (feed, reader) = feed();
    match server.queue.push(work, feed) {
        Ok(()) => {
            let events = [(header::CONTENT_TYPE, "text/event-stream")];
            (events, Body::from_stream(reader)).into_response()
        }
        Err(message) => (StatusCode::SERVICE_UNAVAILABLE, message + "\n").into_response(),
    }
}

/// Lets through what a browser asks for a page of this server, or a program of a visitor's own, and puts the
/// headers on whatever is answered.
async fn guard(request: Request, next: Next) -> Response {
    let headers = request.headers();
    let is_page = !request.uri().path().starts_with("/api/");
    let mut response = if !is_own_host(headers) {
        let told =
            "this server answers to addresses of numbers and to localhost, not to other names\n";
        (StatusCode::FORBIDDEN, told).into_response()
    } else if !is_page && is_from_elsewhere(headers) {
        (
            StatusCode::FORBIDDEN,
            "pages of other servers may not ask for this\n",
        )
            .into_response()
    } else {
        next.run(request).await
    };
    for (name, value) in HEADERS {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Whether the browser asks for a name that no stranger can point here: strangers who own a name may let it mean
/// the visitor's own machine, and then read what this server answers (DNS rebinding).
fn is_own_host(headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return false;
    };
    let Ok(host) = host.to_str() else {
        return false;
    };
    let name = match host.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, "")) => address,
            Some((address, port)) if is_port(port) => address,
            _ => return false,
        },
        None => match host.find(':') {
            Some(end) if is_port(&host[end..]) => &host[..end],
            Some(_) => return false,
            None => host,
        },
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

fn is_port(text: &str) -> bool {
    let port = text.strip_prefix(':').unwrap_or_default();
    !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a browser says that a page of another server asks.
fn is_from_elsewhere(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site");
    site.is_some_and(|site| site != "same-origin" && site != "none")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(names: &[&'static str]) -> bool {
        let mut headers = HeaderMap::new();
        for name in names {
            headers.append(header::HOST, HeaderValue::from_static(name));
        }
        is_own_host(&headers)
    }

    #[test]
    fn only_addresses_that_nobody_can_rebind_are_answered() {
        for own in [
            "127.0.0.1:80",
            "localhost:8642",
            "LOCALHOST",
            "[::1]:8642",
            "[::1]",
            "192.168.1.7",
        ] {
            assert!(host(&[own]), "{own}");
        }
        for other in [
            "",
            "evil.example",
            "127.0.0.1.evil.example:80",
            "localhost:",
            "localhost:80x",
            "[::1",
            "[::1]80",
            "::1",
            "localhost@evil",
        ] {
            assert!(!host(&[other]), "{other}");
        }
        assert!(!host(&[]));
        assert!(!host(&["localhost", "evil.example"]));
    }
}
