//! Answers the driver's requests.

use std::io::{self, BufRead, Write};
use std::path::PathBuf;
use std::time::Instant;

use adadiff_backends::DeviceTask;
use adadiff_model::kernels::Kernels;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::arrays::Folder;
use crate::case::Case;
use crate::decoding::Decoding;
use crate::early_exit::EarlyExit;
use crate::fid_features::FidFeatures;
use crate::frechet_distance::FrechetDistance;
use crate::matrix_product::MatrixProduct;
use crate::memory;
use crate::multiply_adds::MultiplyAdds;
use crate::noise_prediction::NoisePrediction;
use crate::sampling::Sampling;
use crate::training_step::TrainingStep;
use crate::work::Work;

/// A case to serve on a device.
pub struct Serve {
    pub case: Case,
    pub folder: PathBuf,
}

/// A line of the standard input.
#[derive(Debug, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
enum Request {
    /// Run so many times in a row.
    Run { repeats: u32 },
    /// Tell the peak of memory.
    Memory,
    /// Run once and write what the peer has to agree with.
    Outputs,
}

/// A line of the standard output.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Reply {
    Ready {
        ready: Versions,
        started_mb: f64,
        loaded_mb: f64,
        flops: Option<f64>,
    },
    Run {
        /// Mean seconds of a run.
        seconds: f64,
    },
    Memory {
        peak_mb: f64,
    },
    Outputs {
        written: bool,
    },
}

#[derive(Debug, Serialize)]
struct Versions {
    adadiff: &'static str,
    rayon_threads: usize,
}

impl DeviceTask for Serve {
    type Output = Result<()>;

    fn run<B: Kernels>(self, device: B::Device) -> Result<()> {
        let folder = Folder(self.folder);
        let started_mb = memory::resident()?;
        let mut work = load::<B>(&self.case, &folder, &device)?;
        answer(&Reply::Ready {
            ready: Versions {
                adadiff: env!("CARGO_PKG_VERSION"),
                rayon_threads: rayon::current_num_threads(),
            },
            started_mb,
            loaded_mb: memory::resident()?,
            flops: work.flops(),
        })?;
        for line in io::stdin().lock().lines() {
            let line = line?;
            let request: Request =
                serde_json::from_str(&line).with_context(|| format!("{line} is not a request"))?;
            answer(&match request {
                Request::Run { repeats } => Reply::Run {
                    seconds: seconds(work.as_mut(), repeats)?,
                },
                Request::Memory => Reply::Memory {
                    peak_mb: memory::peak()?,
                },
                Request::Outputs => {
                    folder.write_outputs(work.outputs()?)?;
                    Reply::Outputs { written: true }
                }
            })?;
        }
        Ok(())
    }
}

fn load<B: Kernels>(case: &Case, folder: &Folder, device: &B::Device) -> Result<Box<dyn Work>> {
    Ok(match case {
        Case::NoisePrediction { network, precision } => Box::new(NoisePrediction::<B>::load(
            network, *precision, folder, device,
        )?),
        Case::TrainingStep {
            network,
            compute,
            optimizer,
        } => Box::new(TrainingStep::<B>::load(
            network, *compute, *optimizer, folder, device,
        )?),
        Case::Sampling {
            network,
            batch,
            steps,
        } => Box::new(Sampling::<B>::load(
            network, *batch, *steps, folder, device,
        )?),
        Case::EarlyExit { network } => Box::new(EarlyExit::<B>::load(network, folder, device)?),
        Case::MultiplyAdds { precision } => Box::new(MultiplyAdds::new(*precision)?),
        Case::FidFeatures => Box::new(FidFeatures::<B>::load(folder, device)?),
        Case::Decoding => Box::new(Decoding::<B>::load(folder, device)?),
        Case::FrechetDistance => Box::new(FrechetDistance::load(folder)?),
        Case::MatrixProduct { precision } => {
            Box::new(MatrixProduct::<B>::load(*precision, folder, device)?)
        }
    })
}

fn seconds(work: &mut dyn Work, repeats: u32) -> Result<f64> {
    let start = Instant::now();
    for _ in 0..repeats {
        work.run()?;
    }
    Ok(start.elapsed().as_secs_f64() / f64::from(repeats))
}

fn answer(reply: &Reply) -> Result<()> {
    let mut output = io::stdout().lock();
    serde_json::to_writer(&mut output, reply)?;
    output.write_all(b"\n")?;
    Ok(output.flush()?)
}
