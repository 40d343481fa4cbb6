//! What is to be measured of what: the command line, found to make sense.

use std::fs;
use std::path::Path;

use adadiff_metrics::{INCEPTION_FEATURES, Samples, Source};
use anyhow::{Context, Result, bail, ensure};

use super::count::Count;
use super::gather::Wanted;
use super::{Arguments, Metric};

/// Where the weights are to be had.
const WEIGHTS: &str = "pt_inception-2015-12-05-6726825d.pth, which is at \
    https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/";

/// Where CLIP's are.
const CLIP_WEIGHTS: &str = "pytorch_model.bin or model.safetensors of \
    https://huggingface.co/openai/clip-vit-large-patch14-336";

/// Sets that can be compared as asked.
#[derive(Debug)]
pub struct Plan {
    pub(super) arguments: Arguments,
    pub(super) samples: Part,
    pub(super) reference: Option<Part>,
}

/// A set and what is needed of it.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) role: Role,
    pub(super) source: Source,
    pub(super) wanted: Wanted,
    /// The most samples to take.
    pub(super) limit: Option<usize>,
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

impl Plan {
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
        let plan = Self {
            samples: Part::open(Role::Samples, &arguments.judged, &arguments)?,
            reference: reference
                .map(|path| Part::open(Role::Reference, path, &arguments))
                .transpose()?,
            arguments,
        };
        if plan.needs(Wanted::needs_inception) && plan.arguments.weights.is_none() {
            bail!(
                "features of images need the weights of FID's Inception network: name them with \
                 --weights FILE; the file is {WEIGHTS}"
            );
        }
        if plan.needs(Wanted::needs_clip) && plan.arguments.clip_weights.is_none() {
            bail!(
                "CMMD of images needs the weights of CLIP's ViT-L/14 at 336 pixels: name them with \
                 --clip-weights FILE; the file is {CLIP_WEIGHTS}"
            );
        }
        Ok(plan)
    }

    /// The weights of FID's network, where images must go through it.
    pub(super) fn inception_weights(&self) -> Option<&Path> {
        let weights = self.arguments.weights.as_deref();
        weights.filter(|_| self.needs(Wanted::needs_inception))
    }

    /// The weights of CLIP's image model, where images must go through it.
    pub(super) fn clip_weights(&self) -> Option<&Path> {
        let weights = self.arguments.clip_weights.as_deref();
        weights.filter(|_| self.needs(Wanted::needs_clip))
    }

    /// Whether `network` is needed for the images of any set.
    fn needs(&self, network: fn(Wanted) -> bool) -> bool {
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
        let wanted = Wanted {
            stored_statistics,
            statistics: is_written || has(Metric::Fid) && !stored_statistics,
            features: has(Metric::Kid) || has(Metric::Pr) || has(Metric::Cmmd) && !are_images,
            probabilities: is_judged && has(Metric::Is),
            embeddings: has(Metric::Cmmd) && are_images,
        };
        let part = Self {
            role,
            source,
            wanted,
            limit: arguments.samples.filter(|_| is_judged),
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
        let Some(samples) = self.source.samples() else {
            return Ok(());
        };
        let dims = match samples {
            Samples::Features(features) => features.dims(),
            Samples::Files(_) | Samples::Images(_) => INCEPTION_FEATURES,
        };
        self.count(samples.at_most(), dims)
            .ensure_enough(allow_small)
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

    fn are_images(&self) -> bool {
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
    let folder_is_there = fs::metadata(folder)
        .with_context(|| format!("cannot write {}: its folder is missing", path.display()))?;
    ensure!(
        folder_is_there.is_dir(),
        "cannot write {}: {} is no folder",
        path.display(),
        folder.display()
    );
    Ok(())
}
