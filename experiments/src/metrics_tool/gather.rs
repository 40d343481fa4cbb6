//! What the metrics need of a set, in one pass over it.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use adadiff_data::BadImage;
use adadiff_metrics::{
    FeatureSet, FileSetError, Gaussian, GaussianStats, ImageBatch, NpzError, Samples, Source,
    SourceError, Values,
};
use anyhow::{Context, Result, bail};
use indicatif::ProgressBar;

use super::networks::{Extracted, FeatureNetworks};

/// Rows of given features that are read at a time.
const ROWS: usize = 1024;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FeatureNeeds {
    /// The statistics that the set's file holds, which are read with its plan.
    pub stored_statistics: bool,
    pub statistics: bool,
    pub features: bool,
    /// The probabilities of all samples' classes.
    pub probabilities: bool,
    /// CLIP's embeddings of all images.
    pub embeddings: bool,
}

impl FeatureNeeds {
    pub fn needs_samples(self) -> bool {
        self.needs_inception() || self.needs_clip()
    }

    /// Whether FID's network is needed where the samples are images.
    pub fn needs_inception(self) -> bool {
        self.statistics || self.features || self.probabilities
    }

    /// Whether CLIP's image model is needed where the samples are images.
    pub fn needs_clip(self) -> bool {
        self.embeddings
    }
}

/// What was gathered. Features are kept only where they are wanted: then memory grows with the
/// samples, by 8 KiB for each with the network's 2,048.
#[derive(Debug, Default)]
pub struct Gathered {
    /// Samples taken; unknown where only stored statistics were read.
    pub count: Option<usize>,
    /// Files that are no images.
    pub bad: Vec<BadImage>,
    /// Features of each sample; values of an embedding where there are no other features.
    pub dims: usize,
    /// Stored statistics, or those of the samples.
    pub gaussian: Option<Gaussian>,
    /// `[samples, dims]`.
    pub features: Rows,
    /// `[samples, classes]`.
    pub probabilities: Vec<f32>,
    /// CLIP's embeddings of images, `[samples, embedding]`.
    pub embeddings: Vec<f32>,
}

/// Features in the precision in which they came.
#[derive(Clone, Debug, PartialEq)]
pub enum Rows {
    /// Those of a network, or given ones.
    Single(Vec<f32>),
    /// Given ones.
    Double(Vec<f64>),
}

impl Default for Rows {
    fn default() -> Self {
        Self::Single(Vec::new())
    }
}

impl Rows {
    /// All values, row by row.
    pub fn values(&self) -> Values<'_> {
        match self {
            Self::Single(values) => values.into(),
            Self::Double(values) => values.into(),
        }
    }

    /// Adds given values, none of which has more digits than are kept.
    fn extend(&mut self, values: &[f64]) {
        match self {
            Self::Single(kept) => kept.extend(values.iter().map(|&value| value as f32)),
            Self::Double(kept) => kept.extend(values),
        }
    }
}

/// Reads a set, at most `limit` samples of it, `batch` images at a time.
///
/// # Errors
/// Where the set is damaged, a network is broken, or images come without networks.
pub fn gather(
    source: &mut Source,
    wanted: FeatureNeeds,
    limit: Option<usize>,
    batch: usize,
    networks: Option<&dyn FeatureNetworks>,
    bar: &ProgressBar,
) -> Result<Gathered> {
    let mut gathered = Gathered::default();
    if wanted.needs_samples()
        && let Some(samples) = source.samples_mut()
    {
        let mut gathering = Gathering::new(wanted, limit, bar);
        match &mut *samples {
            Samples::Features(features) => gathering.given(features)?,
            images => {
                let networks = networks.context("there is no network for the images")?;
                gathering.images(images, batch, networks)?;
            }
        }
        gathered = gathering.finish()?;
        if let Samples::Files(files) = samples {
            gathered.bad = files.bad().to_vec();
        }
    }
    Ok(gathered)
}

/// A pass over a set.
struct Gathering<'a> {
    wanted: FeatureNeeds,
    /// Samples that are still to be taken.
    room: usize,
    bar: &'a ProgressBar,
    count: usize,
    dims: usize,
    statistics: Option<GaussianStats>,
    features: Rows,
    extracted: Extracted,
}

/// Why reading ended before the end of a set.
enum Stop {
    Source(SourceError),
    Failed(anyhow::Error),
    /// Nobody takes more.
    Enough,
}

impl From<NpzError> for Stop {
    fn from(error: NpzError) -> Self {
        Self::Source(error.into())
    }
}

impl From<FileSetError> for Stop {
    fn from(error: FileSetError) -> Self {
        Self::Source(error.into())
    }
}

impl Stop {
    fn result(stopped: Result<(), Self>) -> Result<()> {
        match stopped {
            Ok(()) | Err(Self::Enough) => Ok(()),
            Err(Self::Source(error)) => Err(error.into()),
            Err(Self::Failed(error)) => Err(error),
        }
    }
}

impl<'a> Gathering<'a> {
    fn new(wanted: FeatureNeeds, limit: Option<usize>, bar: &'a ProgressBar) -> Self {
        Self {
            wanted,
            room: limit.unwrap_or(usize::MAX),
            bar,
            count: 0,
            dims: 0,
            statistics: None,
            features: Rows::default(),
            extracted: Extracted::default(),
        }
    }

    /// Takes features that another program has computed.
    fn given(&mut self, set: &mut FeatureSet) -> Result<()> {
        let dims = set.dims();
        if set.is_double() {
            self.features = Rows::Double(Vec::new());
        }
        let read = set.for_each_batch(ROWS, |mut values| {
            values.truncate(self.room.saturating_mul(dims));
            self.add(dims, &values).map_err(Stop::Failed)?;
            self.count(values.len() / dims);
            if self.wanted.features {
                self.features.extend(&values);
            }
            match self.room {
                0 => Err(Stop::Enough),
                _ => Ok(()),
            }
        });
        Stop::result(read)
    }

    /// Takes images, of which the next are read while the network is at work.
    fn images(
        &mut self,
        samples: &mut Samples,
        batch: usize,
        networks: &dyn FeatureNetworks,
    ) -> Result<()> {
        thread::scope(|scope| {
            let (sender, receiver) = sync_channel(1);
            let most = self.room;
            let reader = scope.spawn(move || read(samples, batch, most, &sender));
            // Where this fails, the receiver is gone, and the reader stops.
            let taken = self.take_images(receiver, batch, networks);
            match reader.join() {
                // An unreadable set is the cause where there are too few samples, too.
                Ok(read) => Stop::result(read).and(taken),
                Err(_) => bail!("reading the images failed"),
            }
        })
    }

    fn take_images(
        &mut self,
        receiver: Receiver<ImageBatch>,
        batch: usize,
        networks: &dyn FeatureNetworks,
    ) -> Result<()> {
        // Images of different sizes go through the network together.
        let mut waiting: Vec<ImageBatch> = Vec::new();
        let mut images_waiting = 0;
        for mut images in receiver {
            images.truncate(self.room - images_waiting);
            if images_waiting + images.images() > batch {
                self.take_batch(&waiting, networks)?;
                waiting.clear();
                images_waiting = 0;
            }
            images_waiting += images.images();
            waiting.push(images);
            if images_waiting == self.room {
                break;
            }
        }
        match images_waiting {
            0 => Ok(()),
            _ => self.take_batch(&waiting, networks),
        }
    }

    fn take_batch(&mut self, images: &[ImageBatch], networks: &dyn FeatureNetworks) -> Result<()> {
        let extracted = networks.extract(images, self.wanted)?;
        if self.wanted.needs_inception() {
            self.add(extracted.dims, &extracted.features)?;
        }
        if let (true, Rows::Single(features)) = (self.wanted.features, &mut self.features) {
            features.extend(extracted.features);
        }
        self.extracted.probabilities.extend(extracted.probabilities);
        self.extracted.embeddings.extend(extracted.embeddings);
        self.count(images.iter().map(ImageBatch::images).sum());
        Ok(())
    }

    /// Adds features to the statistics, where these are wanted.
    fn add<T: Copy + Into<f64>>(&mut self, dims: usize, features: &[T]) -> Result<()> {
        if self.wanted.statistics {
            self.statistics
                .get_or_insert_with(|| GaussianStats::new(dims))
                .push(features)?;
        }
        self.dims = dims;
        Ok(())
    }

    fn count(&mut self, samples: usize) {
        self.count += samples;
        self.room -= samples;
        self.bar.inc(samples as u64);
    }

    fn finish(self) -> Result<Gathered> {
        let gaussian = self.statistics.map(|statistics| statistics.gaussian());
        let embedding = self.extracted.embeddings.len() / self.count.max(1);
        Ok(Gathered {
            count: Some(self.count),
            bad: Vec::new(),
            dims: match self.dims {
                0 => embedding,
                dims => dims,
            },
            gaussian: gaussian.transpose()?,
            features: self.features,
            probabilities: self.extracted.probabilities,
            embeddings: self.extracted.embeddings,
        })
    }
}

/// Reads the first images of a set and sends them on.
fn read(
    samples: &mut Samples,
    batch: usize,
    most: usize,
    sender: &SyncSender<ImageBatch>,
) -> Result<(), Stop> {
    let send = |images| sender.send(images).map_err(|_| Stop::Enough);
    match samples {
        Samples::Files(files) => files.for_each_batch(batch, most, send),
        Samples::Images(images) => images.for_each_batch(batch, send),
        Samples::Features(_) => Ok(()),
    }
}
