//! Visitors who mean no good, or have poor connections.

use std::io::{BufRead, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;

use crate::client::{Running, event, timeless};

/// What one visitor draws while others do what they like.
const DRAWING: &str = "/api/draw?images=4&steps=100&method=static_depth&seed=3";

/// Numbers without a pattern (SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }
}

/// A request that no server should carry out.
fn malformed(numbers: &mut Numbers) -> Vec<u8> {
    let long = "a".repeat(40_000);
    let number = numbers.next();
    let text = match number % 16 {
        0 => return numbers.bytes(1 + (number >> 8) as usize % 400),
        1 => {
            let mut head = b"GET /".to_vec();
            head.extend(numbers.bytes(60));
            head.extend(b" HTTP/1.1\r\nHost: localhost\r\n\r\n");
            return head;
        }
        2 => format!("GET /{long} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        3 => format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {long}\r\n\r\n"),
        4 => format!(
            "GET / HTTP/1.1\r\nHost: localhost\r\n{}\r\n",
            "X: y\r\n".repeat(300)
        ),
        5 => "GET / HTTP/1.1\r\n\r\n".into(),
        6 => "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n".into(),
        7 => "GET / HTTP/9.9\r\nHost: localhost\r\n\r\n".into(),
        8 => "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(),
        9 => "POST /api/draw HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nimages=99"
            .into(),
        10 => {
            "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n".into()
        }
        11 => format!("GET /api/draw?images={number} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        12 => format!("GET /api/draw?{number}=%ff%00&&&=== HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        13 => "GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n".into(),
        14 => "GET /api/counts HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: cross-site\r\n\r\n"
            .into(),
        _ => "\r\n\r\n\0GET / HTTP/1.1\r\nHost:\r\n\r\n".into(),
    };
    text.into_bytes()
}

/// Sends what a server refuses, and asserts that it does, by an answer or by its silence.
fn refuse(server: &Running, request: &[u8]) {
    let mut stream = server.connect();
    // The server may have closed the connection by now.
    let _ = stream.write_all(request);
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    let refused = answer.is_empty()
        || ["HTTP/1.1 4", "HTTP/1.0 4", "HTTP/1.1 5"]
            .iter()
            .any(|start| answer.starts_with(start));
    let request = String::from_utf8_lossy(request);
    assert!(refused, "{request:.200}: {answer:.200}");
}

/// Everything at once, while one visitor draws.
fn assault(server: &Running, seed: u64) {
    thread::scope(|scope| {
        for worker in 0..8 {
            scope.spawn(move || {
                let mut numbers = Numbers(seed + worker);
                for _ in 0..625 {
                    refuse(server, &malformed(&mut numbers));
                }
            });
        }
        // Some ask and read nothing, some never finish asking, some leave at once.
        let silent: Vec<_> = (0..8)
            .map(|_| server.ask("/api/draw?images=1&steps=2&method=static_depth"))
            .collect();
        let unfinished: Vec<TcpStream> = (0..50)
            .map(|_| {
                let mut stream = server.connect();
                stream.write_all(b"GET /api/dr").unwrap();
                stream
            })
            .collect();
        for _ in 0..50 {
            drop(server.ask("/api/draw?images=32&steps=100&method=static_depth"));
        }
        let crowd: Vec<_> = (0..200).map(|_| server.ask("/api/choices")).collect();
        for mut one in crowd {
            let mut answer = String::new();
            one.read_to_string(&mut answer).unwrap();
            assert!(
                answer.starts_with("HTTP/1.1 200") && answer.ends_with('}'),
                "{answer:.200}"
            );
        }
        drop((silent, unfinished));
    });
}

#[test]
fn strangers_disturb_nobody() {
    println!("device: flex");
    let server = Running::start(&[]);
    let undisturbed = timeless(server.events(DRAWING));
    let mut memory = Vec::new();
    for seed in [1, 1001] {
        let mut lines = server.ask(DRAWING).lines();
        let first = lines.find_map(|line| event(&line.unwrap()));
        thread::scope(|scope| {
            let visitor = scope.spawn(move || {
                let rest = lines.filter_map(|line| event(&line.unwrap()));
                timeless(first.into_iter().chain(rest).collect())
            });
            assault(&server, seed);
            assert_eq!(visitor.join().unwrap(), undisturbed);
        });
        server.wait_for("everybody has left", |counts| {
            counts["busy"] == false && counts["waiting"] == 0
        });
        memory.push(server.memory());
    }
    println!("bytes of memory after each half: {memory:?}");
    // The first half has filled pools and caches; the second finds them full.
    assert!(memory[1] < memory[0] + (16 << 20), "{memory:?}");
    assert_eq!(server.json("/api/counts")["failed"], 0);
    assert_eq!(server.end(), "", "nothing panicked");
}

#[test]
fn answers_let_browsers_do_nothing_else() {
    let server = Running::start(&[]);
    for path in [
        "/",
        "/main.js",
        "/api/choices",
        "/api/study",
        "/nothing",
        "/api/draw?images=0",
    ] {
        let (head, _) = server.get(path);
        let head = head.to_ascii_lowercase();
        for header in [
            "content-security-policy: default-src 'self';",
            "frame-ancestors 'none'",
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
            "cross-origin-resource-policy: same-origin",
        ] {
            assert!(head.contains(header), "{path} lacks {header}: {head}");
        }
    }
    let mut stream = server.connect();
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: rebound.example\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
}

#[test]
fn the_page_asks_nobody_else() {
    let server = Running::start(&[]);
    let (_, page) = server.get("/");
    let files: Vec<&str> = page
        .split("=\"/")
        .skip(1)
        .map(|rest| rest.split_once('"').unwrap().0)
        .collect();
    assert!(files.len() >= 3, "{files:?}");
    for file in files {
        let (head, body) = server.get(&format!("/{file}"));
        assert!(head.starts_with("HTTP/1.1 200"), "{file}: {head}");
        let others = ["https://", "http://", "//cdn", "url("];
        let asked = body
            .lines()
            .filter(|line| others.iter().any(|other| line.contains(other)));
        // The name of SVG's elements is no address that anything is asked for.
        let asked: Vec<_> = asked
            .filter(|line| !line.contains("http://www.w3.org/2000/svg"))
            .collect();
        assert!(asked.is_empty(), "{file}: {asked:?}");
    }
}
