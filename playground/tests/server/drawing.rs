//! What visitors are told.

use std::io::{BufRead, BufReader, Lines};
use std::net::TcpStream;
use std::path::Path;

use serde_json::Value;

use crate::client::{Running, event, timeless};

fn of<'e>(events: &'e [Value], kind: &str) -> Vec<&'e Value> {
    events
        .iter()
        .filter(|event| event["event"] == kind)
        .collect()
}

fn numbers(value: &Value) -> Vec<f64> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|value| value.as_f64().unwrap())
        .collect()
}

#[test]
fn an_address_is_an_experiment() {
    println!("device: flex");
    let server = Running::start(&[]);
    let path = "/api/draw?images=3&seed=7&budget=45&steps=8";
    let first = server.events(path);
    let (steps, drawn, inside) = (
        of(&first, "step"),
        of(&first, "drawn"),
        of(&first, "inside"),
    );
    assert_eq!((steps.len(), drawn.len(), inside.len()), (16, 2, 8));
    assert_eq!(first.last().unwrap()["event"], "done");
    for lane in ["full", "method"] {
        let of_lane: Vec<_> = steps.iter().filter(|step| step["lane"] == lane).collect();
        let order: Vec<_> = of_lane
            .iter()
            .map(|step| step["step"].as_u64().unwrap())
            .collect();
        assert_eq!(order, (0..8).collect::<Vec<_>>());
        let seconds: Vec<_> = of_lane
            .iter()
            .map(|step| step["seconds"].as_f64().unwrap())
            .collect();
        assert!(seconds[0] > 0.0 && seconds.is_sorted(), "{seconds:?}");
    }
    let cost = |lane: &str, what: &str| {
        let drawn = drawn.iter().find(|drawn| drawn["lane"] == lane).unwrap();
        drawn[what].as_f64().unwrap()
    };
    assert_eq!(cost("full", "blocks_mean"), 13.0);
    let reduction = cost("method", "block_reduction");
    assert!((0.35..0.55).contains(&reduction), "{reduction}");
    assert!(cost("method", "gflops") < 0.65 * cost("full", "gflops"));

    assert_eq!(timeless(first.clone()), timeless(server.events(path)));
    let other = server.events("/api/draw?images=3&seed=8&budget=45&steps=8");
    assert_ne!(of(&other, "drawn")[0]["images"], drawn[0]["images"]);

    // A look into a step tells what the drawing told of it.
    let look = server.events("/api/look?images=3&seed=7&budget=45&steps=8&sample=2&step=5");
    let [cells] = of(&look, "cells")[..] else {
        panic!("{look:?}")
    };
    for what in ["errors", "uncertainty"] {
        let looked = numbers(&cells[what]);
        let told = inside[5][what].as_array().unwrap().iter();
        let told: Vec<_> = told.map(|block| block[2].as_f64().unwrap()).collect();
        assert_eq!(looked.len(), 13);
        for (one, other) in looked.iter().zip(&told) {
            assert!((one - other).abs() < 2e-4, "{what}: {looked:?} {told:?}");
        }
    }
    assert_eq!(server.end(), "");
}

#[test]
fn every_method_that_is_offered_can_be_drawn_by() {
    let server = Running::start(&[]);
    let choices = server.json("/api/choices");
    let methods = choices["networks"][0]["methods"].as_array().unwrap();
    assert!(methods.len() >= 9, "{methods:?}");
    for method in methods {
        let name = method["name"].as_str().unwrap();
        let budget = method["ready"]
            .as_array()
            .unwrap()
            .iter()
            .find(|budget| **budget == 45);
        if budget.is_none() {
            continue;
        }
        let events = server.events(&format!(
            "/api/draw?images=2&steps=8&budget=45&method={name}"
        ));
        assert_eq!(
            events.last().unwrap()["event"],
            "done",
            "{name}: {events:?}"
        );
        let drawn = of(&events, "drawn");
        let method = drawn
            .iter()
            .find(|drawn| drawn["lane"] == "method")
            .unwrap();
        let full = drawn.iter().find(|drawn| drawn["lane"] == "full").unwrap();
        let gflops = |drawn: &Value| drawn["gflops"].as_f64().unwrap();
        assert!(gflops(method) < gflops(full), "{name}: {method}");
    }
}

#[test]
fn exits_that_are_not_stored_are_calibrated_once() {
    let server = Running::start(&[]);
    let path = "/api/draw?images=1&steps=3&solver=unipc&method=paper_rule&budget=30";
    let first = server.events(path);
    assert!(!of(&first, "stage").is_empty(), "{first:?}");
    let again = server.events(path);
    assert!(of(&again, "stage").is_empty(), "{again:?}");
    let drawn = |events: &[Value]| {
        of(&timeless(events.to_vec()), "drawn")
            .into_iter()
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(drawn(&first), drawn(&again));
}

#[test]
fn what_cannot_be_drawn_is_told() {
    let server = Running::start(&[]);
    for (path, told) in [
        ("/api/draw?images=33", "images is a number from 1 to 32"),
        ("/api/draw?colour=red", "unknown field `colour`"),
        ("/api/look?images=2", "the address names no sample"),
    ] {
        let (head, body) = server.get(path);
        assert!(head.starts_with("HTTP/1.1 400"), "{head}");
        assert!(body.contains(told), "{path}: {body}");
    }
    for (path, told) in [
        ("/api/draw?network=nobody", "there is no network 'nobody'"),
        ("/api/draw?method=magic", "there is no method 'magic'"),
        (
            "/api/draw?method=duo_diff",
            "cannot be drawn from by the method 'duo_diff'",
        ),
        (
            "/api/draw?method=full",
            "cannot be drawn from by the method 'full'",
        ),
        ("/api/draw?solver=euler", "there is no solver 'euler'"),
        (
            "/api/draw?class=10",
            "there is no class 10: the network knows 10",
        ),
        (
            "/api/draw?images=32&steps=1000",
            "at most 16 in so many steps",
        ),
        ("/api/draw?method=token_merging&budget=80", "0..=0.75"),
        (
            "/api/look?images=2&sample=2&step=0",
            "there is no sample 2: samples are 0 to 1",
        ),
        (
            "/api/look?images=2&steps=3&method=static_depth&sample=0&step=3",
            "there is no step 3: steps are 0 to 2",
        ),
    ] {
        let events = server.events(path);
        let last = events.last().unwrap();
        assert_eq!(last["event"], "fault", "{path}: {last}");
        assert!(
            last["message"].as_str().unwrap().contains(told),
            "{path}: {last}"
        );
    }
}

fn next(lines: &mut Lines<BufReader<TcpStream>>) -> Value {
    lines.find_map(|line| event(&line.unwrap())).unwrap()
}

#[test]
fn others_wait_and_are_told_how_many_come_first() {
    let server = Running::start(&[]);
    let mut long = server
        .ask("/api/draw?images=16&steps=1000&method=static_depth")
        .lines();
    // It has begun.
    long.find(|line| line.as_ref().unwrap().contains("\"step\""))
        .unwrap()
        .unwrap();
    let mut second = server
        .ask("/api/draw?images=1&steps=1&method=static_depth")
        .lines();
    let mut third = server
        .ask("/api/draw?images=1&steps=1&method=static_depth")
        .lines();
    assert_eq!(next(&mut second)["ahead"], 1);
    assert_eq!(next(&mut third)["ahead"], 2);
    // Who leaves is no longer drawn for, and the others move up.
    drop(long);
    assert_eq!(next(&mut second)["event"], "started");
    assert_eq!(next(&mut third)["ahead"], 1);
    let rest: Vec<_> = third.filter_map(|line| event(&line.unwrap())).collect();
    assert_eq!(rest.last().unwrap()["event"], "done");
    drop(second);
    server.wait_for("one has left", |counts| {
        counts["left"] == 1 && counts["busy"] == false
    });
}

#[test]
fn a_network_of_ones_own_is_shown_first() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let weights = root.join("experiments/assets/fashion_mnist/weights.safetensors");
    let server = Running::start(&["--checkpoint", weights.to_str().unwrap()]);
    let choices = server.json("/api/choices");
    let names: Vec<_> = choices["networks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|network| network["name"].clone())
        .collect();
    assert_eq!(names, ["checkpoint", "fashion_mnist"]);
    let drawn = |path: &str| {
        timeless(server.events(path))
            .into_iter()
            .filter(|event| event["event"] == "drawn")
            .collect::<Vec<_>>()
    };
    let path = "/api/draw?images=2&method=forecast&budget=55";
    let own = drawn(path);
    assert_eq!(own.len(), 2);
    assert_eq!(own, drawn(&format!("{path}&network=fashion_mnist")));

    // Of a backbone alone nobody knows how uncertain it is.
    let backbone = root.join("docs/ablations/variants/backbone.safetensors");
    let server = Running::start(&["--checkpoint", backbone.to_str().unwrap()]);
    let network = &server.json("/api/choices")["networks"][0];
    let methods = network["methods"].as_array().unwrap();
    assert!(
        methods
            .iter()
            .all(|method| !method["label"].as_str().unwrap().starts_with("AdaDiff")),
        "{methods:?}"
    );
    let events = server.events("/api/draw?images=2");
    assert_eq!(events.last().unwrap()["event"], "done", "{events:?}");
}
