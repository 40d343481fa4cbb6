//! Carrying out a plan.

use std::io::Cursor;
use std::path::Path;

use adadiff_metrics::{
    Features, Gaussian, Inception, KidSubsets, RowLength, Samples, cmmd, frechet_distance,
    inception_score, kernel_distance_of_subsets, precision_recall, write_statistics,
};
use adadiff_model::kernels::Kernels;
use adadiff_train::replace_file;
use adadiff_weights::WeightFile;
use anyhow::{Context, Result, ensure};

use super::count::bias;
use super::digest;
use super::extractor::{Extractor, InceptionExtractor};
use super::gather::{Gathered, gather};
use super::plan::{Part, Plan};
use super::record::{Figures, Kid, Kind, NamedFile, Record, Score, Set, Sides};
use super::{Arguments, Metric};
use crate::device::{DeviceTask, run_on};
use crate::progress::samples_bar;

/// The first digits of the published weights' SHA-256, which their name tells.
const PUBLISHED_WEIGHTS: &str = "6726825d";

/// Both sets, gathered.
struct Sets {
    samples: Gathered,
    reference: Option<Gathered>,
    /// The type of the network's numbers, where there was a network.
    dtype: Option<String>,
}

/// The sets of a plan that needs the network.
struct WithNetwork<'a> {
    plan: &'a mut Plan,
    weights: WeightFile,
}

impl DeviceTask for WithNetwork<'_> {
    type Output = Sets;

    fn run<B: Kernels>(self, device: B::Device) -> Result<Sets> {
        let extractor = InceptionExtractor::<B> {
            network: Inception::import(&self.weights, &device)?,
            preprocessing: self.plan.arguments.mode.into(),
            device,
        };
        let dtype = extractor.dtype().name().to_owned();
        let sets = self.plan.gather(Some(&extractor))?;
        Ok(Sets {
            dtype: Some(dtype),
            ..sets
        })
    }
}

impl Plan {
    /// Reads both sets and measures what was asked for.
    ///
    /// # Errors
    /// Where a set or the weights are damaged or the device fails.
    pub(super) fn carry_out(mut self) -> Result<Record> {
        let weights = self
            .arguments
            .weights
            .clone()
            .filter(|_| self.needs_network());
        let sets = match &weights {
            Some(path) => {
                let weights = WeightFile::open(path)?;
                let device = self.arguments.device;
                let plan = &mut self;
                run_on(device, WithNetwork { plan, weights })?
            }
            None => self.gather(None)?,
        };
        self.record(&sets, weights.as_deref())
    }

    fn gather(&mut self, extractor: Option<&dyn Extractor>) -> Result<Sets> {
        let samples = self.samples.gather(&self.arguments, extractor)?;
        let reference = match &mut self.reference {
            Some(reference) => Some(reference.gather(&self.arguments, extractor)?),
            None => None,
        };
        Ok(Sets {
            samples,
            reference,
            dtype: None,
        })
    }

    fn record(&self, sets: &Sets, weights: Option<&Path>) -> Result<Record> {
        let mut notes = Vec::new();
        let figures = self.figures(sets, &mut notes)?;
        let weights = weights.map(NamedFile::of).transpose()?;
        if let Some(weights) = &weights
            && !weights.sha256.starts_with(PUBLISHED_WEIGHTS)
        {
            notes.push(format!(
                "the weights are not the published ones, whose SHA-256 starts with \
                 {PUBLISHED_WEIGHTS}: these figures are comparable with none but their like"
            ));
        }
        let written = match (&self.arguments.write_statistics, &sets.samples.gaussian) {
            (Some(path), Some(gaussian)) => Some(write(path, gaussian)?),
            _ => None,
        };
        let parts = self.reference.as_ref().zip(sets.reference.as_ref());
        let network = weights.is_some();
        let arguments = &self.arguments;
        Ok(Record {
            figures,
            mode: network.then(|| arguments.mode.into()),
            samples: self.samples.set(&sets.samples)?,
            reference: parts
                .map(|(part, gathered)| part.set(gathered))
                .transpose()?,
            weights,
            device: network.then(|| arguments.device.to_string()),
            dtype: sets.dtype.clone(),
            batch: network.then_some(arguments.batch),
            written,
            notes,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        })
    }

    fn figures(&self, sets: &Sets, notes: &mut Vec<String>) -> Result<Figures> {
        let mut figures = Figures::default();
        let reference = sets.reference.as_ref();
        for &metric in &self.arguments.metrics {
            match metric {
                Metric::Is => figures.is = Some(self.score(&sets.samples)?),
                compared => {
                    let reference = reference.context("there is nothing to compare with")?;
                    self.compare(compared, &sets.samples, reference, &mut figures)?;
                }
            }
            let reference = reference.and_then(|reference| reference.count);
            let samples = &sets.samples;
            notes.push(bias(metric, samples.count, reference, samples.dims));
        }
        Ok(figures)
    }

    fn compare(
        &self,
        metric: Metric,
        samples: &Gathered,
        reference: &Gathered,
        figures: &mut Figures,
    ) -> Result<()> {
        let neighbours = self.arguments.neighbours;
        match metric {
            Metric::Fid => {
                figures.fid = Some(frechet_distance(
                    samples.gaussian()?,
                    reference.gaussian()?,
                )?);
            }
            Metric::Kid => figures.kid = Some(self.kid(samples, reference)?),
            Metric::Pr => {
                let sides = precision_recall(
                    &reference.features("the reference's features")?,
                    &samples.features("the samples' features")?,
                    neighbours,
                )?;
                figures.pr = Some(Sides { sides, neighbours });
            }
            Metric::Cmmd => {
                figures.cmmd = Some(cmmd(
                    &reference.features("the reference's features")?,
                    &samples.features("the samples' features")?,
                    RowLength::Unit,
                )?);
            }
            Metric::Is => {}
        }
        Ok(())
    }

    fn score(&self, samples: &Gathered) -> Result<Score> {
        let classes = samples.probabilities.len() / samples.count.unwrap_or(1).max(1);
        let probabilities = Features::new("the probabilities", &samples.probabilities, classes)?;
        let splits = self.arguments.splits;
        let spread = inception_score(&probabilities, splits)?;
        Ok(Score { spread, splits })
    }

    fn kid(&self, samples: &Gathered, reference: &Gathered) -> Result<Kid> {
        let samples = samples.features("the samples' features")?;
        let reference = reference.features("the reference's features")?;
        let smaller = samples.samples().min(reference.samples());
        let Arguments {
            allow_small,
            kid_subset_size: asked,
            kid_subsets: number,
            seed,
            ..
        } = self.arguments;
        ensure!(
            allow_small || smaller >= asked,
            "one of the sets has {smaller} samples, but each subset of `kid` needs {asked}; set \
             --kid-subset-size, or let --allow-small make subsets of {smaller}"
        );
        let size = asked.min(smaller);
        let subsets = KidSubsets { size, number, seed };
        Ok(Kid {
            spread: kernel_distance_of_subsets(&reference, &samples, &subsets)?,
            subsets: number,
            subset_size: size,
            seed,
        })
    }
}

impl Part {
    fn gather(
        &mut self,
        arguments: &Arguments,
        extractor: Option<&dyn Extractor>,
    ) -> Result<Gathered> {
        let at_most = self.source.samples().map_or(0, Samples::at_most);
        let bar = samples_bar(self.limit.unwrap_or(at_most).min(at_most) as u64);
        bar.set_prefix(self.role.name());
        let gathered = gather(
            &mut self.source,
            self.wanted,
            self.limit,
            arguments.batch,
            extractor,
            &bar,
        );
        bar.finish_and_clear();
        let gathered = gathered?;
        for image in &gathered.bad {
            eprintln!("passed over: {}: {}", image.name, image.reason);
        }
        if let Some(found) = gathered.count {
            let count = self.count(found, gathered.dims);
            count.ensure_enough(arguments.allow_small)?;
        }
        Ok(gathered)
    }

    fn set(&self, gathered: &Gathered) -> Result<Set> {
        let kind = match self.source.samples() {
            Some(Samples::Files(files)) if files.is_folder() => Kind::Folder,
            Some(Samples::Files(_)) => Kind::Zip,
            Some(Samples::Images(_)) => Kind::Images,
            Some(Samples::Features(_)) => Kind::Features,
            None => Kind::Statistics,
        };
        Ok(Set {
            path: self.source.path().to_owned(),
            kind,
            count: gathered.count,
            skipped: gathered.bad.len(),
            dims: gathered.dims,
            stored_statistics: self.wanted.stored_statistics,
            sha256: digest::of_source(&self.source)?,
        })
    }
}

impl Gathered {
    fn gaussian(&self) -> Result<&Gaussian> {
        self.gaussian.as_ref().context("there are no statistics")
    }

    fn features(&self, what: &'static str) -> Result<Features<'_>> {
        Ok(Features::new(what, &self.features, self.dims)?)
    }
}

impl NamedFile {
    fn of(path: &Path) -> Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            sha256: digest::of_file(path)?,
        })
    }
}

fn write(path: &Path, gaussian: &Gaussian) -> Result<NamedFile> {
    let mut bytes = Cursor::new(Vec::new());
    write_statistics(&mut bytes, gaussian)?;
    replace_file(path, bytes.get_ref())
        .with_context(|| format!("cannot write {}", path.display()))?;
    NamedFile::of(path)
}
