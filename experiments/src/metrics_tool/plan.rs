//! What is to be measured of what: the command line, found to make sense.

use std::fs;
use std::path::{Path, PathBuf};

use adadiff_metrics::{
    FeatureOrigin, Gaussian, INCEPTION_FEATURES, Preprocessing, Samples, Source,
};
use anyhow::{Context, Result, bail, ensure};
use tempfile::NamedTempFile;

use super::count::Count;
use super::gather::FeatureNeeds;
use super::record::NamedFile;
use super::{Arguments, Metric};

/// Where the weights are to be had.
const WEIGHTS: &str = "pt_inception-2015-12-05-6726825d.pth, which is at \
    https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/";

/// Where CLIP's are.
const CLIP_WEIGHTS: &str = "pytorch_model.bin or model.safetensors of \
    https://huggingface.co/openai/clip-vit-large-patch14-336";

/// Sets that can be compared as asked.
#[derive(Debug)]
pub struct MetricsPlan {
    pub(super) arguments: Arguments,
    pub(super) samples: Part,
    pub(super) reference: Option<Part>,
    /// The weights of FID's network, where images must go through it.
    pub(super) weights: Option<NamedFile>,
    /// The weights of CLIP's image model, where images must go through it.
    pub(super) clip_weights: Option<NamedFile>,
}

/// A set and what is needed of it.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) role: Role,
    pub(super) source: Source,
    pub(super) wanted: FeatureNeeds,
    /// The most samples to take.
    pub(super) limit: Option<usize>,
    /// The statistics that are wanted of the set's file.
    pub(super) stored: Option<Gaussian>,
    /// How the features of these were made.
    pub(super) origin: FeatureOrigin,
}

/// Which of the two sets one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Samples,
    Reference,
}

impl Role {
    /// Its name in messages.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Samples => "samples",
            Self::Reference => "reference",
        }
    }
}

impl MetricsPlan {
    /// Opens both sets and holds them against what is asked of them, before any work.
    ///
    /// # Errors
    /// Where a set cannot be read or does not suffice, or weights are missing.
    pub(super) fn new(mut arguments: Arguments) -> Result<Self> {
        if arguments.metrics.is_empty() && arguments.reference.is_some() {
            arguments.metrics.push(Metric::Fid);
        }
        if let Some(path) = &arguments.write_statistics {
            ensure_writable(path)?;
        }
        let compares = arguments.metrics.iter().any(|&metric| metric != Metric::Is);
        let does_nothing = arguments.metrics.is_empty() && arguments.write_statistics.is_none();
        if does_nothing || compares && arguments.reference.is_none() {
            bail!(
                "there is nothing to compare with: name a second set; without one there are only \
                 `--metrics is` and --write-statistics"
            );
        }
        let reference = arguments.reference.as_deref().filter(|_| compares);
        let mut plan = Self {
            samples: Part::open(Role::Samples, &arguments.judged, &arguments)?,
            reference: reference
                .map(|path| Part::open(Role::Reference, path, &arguments))
                .transpose()?,
            weights: None,
            clip_weights: None,
            arguments,
        };
        if plan.needs(FeatureNeeds::needs_inception) && plan.arguments.weights.is_none() {
            bail!(
                "features of images need the weights of FID's Inception network: name them with \
                 --weights FILE; the file is {WEIGHTS}"
            );
        }
        if plan.needs(FeatureNeeds::needs_clip) && plan.arguments.clip_weights.is_none() {
            bail!(
                "CMMD of images needs the weights of CLIP's ViT-L/14 at 336 pixels: name them with \
                 --clip-weights FILE; the file is {CLIP_WEIGHTS}"
            );
        }
        let needed = |file: &Option<PathBuf>, network| match file {
            Some(file) if plan.needs(network) => NamedFile::hashed(file).map(Some),
            _ => Ok(None),
        };
        let weights = needed(&plan.arguments.weights, FeatureNeeds::needs_inception)?;
        let clip_weights = needed(&plan.arguments.clip_weights, FeatureNeeds::needs_clip)?;
        (plan.weights, plan.clip_weights) = (weights, clip_weights);
        plan.ensure_comparable()?;
        plan.ensure_origins()?;
        Ok(plan)
    }

    /// Refuses what the sizes of both sets rule out, before a network runs over them.
    fn ensure_comparable(&self) -> Result<()> {
        if self.measures(Metric::Is)
            && let Some(most) = self.samples.at_most()
        {
            let splits = self.arguments.splits;
            ensure!(
                most >= splits,
                "{} has {most} samples, of which there cannot be {splits} parts; set --splits",
                self.samples.source.path().display()
            );
        }
        let Some(reference) = &self.reference else {
            return Ok(());
        };
        let smaller = [self.samples.at_most(), reference.at_most()];
        let smaller = smaller.into_iter().flatten().min();
        if let (true, Some(smaller)) = (self.measures(Metric::Kid), smaller) {
            self.ensure_kid(smaller)?;
        }
        if let (true, Some(smaller)) = (self.measures(Metric::Pr), smaller) {
            let neighbours = self.arguments.neighbours;
            ensure!(
                smaller > neighbours,
                "one of the sets has {smaller} samples, of which none has {neighbours} others as \
                 neighbours; set --neighbours"
            );
        }
        if self.measures(Metric::Fid) {
            ensure_dims(self.samples.statistics_dims(), reference.statistics_dims())?;
        }
        if self.measures(Metric::Kid) || self.measures(Metric::Pr) {
            ensure_dims(reference.feature_dims(), self.samples.feature_dims())?;
        }
        if self.measures(Metric::Cmmd) && !self.samples.are_images() && !reference.are_images() {
            ensure_dims(reference.feature_dims(), self.samples.feature_dims())?;
        }
        Ok(())
    }

    /// Refuses subsets of `kid` that are larger than the smaller set.
    pub(super) fn ensure_kid(&self, smaller: usize) -> Result<()> {
        let asked = self.arguments.kid_subset_size;
        ensure!(
            self.arguments.allow_small || smaller >= asked,
            "one of the sets has {smaller} samples, but each subset of `kid` needs {asked}; set \
             --kid-subset-size, or let --allow-small make subsets of {smaller}"
        );
        ensure!(
            smaller >= 2,
            "`kid` needs 2 samples of each set; one has {smaller}"
        );
        Ok(())
    }

    /// Refuses given embeddings of another number than those that CLIP gives of the other set's images.
    pub(super) fn ensure_embeddings(&self, embedding: usize) -> Result<()> {
        let dims = |part: &Part| {
            if part.are_images() {
                Some(embedding)
            } else {
                part.feature_dims()
            }
        };
        let reference = self.reference.as_ref().and_then(dims);
        ensure_dims(reference, dims(&self.samples))
    }

    /// Refuses statistics of features that were made in another way than those of the other set.
    fn ensure_origins(&self) -> Result<()> {
        let Some(reference) = self
            .reference
            .as_ref()
            .filter(|_| self.measures(Metric::Fid))
        else {
            return Ok(());
        };
        Ok(self
            .origin(&self.samples)
            .ensure_same(&self.origin(reference))?)
    }

    /// How the features are or were made of which a set's statistics are.
    pub(super) fn origin(&self, part: &Part) -> FeatureOrigin {
        if part.wanted.stored_statistics {
            return part.origin.clone();
        }
        let weights = self.weights.as_ref().filter(|_| part.are_images());
        let mode = Preprocessing::from(self.arguments.mode).name();
        FeatureOrigin {
            mode: weights.map(|_| mode.to_owned()),
            weights_sha256: weights.map(|weights| weights.sha256.clone()),
        }
    }

    fn measures(&self, metric: Metric) -> bool {
        self.arguments.metrics.contains(&metric)
    }

    /// The weights of FID's network, where images must go through it.
    pub(super) fn inception_weights(&self) -> Option<&Path> {
        self.weights.as_ref().map(|file| file.path.as_path())
    }

    /// The weights of CLIP's image model, where images must go through it.
    pub(super) fn clip_weights(&self) -> Option<&Path> {
        self.clip_weights.as_ref().map(|file| file.path.as_path())
    }

    /// Whether `network` is needed for the images of any set.
    fn needs(&self, network: fn(FeatureNeeds) -> bool) -> bool {
        let parts = [Some(&self.samples), self.reference.as_ref()];
        let parts = parts.into_iter().flatten();
        let mut of_images = parts.filter(|part| part.are_images());
        of_images.any(|part| network(part.wanted))
    }
}

impl Part {
    fn open(role: Role, path: &Path, arguments: &Arguments) -> Result<Self> {
        let mut source = Source::open(path)?;
        if let Some(Samples::Files(files)) = source.samples_mut() {
            files.tolerate(arguments.skip_bad);
        }
        let is_judged = role == Role::Samples;
        let is_written = is_judged && arguments.write_statistics.is_some();
        let has = |metric| arguments.metrics.contains(&metric);
        let stored_statistics = has(Metric::Fid) && source.has_statistics() && !is_written;
        let are_images = source.samples().is_some_and(Samples::are_images);
        let wanted = FeatureNeeds {
            stored_statistics,
            statistics: is_written || has(Metric::Fid) && !stored_statistics,
            features: has(Metric::Kid) || has(Metric::Pr) || has(Metric::Cmmd) && !are_images,
            probabilities: is_judged && has(Metric::Is),
            embeddings: has(Metric::Cmmd) && are_images,
        };
        let (stored, origin) = if stored_statistics {
            (Some(source.statistics()?), source.origin()?)
        } else {
            (None, FeatureOrigin::default())
        };
        let part = Self {
            role,
            source,
            wanted,
            limit: arguments.samples.filter(|_| is_judged),
            stored,
            origin,
        };
        part.ensure_suffices()?;
        part.ensure_enough(arguments.allow_small)?;
        Ok(part)
    }

    fn ensure_suffices(&self) -> Result<()> {
        let path = self.source.path().display();
        let Some(samples) = self.source.samples() else {
            ensure!(
                !self.wanted.needs_samples(),
                "{path} holds statistics alone, which suffice for `fid` and nothing else; give the \
                 images or their features"
            );
            return Ok(());
        };
        ensure!(
            !self.wanted.probabilities || samples.are_images(),
            "{path} holds features, of which there is no inception score: it is made of the \
             network's classes; give the images"
        );
        Ok(())
    }

    /// Refuses what is known to be too few before the work; files may turn out to be no images.
    fn ensure_enough(&self, allow_small: bool) -> Result<()> {
        if self.wanted.stored_statistics && self.limit.is_some() {
            bail!(
                "{} holds statistics, which do not tell of how many samples they are; leave out \
                 --samples",
                self.source.path().display()
            );
        }
        match (self.at_most(), self.feature_dims()) {
            (Some(samples), Some(dims)) => self.count(samples, dims).ensure_enough(allow_small),
            _ => Ok(()),
        }
    }

    /// What is to be said of a number of samples.
    pub(super) fn count(&self, found: usize, dims: usize) -> Count<'_> {
        Count {
            path: self.source.path(),
            found: self.limit.map_or(found, |limit| limit.min(found)),
            asked: self.limit,
            dims: self.wanted.statistics.then_some(dims),
        }
    }

    /// The most samples there can be; unknown of statistics alone.
    fn at_most(&self) -> Option<usize> {
        let samples = self.source.samples()?.at_most();
        Some(self.limit.map_or(samples, |limit| limit.min(samples)))
    }

    /// Features of which statistics are or will be.
    fn statistics_dims(&self) -> Option<usize> {
        match &self.stored {
            Some(stored) => Some(stored.mean().len()),
            None => self.feature_dims(),
        }
    }

    /// Features that are given, or that FID's network gives.
    fn feature_dims(&self) -> Option<usize> {
        Some(match self.source.samples()? {
            Samples::Features(features) => features.dims(),
            Samples::Files(_) | Samples::Images(_) => INCEPTION_FEATURES,
        })
    }

    pub(super) fn are_images(&self) -> bool {
        self.source.samples().is_some_and(Samples::are_images)
    }
}

/// Finds out before the work what would keep the result from being written after it.
fn ensure_writable(path: &Path) -> Result<()> {
    ensure!(
        !path.exists(),
        "{} exists already; name another file with --write-statistics",
        path.display()
    );
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let is_there = fs::metadata(folder)
        .with_context(|| format!("cannot write {}: its folder is missing", path.display()))?;
    ensure!(
        is_there.is_dir(),
        "cannot write {}: {} is no folder",
        path.display(),
        folder.display()
    );
    let trial = NamedTempFile::new_in(folder).and_then(NamedTempFile::close);
    trial.with_context(|| format!("cannot write {}", path.display()))
}

/// Refuses two sets with different numbers of features, where both are known.
fn ensure_dims(expected: Option<usize>, found: Option<usize>) -> Result<()> {
    if let (Some(expected), Some(found)) = (expected, found) {
        ensure!(
            expected == found,
            "both sets need the same features: expected {expected} values for each sample, found \
             {found}"
        );
    }
    Ok(())
}
