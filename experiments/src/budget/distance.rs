//! As few blocks as a Fréchet distance allows.

use adadiff_metrics::CHUNK;
use adadiff_model::kernels::Kernels;
use adadiff_uem::{ExitPolicy, FullDepth};
use anyhow::{Result, bail};
use indicatif::ProgressBar;

use super::search::largest_within;
use super::{Attainment, FdIncrease};
use crate::calibrations::Calibration;
use crate::judge::{Judge, YardstickName, ensure_enough};
use crate::study::{Draw, Study};
use crate::tally::Tally;

/// Shares of blocks that are tried: the last two lie within about 1.5 % of all blocks of each other.
const PROBES: usize = 7;

/// Samples that distances are measured of, where nobody says how many and there are few features.
const SAMPLES: usize = 1024;

/// Finds the threshold that skips most blocks while the Fréchet distance exceeds the full network's by
/// no more than `increase`: both of the same samples, whose seed neither the threshold's calibration
/// nor any reported figure uses, from the judge's reference, whose name is `yardstick`.
///
/// # Errors
/// Where no threshold does, there are too few samples for a distance, or the user interrupts.
pub fn calibrate<B: Kernels>(
    study: &Study<'_, B>,
    judge: &Judge<B>,
    yardstick: Option<YardstickName>,
    increase: FdIncrease,
    samples: Option<usize>,
    bar: &ProgressBar,
) -> Result<Calibration> {
    let dims = judge.dims();
    let samples =
        samples.unwrap_or_else(|| SAMPLES.max((dims + dims / 2).next_multiple_of(CHUNK as usize)));
    let asked = format!("{samples} were asked for with --budget-samples");
    ensure_enough(samples as u64, dims, &asked)?;
    let draw: Draw = study.judged(samples)?;
    bar.set_message("the full network's distance");
    let distance = |policy: &dyn ExitPolicy| {
        let nothing = Tally::none(judge, &draw)?;
        let drawn = nothing.draw(study, judge, policy, &draw, bar, &mut |_| Ok(()))?;
        judge.frechet_distance(&drawn.statistics)
    };
    let full = distance(&FullDepth)?;
    let limit = increase.limit(full);
    let found = largest_within(limit, study.largest_reduction(), PROBES, |reduction| {
        bar.set_message(format!(
            "the distance at {:.1} % fewer blocks",
            100.0 * reduction
        ));
        let calibration = study.calibrate(study.budget(reduction), bar)?;
        Ok((distance(&calibration.policy())?, calibration))
    })?;
    match found {
        Ok(found) => Ok(Calibration {
            attainment: Some(Attainment::FdIncrease {
                asked: increase,
                full,
                measured: found.value,
                features: judge.features().to_owned(),
                yardstick,
                samples,
                seed: draw.seed,
            }),
            ..found.item
        }),
        Err(missed) => bail!(
            "no threshold keeps the Fréchet distance within {increase} of the full network's \
             {full:.2}, measured on {samples} samples: {:.1} % fewer blocks already give {:.2}",
            100.0 * missed.reduction,
            missed.value
        ),
    }
}
