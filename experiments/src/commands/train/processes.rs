//! One training in several processes.

use std::sync::atomic::AtomicBool;

use adadiff_backends::ProcessRank;
use adadiff_train::{Communicator, SingleProcess};
use anyhow::{Result, bail};

/// What MPI's launchers set for each process that they start.
#[cfg(feature = "mpi")]
const STARTED_BY_MPI: [&str; 3] = ["OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK"];

/// How long processes wait for each other: longer than the first one judges samples.
#[cfg(feature = "mpi")]
const LIMIT: std::time::Duration = std::time::Duration::from_secs(60 * 60);

/// Does `work` as the only process or, as `rank` tells, as one of several.
///
/// # Errors
/// Where several processes were started that cannot reach each other, and what the work runs into.
/// Where it is one of several, that is told here, and ends all processes.
pub fn among_processes(
    rank: ProcessRank,
    stop: &AtomicBool,
    work: impl FnOnce(&dyn Communicator) -> Result<()>,
) -> Result<()> {
    match rank.size {
        1 => work(&SingleProcess),
        _ => among_several(rank, stop, work),
    }
}

#[cfg(feature = "mpi")]
fn among_several(
    rank: ProcessRank,
    stop: &AtomicBool,
    work: impl FnOnce(&dyn Communicator) -> Result<()>,
) -> Result<()> {
    use adadiff_train::{ExchangeLimits, MpiCommunicator};

    use crate::terminal::note_line;

    let ProcessRank { rank, size, .. } = rank;
    let told_by_mpi = |name: &&str| std::env::var_os(name).is_some();
    if !STARTED_BY_MPI.iter().any(told_by_mpi) {
        bail!(
            "this is process {rank} of {size}, which MPI did not start: start them with \
             `mpirun -n {size} …` or `srun --mpi=pmix …`; --rank 0 --world-size 1 trains in this process \
             alone"
        );
    }
    let waiting = |time: std::time::Duration| {
        note_line(format_args!(
            "process {rank} of {size} waits for the others since {} s",
            time.as_secs()
        ));
    };
    let processes = MpiCommunicator::join(ExchangeLimits {
        stop,
        limit: LIMIT,
        waiting: &waiting,
    })?;
    if processes.size() as u64 != size {
        bail!(
            "this is process {rank} of {size}, but MPI finds {}: start them with the mpirun of the MPI \
             that the program was built with, or with `srun --mpi=pmix …`",
            processes.size()
        );
    }
    match work(&processes) {
        Ok(()) => processes.leave(),
        Err(error) => {
            note_line(format_args!("error: process {rank} of {size}: {error:#}"));
            processes.abort();
        }
    }
    Ok(())
}

#[cfg(not(feature = "mpi"))]
fn among_several(
    rank: ProcessRank,
    _stop: &AtomicBool,
    _work: impl FnOnce(&dyn Communicator) -> Result<()>,
) -> Result<()> {
    let ProcessRank { rank, size, .. } = rank;
    bail!(
        "this is process {rank} of {size}, but this program was built without MPI: build it with \
         `cargo build --release --features mpi` and start it with `mpirun -n {size} …`; \
         --rank 0 --world-size 1 trains in this process alone"
    )
}
