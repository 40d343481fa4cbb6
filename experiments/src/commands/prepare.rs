//! The command `prepare`: images through the autoencoder and captions through the text encoder,
//! once.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use adadiff_backends::{DeviceName, DeviceTask};
use adadiff_data::{
    ImageError, ImageSet, LatentError, LatentHeader, LatentItem, LatentStorage, LatentWriter,
    images_sha256, to_planes,
};
use adadiff_model::autoencoder::Autoencoder;
use adadiff_model::kernels::Kernels;
use adadiff_storage::sha256_file;
use anyhow::{Result, bail, ensure};
use burn::tensor::{Tensor, TensorData};
use clap::Args;
use rayon::prelude::*;

use super::Task;
use super::options::DatasetOptions;
use crate::checkpoint::latents::source_name;
use crate::checkpoint::text_encoder::TextEncoder;
use crate::networks::open_autoencoder;
use crate::presets::{Preset, positive};
use crate::terminal::{STOP, note, samples_bar, say};

/// Options of `prepare`.
#[derive(Debug, Args)]
pub struct PrepareOptions {
    /// Device to compute on: flex, ndarray, wgpu, vulkan or cuda, with an index as in cuda:1
    #[arg(long, value_name = "DEVICE", default_value = "flex")]
    pub device: DeviceName,
    /// The images.
    #[command(flatten)]
    pub dataset: DatasetOptions,
    /// Preset that names the size of the images [default: the program's first]
    #[arg(long, value_name = "PRESET")]
    pub preset: Option<String>,
    /// The weights of Stable Diffusion's autoencoder
    #[arg(long, value_name = "FILE")]
    pub autoencoder: PathBuf,
    /// The weights of CLIP's text model, for captions
    #[arg(long, value_name = "FILE")]
    pub text_model: Option<PathBuf>,
    /// The vocabulary of CLIP's tokenizer, bpe_simple_vocab_16e6.txt.gz or merges.txt
    #[arg(long, value_name = "FILE")]
    pub vocabulary: Option<PathBuf>,
    /// Store 16 bits for each number in place of 32
    #[arg(long)]
    pub half: bool,
    /// Images that are encoded together
    #[arg(long, value_name = "N", value_parser = positive, default_value = "16")]
    pub batch: usize,
    /// Images of a file; what an interruption loses at most
    #[arg(long, value_name = "N", value_parser = positive, default_value = "1024")]
    pub images_per_shard: usize,
    /// Images that may turn out bad; they are named and left out
    #[arg(long, value_name = "N", default_value = "100")]
    pub skip_bad: usize,
    /// Folder to write
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// The networks.
struct Encoders<B: Kernels> {
    autoencoder: Autoencoder<B>,
    text: Option<TextEncoder<B>>,
    mirrored: bool,
    device: B::Device,
}

/// Images that were read together, with the index of the first.
struct Read {
    first: usize,
    images: Vec<Result<Vec<u8>, ImageError>>,
}

impl DeviceTask for Task<'_, PrepareOptions> {
    type Output = Result<()>;

    fn run<B: Kernels>(self, device: B::Device) -> Result<()> {
        let preset = self.experiment.preset(self.options.preset.as_deref())?;
        let Some(latents) = preset.latents else {
            bail!(
                "the preset '{}' trains on pixels, which need no preparation",
                preset.name
            );
        };
        let images = preset.data.open(&self.options.dataset.clone().into())?;
        let encoders = Encoders::<B> {
            autoencoder: open_autoencoder(
                &self.options.autoencoder,
                latents.scale_factor,
                &device,
            )?,
            text: self.text_encoder(&preset, &device)?,
            mirrored: preset.backbone_training.flip,
            device,
        };
        let header = self.header(&preset, &*images, &encoders)?;
        let PrepareOptions {
            out,
            images_per_shard,
            ..
        } = &self.options;
        let mut writer = match LatentWriter::create_or_resume(out, header, *images_per_shard) {
            Err(LatentError::Finished { .. }) => {
                return say!("prepared already: {}", out.display());
            }
            writer => writer?,
        };
        self.encode_all(&*images, &encoders, &mut writer)?;
        let empty = match &encoders.text {
            Some(text) => Some(text.encode(&[""])?.concat()),
            None => None,
        };
        writer.finish(empty.as_deref())?;
        say!("prepared: {}", out.display())
    }
}

impl Task<'_, PrepareOptions> {
    fn text_encoder<B: Kernels>(
        &self,
        preset: &Preset,
        device: &B::Device,
    ) -> Result<Option<TextEncoder<B>>> {
        let Some(expected) = preset.model.backbone.text else {
            return Ok(None);
        };
        let (Some(model), Some(vocabulary)) = (&self.options.text_model, &self.options.vocabulary)
        else {
            bail!(
                "captions are encoded by CLIP's text model: name its weights with --text-model and \
                 its vocabulary, bpe_simple_vocab_16e6.txt.gz or merges.txt, with --vocabulary"
            );
        };
        let encoder = TextEncoder::open(model, vocabulary, device)?;
        ensure!(
            encoder.size() == [expected.tokens, expected.width],
            "{} gives contexts of {:?}, the network takes {:?}",
            model.display(),
            encoder.size(),
            [expected.tokens, expected.width]
        );
        Ok(Some(encoder))
    }

    fn header<B: Kernels>(
        &self,
        preset: &Preset,
        images: &dyn ImageSet,
        encoders: &Encoders<B>,
    ) -> Result<LatentHeader> {
        let storage = if self.options.half {
            LatentStorage::F16
        } else {
            LatentStorage::F32
        };
        let reduction = encoders.autoencoder.reduction();
        let [_, height, width] = images.shape();
        let [channels, latent_height, latent_width] = preset.model.backbone.image_shape();
        ensure!(
            [
                encoders.autoencoder.latent_channels(),
                height / reduction,
                width / reduction
            ] == [channels, latent_height, latent_width],
            "the autoencoder makes latents of {} x {} x {} of these images, the network takes \
             {channels} x {latent_height} x {latent_width}",
            encoders.autoencoder.latent_channels(),
            height / reduction,
            width / reduction
        );
        let text_encoder_sha256 = match (&encoders.text, &self.options.text_model) {
            (Some(_), Some(path)) => Some(sha256_file(path)?),
            _ => None,
        };
        Ok(LatentHeader {
            autoencoder_sha256: sha256_file(&self.options.autoencoder)?,
            text_encoder_sha256,
            source: source_name(preset),
            source_fingerprint: images_sha256(images),
            source_images: images.len(),
            channels,
            height: latent_height,
            width: latent_width,
            mirrored: encoders.mirrored,
            classes: match &encoders.text {
                None => images.classes(),
                Some(_) => None,
            },
            context_shape: encoders.text.as_ref().map(TextEncoder::size),
            moments_storage: storage,
            contexts_storage: storage,
        })
    }

    /// Encodes the images that are left. The next are read while the networks are at work.
    fn encode_all<B: Kernels>(
        &self,
        images: &dyn ImageSet,
        encoders: &Encoders<B>,
        writer: &mut LatentWriter,
    ) -> Result<()> {
        let bar = samples_bar(images.len() as u64).with_prefix("prepare");
        bar.set_position(writer.next_image() as u64);
        bar.reset_eta();
        // Batches start where those of an uninterrupted run do, so that the latents are the same to
        // the last bit on a device whose sums depend on the batch.
        let first = writer.next_image() / self.options.batch * self.options.batch;
        let result = thread::scope(|scope| {
            let (sender, receiver) = sync_channel(1);
            scope.spawn(move || read(images, first, self.options.batch, &sender));
            for read in receiver {
                if STOP.load(Ordering::Relaxed) {
                    bail!(
                        "interrupted; the same command continues after the last whole shard of \
                         {} images",
                        self.options.images_per_shard
                    );
                }
                self.encode(images, read, encoders, writer)?;
                bar.set_position(writer.next_image() as u64);
            }
            Ok(())
        });
        bar.finish_and_clear();
        result
    }

    fn encode<B: Kernels>(
        &self,
        images: &dyn ImageSet,
        read: Read,
        encoders: &Encoders<B>,
        writer: &mut LatentWriter,
    ) -> Result<()> {
        let shape = images.shape();
        let good: Vec<&Vec<u8>> = read.images.iter().flatten().collect();
        let plain = encoders.moments(&good, shape, false)?;
        let mirrored = if encoders.mirrored {
            encoders.moments(&good, shape, true)?
        } else {
            Vec::new()
        };
        let mut next = 0;
        for (offset, image) in read.images.iter().enumerate() {
            let index = read.first + offset;
            let is_done = index < writer.next_image();
            if is_done {
                next += usize::from(image.is_ok());
                continue;
            }
            if let Err(error) = image {
                note!("left out: {} {error}", images.name(index));
                writer.skip(images.name(index), error.to_string())?;
                let skipped = writer.skipped().len();
                ensure!(
                    skipped <= self.options.skip_bad,
                    "{skipped} images cannot be used, where {} may be skipped (--skip-bad)",
                    self.options.skip_bad
                );
                continue;
            }
            let contexts = match &encoders.text {
                Some(text) => text.encode(images.captions(index))?.concat(),
                None => Vec::new(),
            };
            writer.push(LatentItem {
                moments: &plain[next],
                mirrored_moments: mirrored.get(next).map(Vec::as_slice),
                label: match encoders.text {
                    None => images.label(index),
                    Some(_) => None,
                },
                contexts: &contexts,
            })?;
            next += 1;
        }
        Ok(())
    }
}

impl<B: Kernels> Encoders<B> {
    /// The moments of each image.
    fn moments(&self, images: &[&Vec<u8>], shape: [usize; 3], flip: bool) -> Result<Vec<Vec<f32>>> {
        if images.is_empty() {
            return Ok(Vec::new());
        }
        let [channels, height, width] = shape;
        let pixels: Vec<f32> = images
            .iter()
            .flat_map(|bytes| to_planes(bytes, shape, flip))
            .collect();
        let data = TensorData::new(pixels, [images.len(), channels, height, width]);
        let moments = self
            .autoencoder
            .encode_moments(Tensor::from_data(data, &self.device))?;
        let [_, channels, height, width] = moments.dims();
        let values: Vec<f32> = moments.into_data().iter::<f32>().collect();
        let size = channels * height * width;
        Ok(values.chunks(size).map(<[f32]>::to_vec).collect())
    }
}

/// Reads the images from `first` on, `batch` at a time, as long as somebody takes them.
fn read(images: &dyn ImageSet, first: usize, batch: usize, sender: &SyncSender<Read>) {
    for first in (first..images.len()).step_by(batch) {
        let indices = first..images.len().min(first + batch);
        let images = indices
            .into_par_iter()
            .map(|index| images.bytes(index))
            .collect();
        if sender.send(Read { first, images }).is_err() {
            return;
        }
    }
}
