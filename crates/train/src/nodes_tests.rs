use std::path::Path;
use std::thread;

use super::*;
use crate::testing::{
    JOINT, Watcher, Weights, farthest, farthest_losses, four_steps, train, trainer, weights,
};
use crate::{LogLine, Objective, Outcome, TrainConfig};

/// An address of this machine that nobody listens at.
fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

type Trained = Result<(Outcome, Vec<LogLine>, Weights), TrainError>;

/// Trains in `folder` in threads that stand for processes, each with its configuration and the step
/// that it is interrupted after.
fn share(folder: &Path, processes: &[(&TrainConfig, Option<u64>)]) -> Vec<Trained> {
    let leader = free_address();
    thread::scope(|scope| {
        let run = |(rank, &(config, stop_after)): (usize, &(&TrainConfig, Option<u64>))| {
            let node = Node {
                rank,
                count: processes.len(),
                leader: leader.clone(),
            };
            let config = config.clone();
            scope.spawn(move || -> Trained {
                let mut watcher = Watcher {
                    stop_after,
                    ..Watcher::default()
                };
                let mut trainer = trainer(&config)?.resume(folder)?;
                let outcome = trainer.run_as(&node, folder, &mut watcher)?;
                Ok((outcome, watcher.lines, weights(trainer.average())))
            })
        };
        let threads: Vec<_> = processes.iter().enumerate().map(run).collect();
        let joined = threads.into_iter().map(|thread| thread.join().unwrap());
        joined.collect()
    })
}

#[test]
fn any_number_of_processes_takes_the_steps_of_one_the_same_each_time() {
    println!("device: flex");
    for config in [four_steps(Objective::Simple), four_steps(JOINT)] {
        let (expected_lines, expected) = train(&config);
        for count in 1..=3 {
            let runs = [(); 2].map(|()| {
                let folder = tempfile::tempdir().unwrap();
                let trained = share(folder.path(), &vec![(&config, None); count]);
                let trained: Result<Vec<_>, _> = trained.into_iter().collect();
                let log = std::fs::read_to_string(folder.path().join(crate::LOG_FILE)).unwrap();
                assert_eq!(log.lines().count(), 4, "one process writes the log");
                trained.unwrap()
            });
            for (outcome, lines, found) in runs.iter().flatten() {
                assert_eq!(*outcome, Outcome::Finished);
                assert_eq!(*found, runs[0][0].2, "all are the same in both runs");
                let losses = farthest_losses(lines, &expected_lines);
                let weights = farthest(found, &expected);
                println!("{count} processes: {losses:.1e} {weights:.1e}");
                assert!(losses < 1e-6 && weights < 1e-5);
            }
        }
    }
}

#[test]
fn processes_stop_together_and_go_on_as_if_they_had_not() {
    println!("device: flex");
    let config = four_steps(JOINT);
    let whole = tempfile::tempdir().unwrap();
    let expected = share(whole.path(), &[(&config, None); 3]);

    // One of the others is asked to stop.
    let folder = tempfile::tempdir().unwrap();
    let stopped = share(
        folder.path(),
        &[(&config, None), (&config, Some(2)), (&config, None)],
    );
    for trained in stopped {
        let (outcome, lines, _) = trained.unwrap();
        assert_eq!((outcome, lines.len()), (Outcome::Interrupted, 2));
    }
    let resumed = share(folder.path(), &[(&config, None); 3]);
    for (found, expected) in resumed.into_iter().zip(expected) {
        assert_eq!(found.unwrap().2, expected.unwrap().2);
    }
}

#[test]
fn processes_of_different_trainings_do_not_mix() {
    println!("device: flex");
    let folder = tempfile::tempdir().unwrap();
    let config = four_steps(JOINT);
    let other = TrainConfig {
        seed: 6,
        ..config.clone()
    };
    for trained in share(folder.path(), &[(&config, None), (&other, None)]) {
        let error = trained.unwrap_err().to_string();
        assert!(error.contains("another training"), "{error}");
    }
    // A stranger at the port is not listened to.
    let leader = free_address();
    let others = leader.clone();
    let waiting = thread::spawn(move || wait_for_all(&others, 2, "ours").map(|all| all.len()));
    let mut stranger = loop {
        if let Ok(stream) = TcpStream::connect(&leader) {
            break stream;
        }
    };
    stranger.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    drop(find(&leader, 1, 2, "ours").unwrap());
    assert_eq!(waiting.join().unwrap().unwrap(), 1);
}

#[test]
fn a_process_that_fails_is_not_waited_for() {
    let leader = free_address();
    let node = |rank| Node {
        rank,
        count: 2,
        leader: leader.clone(),
    };
    let (first, second) = (node(0), node(1));
    let lonely = thread::spawn(move || Links::join(&first, "ours")?.sum_of(vec![1.0]));
    drop(Links::join(&second, "ours").unwrap());
    assert!(matches!(
        lonely.join().unwrap(),
        Err(TrainError::Collective(_))
    ));
    let nobody = Node { rank: 2, ..node(0) };
    let error = Links::join(&nobody, "ours").err().unwrap().to_string();
    assert!(error.contains("ranks start at 0"), "{error}");
}
