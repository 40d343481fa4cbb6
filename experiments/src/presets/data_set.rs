//! Which images a preset is about.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::terminal::note;
use adadiff_data::{
    CelebA, CelebAPartition, Coco, FashionMnist, Framing, ImageFolder, ImageSet, Split, cifar10,
    fashion_mnist, locate, open_cifar10, open_image_net,
};
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

/// A data set and how its images become squares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "set", rename_all = "snake_case", deny_unknown_fields)]
pub enum DataSet {
    /// Fashion-MNIST, padded to 32 x 32.
    #[default]
    FashionMnist,
    /// CIFAR-10.
    #[serde(rename = "cifar10")]
    Cifar10,
    /// CelebA's faces.
    #[serde(rename = "celeba")]
    CelebA {
        /// Side of the squares in pixels.
        side: u32,
    },
    /// ImageNet with its 1000 classes.
    #[serde(rename = "imagenet")]
    ImageNet {
        /// Side of the squares in pixels.
        side: u32,
    },
    /// MS-COCO with its captions.
    Coco {
        /// Side of the squares in pixels.
        side: u32,
    },
    /// Any folder of images.
    Folder {
        /// Whether each sub-folder is a class.
        labelled: bool,
        /// How images become squares.
        framing: Framing,
        /// Side of the squares in pixels.
        side: u32,
    },
}

/// Where a data set lies, as the command line names it.
#[derive(Clone, Debug, Default)]
pub struct DatasetPath {
    /// The folder or archive.
    pub data: Option<PathBuf>,
    /// The file of captions, for MS-COCO.
    pub captions: Option<PathBuf>,
}

/// Says what lies beside the images of a folder.
fn opened(path: &Path, images: ImageFolder) -> Arc<dyn ImageSet> {
    if !images.left_out().is_empty() {
        note!(
            "note: of {} {} images are taken and left out: {}",
            path.display(),
            images.len(),
            images.left_out()
        );
    }
    Arc::new(images)
}

impl DataSet {
    /// What it is called in a title.
    pub fn title(self) -> &'static str {
        match self {
            Self::FashionMnist => "Fashion-MNIST",
            Self::Cifar10 => "CIFAR-10",
            Self::CelebA { .. } => "CelebA",
            Self::ImageNet { .. } => "ImageNet",
            Self::Coco { .. } => "MS-COCO",
            Self::Folder { .. } => "a folder of images",
        }
    }

    /// What its classes are called; nothing where only numbers tell them apart, or it has none.
    pub fn class_names(self) -> &'static [&'static str] {
        match self {
            Self::FashionMnist => &fashion_mnist::CLASS_NAMES,
            Self::Cifar10 => &cifar10::CLASS_NAMES,
            _ => &[],
        }
    }

    /// Channels, height and width of every image.
    pub fn shape(self) -> [usize; 3] {
        match self {
            Self::FashionMnist => [1, fashion_mnist::SIDE, fashion_mnist::SIDE],
            Self::Cifar10 => [3, 32, 32],
            Self::CelebA { side }
            | Self::ImageNet { side }
            | Self::Coco { side }
            | Self::Folder { side, .. } => [3, side as usize, side as usize],
        }
    }

    /// Opens the training images.
    ///
    /// # Errors
    /// Where no place was named, or the files there are not the data set's.
    pub fn open(self, dataset: &DatasetPath) -> Result<Arc<dyn ImageSet>> {
        self.open_split(dataset, Split::Train)
    }

    /// Opens the training images or, for data sets that come with some, the test images.
    ///
    /// # Errors
    /// As [`Self::open`], and where there are no test images.
    pub fn open_split(self, dataset: &DatasetPath, split: Split) -> Result<Arc<dyn ImageSet>> {
        if let Self::FashionMnist = self {
            let folder = locate(dataset.data.as_deref())?;
            return Ok(Arc::new(FashionMnist::load(&folder, split)?));
        }
        let data = self.path_of(dataset.data.as_deref())?;
        let partition = match split {
            Split::Train => CelebAPartition::Train,
            Split::Test => CelebAPartition::Test,
        };
        Ok(match self {
            Self::FashionMnist | Self::Cifar10 => open_cifar10(data, split)?,
            Self::CelebA { side } => Arc::new(CelebA::open(data, partition, side)?),
            _ if split == Split::Test => bail!(
                "the test images of {} are not told from others: name those to take with --data",
                self.title()
            ),
            Self::ImageNet { side } => Arc::new(open_image_net(data, side)?),
            Self::Coco { side } => {
                let captions = dataset.captions.as_deref().context(
                    "name the file of captions with --captions, for example \
                     annotations/captions_train2014.json",
                )?;
                Arc::new(Coco::open(data, captions, side)?)
            }
            Self::Folder {
                labelled: true,
                framing,
                side,
            } => opened(data, ImageFolder::labelled(data, framing, side)?),
            Self::Folder { framing, side, .. } => {
                opened(data, ImageFolder::unlabelled(data, framing, side)?)
            }
        })
    }

    /// The folder or archive that was named.
    ///
    /// # Errors
    /// Where none was.
    pub fn path_of(self, data: Option<&Path>) -> Result<&Path> {
        match data {
            Some(data) => Ok(data),
            None => bail!(
                "name {} with --data",
                match self {
                    Self::FashionMnist => "the folder of Fashion-MNIST's four files",
                    Self::Cifar10 =>
                        "CIFAR-10, as the archive cifar-10-binary.tar.gz or \
                         cifar-10-python.tar.gz, the folder that it holds, or a folder with train \
                         and test in it, each with a folder of PNG or JPEG images for each class,",
                    Self::CelebA { .. } =>
                        "the folder that holds CelebA's img_align_celeba and \
                         list_eval_partition.txt",
                    Self::ImageNet { .. } => "ImageNet's folder of 1000 synsets",
                    Self::Coco { .. } =>
                        "MS-COCO's images, for example train2014 or train2014.zip,",
                    Self::Folder { .. } => "the folder of images",
                }
            ),
        }
    }
}
