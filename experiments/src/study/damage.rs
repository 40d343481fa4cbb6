//! How much farther from the data set's images samples are where blocks are skipped.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use adadiff_model::kernels::Kernels;
use adadiff_sampler::SolverConfig;
use adadiff_uem::{ErrorStep, ErrorTrace, ExitPolicy, FullDepth};
use anyhow::{Result, ensure};
use indicatif::ProgressBar;

use super::parts::{mean_error, parts, shallow_in};
use super::{Conditions, Draw, Study};
use crate::judge::{Judge, YardstickName};
use crate::tally::Tally;

/// Parts of a path in which blocks are skipped: each is tried at several depths.
const PARTS: usize = 10;

/// The fewest samples of a distance. All distances are of the same noise, so that their differences
/// need few.
const SAMPLES: usize = 128;

/// A depth is tried where its error is smaller by this factor than that of the last one that was: the
/// blocks between them do nothing for the sample.
const FALL: f64 = 0.9;

/// What leaving at each evaluation and depth adds to the Fréchet distance.
#[derive(Clone, Debug, Default)]
pub(super) struct Damage {
    /// For each evaluation, for each number of blocks.
    evaluations: Vec<Vec<Leaving>>,
}

/// Leaving at an evaluation and depth, or at the nearest smaller depth that was tried.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Leaving {
    /// What it adds to the distance; negative where the samples come closer to the data.
    distance: f64,
    /// The mean error of the noise prediction there.
    error: f64,
}

impl Damage {
    /// A record whose errors are what each sample's leaving adds to the distance: in proportion to its
    /// own error, so that samples whose prediction is right may leave first. A gain is everybody's.
    pub(super) fn of(&self, trace: &ErrorTrace) -> ErrorTrace {
        let steps = trace.steps.iter().zip(&self.evaluations);
        let priced = steps.map(|(step, leavings)| ErrorStep {
            timestep: step.timestep,
            errors: step
                .errors
                .iter()
                .map(|errors| {
                    let errors = errors.iter().zip(leavings);
                    errors.map(|(&error, leaving)| leaving.of(error)).collect()
                })
                .collect(),
            uncertainty: step.uncertainty.clone(),
        });
        ErrorTrace {
            steps: priced.collect(),
        }
    }
}

impl Leaving {
    fn of(&self, error: f32) -> f32 {
        let share = match self.distance > 0.0 && self.error > 0.0 {
            true => f64::from(error) / self.error,
            false => 1.0,
        };
        (self.distance * share) as f32
    }
}

/// What was measured so far, of a network that studies share.
#[derive(Debug)]
pub(super) struct Damages<B: Kernels>(Mutex<Known<B>>);

#[derive(Debug)]
struct Known<B: Kernels> {
    /// The opened yardstick and its name.
    opened: Option<Opened<B>>,
    damages: Vec<(Circumstances, Arc<Damage>)>,
}

type Opened<B> = (Arc<Judge<B>>, Option<YardstickName>);

/// What damage depends on beside the network.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Circumstances {
    solver: SolverConfig,
    steps: usize,
    seed: u64,
    guidance: f64,
}

impl<B: Kernels> Default for Damages<B> {
    fn default() -> Self {
        Self(Mutex::new(Known {
            opened: None,
            damages: Vec::new(),
        }))
    }
}

impl<B: Kernels> Damages<B> {
    fn lock(&self) -> MutexGuard<'_, Known<B>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<B: Kernels> Study<'_, B> {
    /// What leaving at each evaluation and depth adds to the distance of the samples from the data
    /// set's images, as the yardstick has it: measured by leaving there alone. It is kept for the next
    /// budget in the same circumstances.
    ///
    /// # Errors
    /// Where there is no yardstick or there are few prompts, the user interrupts or the device fails.
    pub(super) fn damage(
        &self,
        trace: &ErrorTrace,
        draw: &Draw,
        bar: &ProgressBar,
    ) -> Result<Arc<Damage>> {
        let circumstances = Circumstances {
            solver: self.preset.sampling.solver,
            steps: draw.steps,
            seed: draw.seed,
            guidance: draw.guidance,
        };
        let known = self
            .damages
            .lock()
            .damages
            .iter()
            .find_map(|(of, damage)| (*of == circumstances).then(|| damage.clone()));
        if let Some(known) = known {
            return Ok(known);
        }
        let damage = Arc::new(self.decoding().measure_damage(trace, draw, bar)?);
        let mut known = self.damages.lock();
        known.damages.push((circumstances, damage.clone()));
        Ok(damage)
    }

    /// The opened yardstick, and the name of what was opened.
    pub(super) fn opened_yardstick(&self) -> Result<Opened<B>> {
        if let Some(opened) = &self.damages.lock().opened {
            return Ok(opened.clone());
        }
        let (data, shape) = (self.preset.data, self.decoding().image_shape());
        let name = self.yardstick.name(data)?;
        let judge = self.yardstick.open::<B>(data, shape, &self.device)?;
        let opened = (Arc::new(judge), name);
        self.damages.lock().opened = Some(opened.clone());
        Ok(opened)
    }

    fn measure_damage(&self, trace: &ErrorTrace, draw: &Draw, bar: &ProgressBar) -> Result<Damage> {
        // Said before a network of features is opened, and again when their number is known.
        ensure_prompts(draw, SAMPLES)?;
        let (judge, _) = self.opened_yardstick()?;
        let samples = SAMPLES.max(judge.dims() + judge.dims() / 8);
        ensure_prompts(draw, samples)?;
        bar.set_message("measuring what leaving early does to the distance");
        let draw = Draw {
            samples,
            ..draw.clone()
        };
        let (blocks, evaluations) = (self.blocks(), trace.steps.len());
        let tried: Vec<_> = parts(evaluations, PARTS)
            .map(|part| (depths(&trace.steps[part.clone()], blocks), part))
            .collect();
        let draws = 1 + tried.iter().map(|(depths, _)| depths.len()).sum::<usize>();
        bar.inc_length((draws * samples * draw.steps) as u64);
        let distance = |policy: &dyn ExitPolicy| {
            let nothing = Tally::none(&judge, &draw)?;
            let drawn = nothing.draw(self, &judge, policy, &draw, bar, &mut |_| Ok(()))?;
            judge.frechet_distance(&drawn.statistics)
        };

        let full = distance(&FullDepth)?;
        let mut damage = Damage::default();
        for (depths, part) in tried {
            let steps = &trace.steps[part.clone()];
            let mut found = vec![vec![Leaving::default(); blocks]; part.len()];
            for (place, &depth) in depths.iter().enumerate() {
                let added = distance(&shallow_in(trace, &part, depth, blocks))? - full;
                let until = depths.get(place + 1).copied().unwrap_or(blocks);
                let errors: Vec<f64> = steps.iter().map(|step| mean_error(step, depth)).collect();
                for ((leavings, share), error) in found.iter_mut().zip(shares(&errors)).zip(&errors)
                {
                    leavings[depth - 1..until - 1].fill(Leaving {
                        distance: added * share,
                        error: *error,
                    });
                }
            }
            damage.evaluations.extend(found);
        }
        Ok(damage)
    }
}

/// Refuses prompts that are too few to stand for a data set.
fn ensure_prompts(draw: &Draw, samples: usize) -> Result<()> {
    let Conditions::Texts(contexts) = &draw.conditions else {
        return Ok(());
    };
    ensure!(
        contexts.len() >= samples,
        "the exit rule `distance` is calibrated by the distance of {samples} samples from a data set's \
         images, of which so few prompts ({}) tell too little: run `calibrate` with --latents and the \
         same guidance first, whose thresholds are used from then on, or choose --exit-rule allocated",
        contexts.len()
    );
    Ok(())
}

/// The numbers of blocks that are tried in a part of the path.
fn depths(steps: &[ErrorStep], blocks: usize) -> Vec<usize> {
    let mut tried = Vec::new();
    let mut smallest = f64::INFINITY;
    for depth in 1..blocks {
        let error: f64 = steps.iter().map(|step| mean_error(step, depth)).sum();
        if tried.is_empty() || error < FALL * smallest {
            tried.push(depth);
            smallest = error;
        }
    }
    tried
}

/// What each evaluation of a part has of its errors; equal where there are none.
fn shares(errors: &[f64]) -> Vec<f64> {
    let sum: f64 = errors.iter().sum();
    let share = |error: &f64| match sum > 0.0 {
        true => error / sum,
        false => 1.0 / errors.len() as f64,
    };
    errors.iter().map(share).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(errors: &[&[f32]]) -> ErrorStep {
        ErrorStep {
            timestep: 500.0,
            errors: errors.iter().map(|errors| errors.to_vec()).collect(),
            uncertainty: errors
                .iter()
                .map(|errors| vec![0.5; errors.len()])
                .collect(),
        }
    }

    #[test]
    fn depths_that_make_nothing_better_are_not_tried() {
        let first = step(&[&[8.0, 7.9, 2.0, 3.0, 0.0]]);
        let second = step(&[&[1.0, 1.0, 1.0, 0.1, 0.0]]);
        assert_eq!(depths(std::slice::from_ref(&first), 5), [1, 3]);
        assert_eq!(depths(std::slice::from_ref(&second), 5), [1, 4]);
        // Sums: 9, 8.9, 3, 3.1.
        assert_eq!(depths(&[first, second], 5), [1, 3]);
        assert_eq!(depths(&[step(&[&[0.0, 0.0]])], 2), [1]);
    }

    #[test]
    fn a_loss_is_shared_by_errors_and_a_gain_is_equal_for_all() {
        let leaving = |distance| Leaving {
            distance,
            error: 2.0,
        };
        let damage = Damage {
            evaluations: vec![vec![leaving(3.0), leaving(-1.0), Leaving::default()]],
        };
        let trace = ErrorTrace {
            steps: vec![step(&[&[1.0, 1.0, 0.0], &[3.0, 3.0, 0.0]])],
        };
        let priced = damage.of(&trace);
        assert_eq!(priced.steps[0].errors, [[1.5, -1.0, 0.0], [4.5, -1.0, 0.0]]);
        assert_eq!(priced.steps[0].uncertainty, trace.steps[0].uncertainty);
        assert_eq!(shares(&[1.0, 3.0]), [0.25, 0.75]);
        assert_eq!(shares(&[0.0, 0.0]), [0.5, 0.5]);
    }
}
