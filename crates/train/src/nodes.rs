//! One training in several processes, on one machine or several: each computes some rows of every
//! batch, and all take the same step.
//!
//! Gradients are exchanged over TCP through the process of rank 0, which adds them in the order of
//! the ranks, so that equal processes give equal sums in every run. burn-collective 0.21 has an
//! exchange between machines too, but its second one never ends: who is done with one is not
//! forgotten before the next (`SyncService::sync` empties a copy of its list), and a peer that is
//! ready while another looks at that list is not noticed.

use std::cell::RefCell;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::ops::Range;
use std::thread::sleep;
use std::time::{Duration, Instant};

use adadiff_uem::AdaDiff;
use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::backend::AutodiffBackend;

use crate::TrainError;
use crate::objective::Losses;
use crate::peers::{Peers, rows_of};
use crate::vector::{in_one_vector, on_device, values_of};

/// What a process says first, so that strangers are told apart.
const GREETING: &[u8; 8] = b"AdaDiff1";

/// How long a process looks for the one of rank 0, which may be started later.
const PATIENCE: Duration = Duration::from_secs(300);

/// Time between two looks.
const PAUSE: Duration = Duration::from_millis(100);

/// The most bytes of a description of a training.
const MOST_BYTES: u64 = 1 << 20;

/// One of the processes that share a training.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its number, from 0.
    pub rank: usize,
    /// Number of processes.
    pub count: usize,
    /// Where the process of rank 0 is reached, as `host:port`; in a network of trusted machines, as
    /// nothing is encrypted and nobody asked for a password.
    pub leader: String,
}

/// The connections of a process: to all others where its rank is 0, else to that one.
pub(crate) struct Links {
    rank: usize,
    count: usize,
    streams: RefCell<Vec<TcpStream>>,
}

impl Links {
    /// Waits for the others, who must describe the training in the same words.
    pub fn join(node: &Node, training: &str) -> Result<Self, TrainError> {
        let Node {
            rank,
            count,
            ref leader,
        } = *node;
        if rank >= count {
            return Err(TrainError::Config(format!(
                "rank {rank} is not one of {count} processes: ranks start at 0"
            )));
        }
        let streams = match rank {
            0 => wait_for_all(leader, count, training)?,
            _ => vec![find(leader, rank, count, training)?],
        };
        Ok(Self {
            rank,
            count,
            streams: RefCell::new(streams),
        })
    }

    /// The sum of all processes' values, the same to the last bit in each.
    fn sum_of(&self, mut values: Vec<f32>) -> Result<Vec<f32>, TrainError> {
        let mut streams = self.streams.borrow_mut();
        if self.rank == 0 {
            for stream in streams.iter_mut() {
                let theirs = receive(stream, values.len())?;
                for (sum, value) in values.iter_mut().zip(theirs) {
                    *sum += value;
                }
            }
        }
        for stream in streams.iter_mut() {
            send(stream, &values)?;
        }
        match (self.rank, streams.first_mut()) {
            (0, _) | (_, None) => Ok(values),
            (_, Some(leader)) => receive(leader, values.len()),
        }
    }
}

/// Accepts the processes of all other ranks, in the order of their ranks.
fn wait_for_all(address: &str, count: usize, training: &str) -> Result<Vec<TcpStream>, TrainError> {
    let at =
        |error: std::io::Error| lost(&format!("nobody can be waited for at {address}: {error}"));
    let listener = TcpListener::bind(address).map_err(at)?;
    let mut found: Vec<Option<TcpStream>> = (1..count).map(|_| None).collect();
    while found.iter().any(Option::is_none) {
        let (mut stream, _) = listener.accept().map_err(at)?;
        // Somebody else may knock at the port.
        let Ok(greeting) = greeted(&mut stream) else {
            continue;
        };
        let place = (greeting.rank as usize).checked_sub(1);
        let place = place.and_then(|place| found.get_mut(place));
        let refusal = match place {
            _ if greeting.count as usize != count => {
                format!(
                    "it was told of {} processes, this one of {count}",
                    greeting.count
                )
            }
            _ if greeting.training != training => format!(
                "it is about another training, or about another step of it. Its training: {}. \
                 This one's: {training}",
                greeting.training
            ),
            Some(place @ None) => {
                answer(&mut stream, "").map_err(at)?;
                *place = Some(stream);
                continue;
            }
            _ => "there is another one of that rank".to_owned(),
        };
        let refusal = format!(
            "the process of rank {} cannot join: {refusal}",
            greeting.rank
        );
        // Its own message says the same.
        let _ = answer(&mut stream, &refusal);
        return Err(lost(&refusal));
    }
    Ok(found.into_iter().flatten().collect())
}

/// What a process says of itself.
struct Greeting {
    rank: u64,
    count: u64,
    training: String,
}

fn greeted(stream: &mut TcpStream) -> std::io::Result<Greeting> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut greeting = [0; GREETING.len()];
    stream.read_exact(&mut greeting)?;
    if greeting != *GREETING {
        return Err(ErrorKind::InvalidData.into());
    }
    let (rank, count) = (number(stream)?, number(stream)?);
    let training = text(stream)?;
    // An exchange takes as long as the slowest process.
    stream.set_read_timeout(None)?;
    Ok(Greeting {
        rank,
        count,
        training,
    })
}

/// Connects to the process of rank 0.
fn find(address: &str, rank: usize, count: usize, training: &str) -> Result<TcpStream, TrainError> {
    let start = Instant::now();
    let mut stream = loop {
        match TcpStream::connect(address) {
            Ok(stream) => break stream,
            Err(_) if start.elapsed() < PATIENCE => sleep(PAUSE),
            Err(error) => {
                return Err(lost(&format!(
                    "the process of rank 0 is not found at {address}: {error}"
                )));
            }
        }
    };
    let mut greet = || -> std::io::Result<String> {
        stream.set_nodelay(true)?;
        stream.write_all(GREETING)?;
        for number in [rank, count] {
            stream.write_all(&(number as u64).to_le_bytes())?;
        }
        answer(&mut stream, training)?;
        text(&mut stream)
    };
    let refusal = greet().map_err(|error| lost(&error.to_string()))?;
    match refusal.is_empty() {
        true => Ok(stream),
        false => Err(lost(&refusal)),
    }
}

fn answer(stream: &mut TcpStream, text: &str) -> std::io::Result<()> {
    stream.write_all(&(text.len() as u64).to_le_bytes())?;
    stream.write_all(text.as_bytes())
}

fn text(stream: &mut TcpStream) -> std::io::Result<String> {
    let length = number(stream)?;
    if length > MOST_BYTES {
        return Err(ErrorKind::InvalidData.into());
    }
    let mut bytes = vec![0; length as usize];
    stream.read_exact(&mut bytes)?;
    String::from_utf8(bytes).map_err(|_| ErrorKind::InvalidData.into())
}

fn number(stream: &mut TcpStream) -> std::io::Result<u64> {
    let mut bytes = [0; 8];
    stream.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

fn send(stream: &mut TcpStream, values: &[f32]) -> Result<(), TrainError> {
    let mut bytes = Vec::with_capacity(8 + 4 * values.len());
    bytes.extend((values.len() as u64).to_le_bytes());
    bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    stream
        .write_all(&bytes)
        .map_err(|error| lost(&error.to_string()))
}

fn receive(stream: &mut TcpStream, count: usize) -> Result<Vec<f32>, TrainError> {
    let mut read = || -> std::io::Result<Vec<f32>> {
        // Another number of values would be those of another network.
        if number(stream)? != count as u64 {
            return Err(ErrorKind::InvalidData.into());
        }
        let mut bytes = vec![0; 4 * count];
        stream.read_exact(&mut bytes)?;
        let values = bytes.as_chunks().0.iter();
        Ok(values.map(|&value| f32::from_le_bytes(value)).collect())
    };
    read().map_err(|error| lost(&error.to_string()))
}

fn lost(why: &str) -> TrainError {
    TrainError::Collective(why.to_owned())
}

impl<B: AutodiffBackend> Peers<B> for Links {
    fn rows(&self, batch_size: usize) -> Range<usize> {
        rows_of(self.rank, self.count, batch_size)
    }

    fn leads(&self) -> bool {
        self.rank == 0
    }

    fn sum(
        &self,
        model: &AdaDiff<B>,
        losses: Losses,
        gradients: GradientsParams,
    ) -> Result<(Losses, GradientsParams), TrainError> {
        let device = model.devices().first().cloned().unwrap_or_default();
        in_one_vector(model, losses, gradients, &device, |values| {
            let sum = self.sum_of(values_of(values)?)?;
            Ok(on_device(sum, &device))
        })
    }

    fn any(&self, wish: bool) -> Result<bool, TrainError> {
        let wishes = self.sum_of(vec![f32::from(u8::from(wish))])?;
        Ok(wishes.iter().any(|&wishes| wishes > 0.0))
    }
}

#[cfg(test)]
#[path = "nodes_tests.rs"]
mod tests;
