//! From gathered sets to figures.

use std::io::Cursor;
use std::path::Path;

use adadiff_metrics::{
    Features, Gaussian, KidSubsets, RowLength, Samples, cmmd, frechet_distance, inception_score,
    kernel_distance_of_subsets, precision_recall, write_statistics,
};
use adadiff_model::clip::ClipVisionConfig;
use adadiff_storage::{replace_file, sha256_file};
use anyhow::{Context, Result, ensure};

use super::count::bias;
use super::digest;
use super::gather::Gathered;
use super::plan::{Part, Plan};
use super::record::{Figures, Kid, Kind, NamedFile, Record, Score, Set, Sides};
use super::sets::Sets;
use super::{Arguments, Metric};

/// The first digits of the published weights' SHA-256, which their name tells.
const PUBLISHED_WEIGHTS: &str = "6726825d";

impl Plan {
    /// What there is to tell of both sets.
    ///
    /// # Errors
    /// Where the sets do not suit each other, or a file cannot be read or written.
    pub(super) fn record(&self, sets: &Sets) -> Result<Record> {
        let mut notes = Vec::new();
        let figures = self.figures(sets, &mut notes)?;
        let weights = self.inception_weights().map(NamedFile::of).transpose()?;
        let clip_weights = self.clip_weights().map(NamedFile::of).transpose()?;
        if let Some(weights) = &weights
            && !weights.sha256.starts_with(PUBLISHED_WEIGHTS)
        {
            notes.push(format!(
                "the weights are not the published ones, whose SHA-256 starts with \
                 {PUBLISHED_WEIGHTS}: these figures are comparable with none but their like"
            ));
        }
        let networks = sets.networks.as_ref();
        if let Some(clip) = networks.and_then(|networks| networks.clip.as_ref())
            && *clip != ClipVisionConfig::vit_l_14_336()
        {
            notes.push(
                "the weights of CLIP are not those of ViT-L/14 at 336 pixels, which CMMD is \
                 published with: this figure is comparable with none but its like"
                    .to_owned(),
            );
        }
        let written = match (&self.arguments.write_statistics, &sets.samples.gaussian) {
            (Some(path), Some(gaussian)) => Some(write(path, gaussian)?),
            _ => None,
        };
        let parts = self.reference.as_ref().zip(sets.reference.as_ref());
        let arguments = &self.arguments;
        Ok(Record {
            figures,
            mode: weights.as_ref().map(|_| arguments.mode.into()),
            samples: self.samples.set(&sets.samples)?,
            reference: parts
                .map(|(part, gathered)| part.set(gathered))
                .transpose()?,
            weights,
            clip_weights,
            device: networks.map(|_| arguments.device.to_string()),
            dtype: networks.map(|networks| networks.dtype.clone()),
            batch: networks.map(|_| arguments.batch),
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
                    &reference.embeddings("the reference's embeddings")?,
                    &samples.embeddings("the samples' embeddings")?,
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

    /// CLIP's embeddings: of images those that were made here, else the features that were given.
    fn embeddings(&self, what: &'static str) -> Result<Features<'_>> {
        if self.embeddings.is_empty() {
            return self.features(what);
        }
        let values = self.embeddings.len() / self.count.unwrap_or(1).max(1);
        Ok(Features::new(what, &self.embeddings, values)?)
    }
}

impl NamedFile {
    fn of(path: &Path) -> Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            sha256: sha256_file(path)?,
        })
    }
}

fn write(path: &Path, gaussian: &Gaussian) -> Result<NamedFile> {
    let mut bytes = Cursor::new(Vec::new());
    write_statistics(&mut bytes, gaussian)?;
    replace_file(path, bytes.get_ref())?;
    NamedFile::of(path)
}
