//! A server of the test's own, and who asks it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

/// How long an answer may take before a test fails.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running server.
pub struct Running {
    process: Child,
    errors: Option<ChildStderr>,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Running {
    /// Starts a server on a free port.
    pub fn start(arguments: &[&str]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_playground"))
            .args(["--listen", "127.0.0.1:0"])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let out = process.stdout.take().unwrap();
        BufReader::new(out).read_line(&mut line).unwrap();
        let address = line
            .trim()
            .trim_start_matches("http://")
            .trim_end_matches('/');
        Self {
            errors: process.stderr.take(),
            address: address
                .parse()
                .unwrap_or_else(|_| panic!("it told '{line}'")),
            process,
        }
    }

    /// A connection.
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// A request to a path, which was sent.
    pub fn ask(&self, path: &str) -> BufReader<TcpStream> {
        let mut stream = self.connect();
        let address = self.address;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        BufReader::new(stream)
    }

    /// The whole answer to a path: head and body.
    pub fn get(&self, path: &str) -> (String, String) {
        let mut answer = String::new();
        self.ask(path).read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    }

    /// What is answered in JSON.
    pub fn json(&self, path: &str) -> Value {
        let (head, body) = self.get(path);
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        serde_json::from_str(&body).unwrap()
    }

    /// All events of a feed.
    pub fn events(&self, path: &str) -> Vec<Value> {
        let lines = self.ask(path).lines().map(|line| line.unwrap());
        lines.filter_map(|line| event(&line)).collect()
    }

    /// Waits until the counts are as they should be.
    pub fn wait_for(&self, what: &str, holds: impl Fn(&Value) -> bool) {
        for _ in 0..1200 {
            if holds(&self.json("/api/counts")) {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("{what}: {}", self.json("/api/counts"));
    }

    /// Bytes of memory in use.
    pub fn memory(&self) -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .unwrap();
        let kib: u64 = line.trim().trim_end_matches(" kB").trim().parse().unwrap();
        kib << 10
    }

    /// Ends the server, which ran until now, and gives back what it told on standard error.
    pub fn end(mut self) -> String {
        assert_eq!(
            self.process.try_wait().unwrap(),
            None,
            "it has ended by itself"
        );
        let mut errors = self.errors.take().unwrap();
        drop(self);
        let mut told = String::new();
        errors.read_to_string(&mut told).unwrap();
        told
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The event in a line of a feed.
pub fn event(line: &str) -> Option<Value> {
    let json = line.strip_prefix("data: ")?;
    Some(serde_json::from_str(json).unwrap())
}

/// Events without what time they took.
pub fn timeless(mut events: Vec<Value>) -> Vec<Value> {
    for event in &mut events {
        event.as_object_mut().unwrap().remove("seconds");
    }
    // Which of the two is ahead depends on the machine.
    events.sort_by_key(|event| event["lane"].as_str().map(str::to_owned));
    events
}
