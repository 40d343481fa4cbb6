//! Which of several processes this one is, as their launcher says.

use std::ops::Range;

use clap::Args;

use crate::BackendError;

/// Which of how many processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessRank {
    /// Its number, from 0.
    pub rank: u64,
    /// Number of processes.
    pub size: u64,
    /// Its number among those of its machine, where the launcher tells.
    pub local: Option<u64>,
}

/// The variables of a launcher: rank, size and rank within the machine.
struct Launcher {
    name: &'static str,
    rank: &'static str,
    size: &'static str,
    local: &'static str,
}

/// Launchers, the most specific first: `mpirun` within a Slurm job counts as Open MPI.
const LAUNCHERS: [Launcher; 5] = [
    Launcher {
        name: "Open MPI",
        rank: "OMPI_COMM_WORLD_RANK",
        size: "OMPI_COMM_WORLD_SIZE",
        local: "OMPI_COMM_WORLD_LOCAL_RANK",
    },
    Launcher {
        name: "MPICH or Intel MPI",
        rank: "PMI_RANK",
        size: "PMI_SIZE",
        local: "MPI_LOCALRANKID",
    },
    Launcher {
        name: "Slurm",
        rank: "SLURM_PROCID",
        size: "SLURM_NTASKS",
        local: "SLURM_LOCALID",
    },
    Launcher {
        name: "a Kubernetes indexed job",
        rank: "JOB_COMPLETION_INDEX",
        // Kubernetes does not tell: the job's manifest sets it to its number of completions.
        size: "JOB_COMPLETIONS",
        local: "",
    },
    Launcher {
        name: "torchrun",
        rank: "RANK",
        size: "WORLD_SIZE",
        local: "LOCAL_RANK",
    },
];

/// The options that say so in place of a launcher.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct RankOptions {
    /// Number of this process, from 0 [default: from Open MPI, MPICH, Slurm, Kubernetes or
    /// torchrun, else 0]
    #[arg(long, value_name = "N", requires = "world_size")]
    rank: Option<u64>,
    /// Number of processes that share the work
    #[arg(long, value_name = "N", requires = "rank")]
    world_size: Option<u64>,
}

impl RankOptions {
    /// The rank that the options, or else the environment, tell.
    ///
    /// # Errors
    /// Where they contradict themselves.
    pub fn rank(self) -> Result<ProcessRank, BackendError> {
        self.rank_in(|name| std::env::var(name).ok())
    }

    fn rank_in(
        self,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<ProcessRank, BackendError> {
        if let (Some(rank), Some(size)) = (self.rank, self.world_size) {
            if rank >= size {
                return Err(BackendError::Rank(format!(
                    "--rank {rank} is not one of --world-size {size}: ranks start at 0"
                )));
            }
            return Ok(ProcessRank {
                rank,
                size,
                local: None,
            });
        }
        for launcher in LAUNCHERS {
            let number = |name: &str| variable(name).and_then(|text| text.parse::<u64>().ok());
            let Some(rank) = number(launcher.rank) else {
                continue;
            };
            let Some(size) = number(launcher.size) else {
                return Err(BackendError::Rank(format!(
                    "{} says that this is process {rank} and not of how many: set {}, or name \
                     --rank and --world-size",
                    launcher.name, launcher.size
                )));
            };
            if rank >= size {
                return Err(BackendError::Rank(format!(
                    "{} says that this is process {rank} of {size}: {} does not fit {}",
                    launcher.name, launcher.rank, launcher.size
                )));
            }
            return Ok(ProcessRank {
                rank,
                size,
                local: number(launcher.local),
            });
        }
        Ok(ProcessRank {
            rank: 0,
            size: 1,
            local: None,
        })
    }
}

impl ProcessRank {
    /// This process's share of `samples` samples. Shares are cut at multiples of `chunk`, where
    /// statistics merge bit for bit, so that there may be fewer shares than processes.
    pub fn share(self, samples: u64, chunk: u64) -> Range<u64> {
        let chunks = samples.div_ceil(chunk);
        let border = |rank: u64| {
            // u128: ranks times chunks may exceed 64 bits.
            let border = u128::from(chunks) * u128::from(rank) / u128::from(self.size);
            (border as u64 * chunk).min(samples)
        };
        border(self.rank)..border(self.rank + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHUNK: u64 = 256;

    fn rank(variables: &[(&str, &str)]) -> Result<ProcessRank, BackendError> {
        RankOptions::default().rank_in(|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn launchers_are_understood() {
        let alone = rank(&[]).unwrap();
        assert_eq!((alone.rank, alone.size, alone.local), (0, 1, None));
        let slurm = [
            ("SLURM_PROCID", "5"),
            ("SLURM_NTASKS", "8"),
            ("SLURM_LOCALID", "1"),
        ];
        let found = rank(&slurm).unwrap();
        assert_eq!((found.rank, found.size, found.local), (5, 8, Some(1)));
        let mpi = [("OMPI_COMM_WORLD_RANK", "2"), ("OMPI_COMM_WORLD_SIZE", "3")];
        let found = rank(&[&slurm[..], &mpi].concat()).unwrap();
        assert_eq!((found.rank, found.size), (2, 3));
        let job = [("JOB_COMPLETION_INDEX", "3"), ("JOB_COMPLETIONS", "4")];
        assert_eq!(rank(&job).unwrap().rank, 3);
    }

    #[test]
    fn contradictions_are_told() {
        let error = rank(&job_without_size()).unwrap_err().to_string();
        assert!(error.contains("JOB_COMPLETIONS"), "{error}");
        let error = rank(&[("RANK", "4"), ("WORLD_SIZE", "4")])
            .unwrap_err()
            .to_string();
        assert!(error.contains("process 4 of 4"), "{error}");
    }

    fn job_without_size() -> [(&'static str, &'static str); 1] {
        [("JOB_COMPLETION_INDEX", "3")]
    }

    #[test]
    fn shares_are_whole_chunks_and_cover_all_samples() {
        for (samples, size) in [(50_000, 64), (1000, 3), (256, 2), (100, 4), (30_000, 7)] {
            let mut end = 0;
            for rank in 0..size {
                let share = ProcessRank {
                    rank,
                    size,
                    local: None,
                }
                .share(samples, CHUNK);
                assert_eq!(share.start, end);
                assert!(share.start.is_multiple_of(CHUNK) || share.start == samples);
                end = share.end;
            }
            assert_eq!(end, samples);
        }
        let middle = ProcessRank {
            rank: 1,
            size: 3,
            local: None,
        };
        assert_eq!(middle.share(1000, CHUNK), 256..512);
    }
}
