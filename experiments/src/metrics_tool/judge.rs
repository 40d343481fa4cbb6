//! From gathered sets to figures.

use std::io::Cursor;
use std::path::Path;

use adadiff_data::LeftOut;
use adadiff_metrics::{
    FeatureOrigin, Features, Gaussian, KidSubsets, Preprocessing, RowLength, Samples, cmmd,
    frechet_distance, inception_score, kernel_distance_of_subsets, precision_recall,
    write_statistics,
};
use adadiff_model::clip::ClipVisionConfig;
use adadiff_storage::{replace_file, sha256_file};
use anyhow::{Context, Result};

use super::count::bias;
use super::digest;
use super::gather::Gathered;
use super::plan::{MetricsPlan, Part};
use super::record::{Kid, Kind, MetricFigures, MetricsRecord, NamedFile, Score, Set, Sides};
use super::sets::Sets;
use super::{Arguments, Metric, MetricsRun};

/// The first digits of the published weights' SHA-256, which their name tells.
const PUBLISHED_WEIGHTS: &str = "6726825d";

impl MetricsPlan {
    /// What there is to tell of both sets.
    ///
    /// # Errors
    /// Where the sets do not suit each other, or a file cannot be read or written.
    pub(super) fn record(&self, sets: &Sets) -> Result<MetricsRun> {
        let mut notes = Vec::new();
        let figures = self.figures(sets, &mut notes)?;
        self.note_weights(sets, &mut notes);
        self.note_origins(&mut notes);
        let parts = self.reference.as_ref().zip(sets.reference.as_ref());
        for (part, gathered) in [(&self.samples, &sets.samples)].into_iter().chain(parts) {
            notes.extend(part.note_left_out(gathered));
        }
        // What was found is told, whatever becomes of the file.
        let (written, fault) = match (&self.arguments.write_statistics, &sets.samples.gaussian) {
            (Some(path), Some(gaussian)) => {
                match write(path, gaussian, &self.origin(&self.samples)) {
                    Ok(file) => (Some(file), None),
                    Err(error) => (None, Some(error)),
                }
            }
            _ => (None, None),
        };
        let arguments = &self.arguments;
        let networks = sets.networks.as_ref();
        let record = MetricsRecord {
            figures,
            mode: self.weights.as_ref().map(|_| arguments.mode.into()),
            samples: self.samples.set(&sets.samples, &mut notes),
            reference: parts.map(|(part, gathered)| part.set(gathered, &mut notes)),
            weights: self.weights.clone(),
            clip_weights: self.clip_weights.clone(),
            device: networks.map(|_| arguments.device.to_string()),
            dtype: networks.map(|networks| networks.dtype.clone()),
            batch: networks.map(|_| arguments.batch),
            written,
            notes,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        Ok(MetricsRun { record, fault })
    }

    /// Says where weights are not those that figures are published with.
    fn note_weights(&self, sets: &Sets, notes: &mut Vec<String>) {
        if let Some(weights) = &self.weights
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
    }

    /// Says where statistics may have been made in another way than the features here.
    fn note_origins(&self, notes: &mut Vec<String>) {
        let parts = [Some(&self.samples), self.reference.as_ref()];
        let stored = parts
            .into_iter()
            .flatten()
            .filter(|part| part.wanted.stored_statistics);
        let makes_features = self.weights.is_some();
        for part in stored.filter(|part| makes_features && part.origin.mode.is_none()) {
            let mode = Preprocessing::from(self.arguments.mode).name();
            let mut note = format!(
                "the statistics in {} do not tell how their features were made: it must have been \
                 with --mode {mode} and these weights",
                part.source.path().display()
            );
            if part.are_images() && mode != Preprocessing::Tf.name() {
                note.push_str(
                    "; those that guided diffusion publishes beside images want --mode tf",
                );
            }
            notes.push(note);
        }
    }

    fn figures(&self, sets: &Sets, notes: &mut Vec<String>) -> Result<MetricFigures> {
        let mut figures = MetricFigures::default();
        let reference = sets.reference.as_ref();
        for &metric in &self.arguments.metrics {
            match metric {
                Metric::Is => figures.is = Some(self.score(&sets.samples)?),
                compared => {
                    let reference = reference.context("there is nothing to compare with")?;
                    self.compare(compared, &sets.samples, reference, &mut figures)?;
                }
            }
            // Statistics that a file holds may be of other samples than those beside them.
            let count = |part: &Part, gathered: &Gathered| match metric {
                Metric::Fid if part.wanted.stored_statistics => None,
                _ => gathered.count,
            };
            let reference = self.reference.as_ref().zip(reference);
            let reference = reference.and_then(|(part, gathered)| count(part, gathered));
            let samples = count(&self.samples, &sets.samples);
            let seed = self.arguments.seed;
            notes.push(bias(metric, samples, reference, sets.samples.dims, seed));
        }
        Ok(figures)
    }

    fn compare(
        &self,
        metric: Metric,
        samples: &Gathered,
        reference: &Gathered,
        figures: &mut MetricFigures,
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
        let (splits, seed) = (self.arguments.splits, Some(self.arguments.seed));
        let spread = inception_score(&probabilities, splits, seed)?;
        Ok(Score {
            spread,
            splits,
            seed,
        })
    }

    fn kid(&self, samples: &Gathered, reference: &Gathered) -> Result<Kid> {
        let samples = samples.features("the samples' features")?;
        let reference = reference.features("the reference's features")?;
        let smaller = samples.samples().min(reference.samples());
        self.ensure_kid(smaller)?;
        let Arguments {
            kid_subset_size: asked,
            kid_subsets: number,
            seed,
            ..
        } = self.arguments;
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
    /// Says what was not taken of a folder or an archive.
    fn note_left_out(&self, gathered: &Gathered) -> Option<String> {
        let left_out = self.left_out().filter(|left_out| !left_out.is_empty())?;
        let taken = gathered.count?;
        let path = self.source.path().display();
        Some(format!(
            "of {path} {taken} images were taken and left out: {left_out}"
        ))
    }

    fn left_out(&self) -> Option<&LeftOut> {
        match self.source.samples() {
            Some(Samples::Files(set)) => Some(set.files().left_out()),
            _ => None,
        }
    }

    fn set(&self, gathered: &Gathered, notes: &mut Vec<String>) -> Set {
        let sha256 = digest::of_source(&self.source).unwrap_or_else(|error| {
            notes.push(format!("no SHA-256 of what was read before: {error:#}"));
            "unreadable".to_owned()
        });
        let kind = match self.source.samples() {
            Some(Samples::Files(set)) if set.files().is_folder() => Kind::Folder,
            Some(Samples::Files(_)) => Kind::Zip,
            Some(Samples::Images(_)) => Kind::Images,
            Some(Samples::Features(_)) => Kind::Features,
            None => Kind::Statistics,
        };
        Set {
            path: self.source.path().to_owned(),
            kind,
            count: gathered.count,
            skipped: gathered.bad.len(),
            left_out: self.left_out().cloned(),
            dims: gathered.dims,
            stored_statistics: self.wanted.stored_statistics,
            sha256,
        }
    }
}

impl Gathered {
    fn gaussian(&self) -> Result<&Gaussian> {
        self.gaussian.as_ref().context("there are no statistics")
    }

    fn features(&self, what: &'static str) -> Result<Features<'_>> {
        Ok(Features::new(what, self.features.values(), self.dims)?)
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
    /// # Errors
    /// Where the file cannot be read.
    pub(super) fn hashed(path: &Path) -> Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            sha256: sha256_file(path)?,
        })
    }
}

fn write(path: &Path, gaussian: &Gaussian, origin: &FeatureOrigin) -> Result<NamedFile> {
    let mut bytes = Cursor::new(Vec::new());
    write_statistics(&mut bytes, gaussian, origin)?;
    replace_file(path, bytes.get_ref())?;
    NamedFile::hashed(path)
}
