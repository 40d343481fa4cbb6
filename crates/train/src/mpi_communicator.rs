//! Processes that MPI's launcher started together.

use std::ffi::c_int;
use std::fmt;
use std::mem::{ManuallyDrop, forget};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::yield_now;
use std::time::{Duration, Instant};

use mpi::Threading;
use mpi::environment::{Universe, initialize_with_threading};
use mpi::ffi;
use mpi::topology::{Communicator as _, SimpleCommunicator};

use crate::{Communicator, TrainError};

/// After this time a word is said about an exchange that lasts, and again after twice as long.
const FIRST_WORD: Duration = Duration::from_secs(10);

/// How long the others are waited for once this process is asked to stop: as long as equal processes
/// need for the rest of a step.
const GRACE: Duration = Duration::from_secs(5);

/// Bytes a second that a checkpoint is written with at worst, over a slow network to a busy server.
const SLOWEST_WRITER: f64 = 4e6;

/// How long a process waits for the others in an exchange.
#[derive(Clone, Copy)]
pub struct ExchangeLimits<'a> {
    /// Set when the user asks to stop: the others are then waited for five seconds more, to stop
    /// after the same step, and for a second more for each 4 MB of a checkpoint that one of them writes.
    pub stop: &'a AtomicBool,
    /// How long an exchange may last. The process of rank 0 judges samples and writes files while the
    /// others wait.
    pub limit: Duration,
    /// Told after ten seconds, and twice as many again and again, how long an exchange has lasted.
    pub waiting: &'a dyn Fn(Duration),
}

impl fmt::Debug for ExchangeLimits<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ExchangeLimits({:?})", self.limit)
    }
}

/// The processes that `mpirun` or `srun` started, one for each device.
///
/// A process that fails must not leave the others waiting: it says why, and calls
/// [`Self::abort`]. MPI ends the others where one is killed.
pub struct MpiCommunicator<'a> {
    // Dropping it would wait for the others, who may wait for this process in vain.
    universe: ManuallyDrop<Universe>,
    world: SimpleCommunicator,
    limits: ExchangeLimits<'a>,
}

impl fmt::Debug for MpiCommunicator<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "process {} of {}", self.rank(), self.size())
    }
}

impl<'a> MpiCommunicator<'a> {
    /// Joins the others. MPI is called from this thread alone, and can be joined once in a process.
    ///
    /// # Errors
    /// Where this process has joined before.
    pub fn join(limits: ExchangeLimits<'a>) -> Result<Self, TrainError> {
        let Some((universe, _)) = initialize_with_threading(Threading::Funneled) else {
            return Err(TrainError::Processes(
                "MPI can be joined once in a process".to_owned(),
            ));
        };
        Ok(Self {
            world: universe.world(),
            universe: ManuallyDrop::new(universe),
            limits,
        })
    }

    /// Leaves the others once all of them are done.
    pub fn leave(self) {
        drop(ManuallyDrop::into_inner(self.universe));
    }

    /// Ends all processes, this one with exit code 1.
    pub fn abort(self) -> ! {
        self.world.abort(1)
    }

    /// The sums of all processes' values, which are waited for no longer than `grace` once this process is asked to
    /// stop.
    fn exchange(&self, values: Vec<f32>, grace: Duration) -> Result<Vec<f32>, TrainError> {
        let mut sums = vec![0.0_f32; values.len()];
        let count = c_int::try_from(values.len())
            .map_err(|_| TrainError::Processes("an exchange of too many values".to_owned()))?;
        // SAFETY: both buffers hold `count` floats, and nothing touches them before the request is
        // done; where it is given up, they are never freed.
        let mut request = unsafe {
            let mut request = ffi::RSMPI_REQUEST_NULL;
            ffi::MPI_Iallreduce(
                values.as_ptr().cast(),
                sums.as_mut_ptr().cast(),
                count,
                ffi::RSMPI_FLOAT,
                ffi::RSMPI_SUM,
                ffi::RSMPI_COMM_WORLD,
                &mut request,
            );
            request
        };
        match self.wait(&mut request, grace) {
            Ok(()) => Ok(sums),
            Err(error) => {
                forget((values, sums));
                Err(error)
            }
        }
    }

    /// Waits for an exchange to end.
    fn wait(&self, request: &mut ffi::MPI_Request, grace: Duration) -> Result<(), TrainError> {
        let ExchangeLimits {
            stop,
            limit,
            waiting,
        } = self.limits;
        let start = Instant::now();
        let mut next_word = FIRST_WORD;
        let mut stopped: Option<Duration> = None;
        let lost = |why: String| Err(TrainError::Processes(why));
        while !is_done(request) {
            yield_now();
            let elapsed = start.elapsed();
            if elapsed > limit {
                return lost(format!(
                    "waited {} minutes for the others in vain",
                    limit.as_secs() / 60
                ));
            }
            if stop.load(Ordering::Relaxed) && elapsed > *stopped.get_or_insert(elapsed) + grace {
                return lost(
                    "interrupted while waiting for the others, who did not come to the end of the step"
                        .to_owned(),
                );
            }
            if elapsed > next_word {
                next_word *= 2;
                waiting(elapsed);
            }
        }
        Ok(())
    }
}

fn is_done(request: &mut ffi::MPI_Request) -> bool {
    let mut done: c_int = 0;
    // SAFETY: `request` is one that `MPI_Iallreduce` gave, on this thread, and not yet done.
    unsafe { ffi::MPI_Test(request, &mut done, ffi::RSMPI_STATUS_IGNORE) };
    done != 0
}

impl Communicator for MpiCommunicator<'_> {
    fn rank(&self) -> usize {
        self.world.rank() as usize
    }

    fn size(&self) -> usize {
        self.world.size() as usize
    }

    fn sum(&self, values: Vec<f32>) -> Result<Vec<f32>, TrainError> {
        self.exchange(values, GRACE)
    }

    fn wait_for_writer(&self, bytes: usize) -> Result<(), TrainError> {
        let at_worst = Duration::from_secs_f64(bytes as f64 / SLOWEST_WRITER);
        self.exchange(vec![0.0], GRACE + at_worst).map(drop)
    }
}
