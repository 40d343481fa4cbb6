//! The programs, one for each data set.

use anyhow::{Result, bail};

use crate::presets::{Preset, variant_names};

/// The program of a data set.
#[derive(Clone, Copy, Debug)]
pub struct Experiment {
    /// The program's name.
    pub name: &'static str,
    pub about: &'static str,
    /// Its presets by name, the default first.
    presets: &'static [(&'static str, &'static str)],
    /// Whether a trained checkpoint comes with the program.
    pub bundled: bool,
}

macro_rules! presets {
    ($($name:literal),+) => {
        &[$(($name, include_str!(concat!("../../presets/", $name, ".toml")))),+]
    };
}

/// Fashion-MNIST, with a trained checkpoint.
pub const FASHION_MNIST: Experiment = Experiment {
    name: "fashion_mnist",
    about: "AdaDiff on Fashion-MNIST: without a command, compares the full network, static depths \
            and AdaDiff on the same samples and writes tables, pictures and a report",
    presets: presets!("fashion_mnist"),
    bundled: true,
};

/// CIFAR-10.
pub const CIFAR10: Experiment = Experiment {
    name: "cifar10",
    about: "AdaDiff on CIFAR-10, from the official archive to the paper's table; without a \
            command, compares the full network, static depths and AdaDiff",
    presets: presets!("cifar10", "cifar10-small", "cifar10-tiny"),
    bundled: false,
};

pub const CELEBA: Experiment = Experiment {
    name: "celeba",
    about: "AdaDiff on CelebA's faces of 64 x 64, from the official files to the paper's table; \
            without a command, compares the full network, static depths and AdaDiff",
    presets: presets!("celeba64", "celeba-tiny"),
    bundled: false,
};

pub const IMAGENET: Experiment = Experiment {
    name: "imagenet",
    about: "AdaDiff on ImageNet by class, on latents or pixels, from the official files to the \
            paper's table; without a command, compares the full network, static depths and AdaDiff",
    presets: presets!(
        "imagenet256-l2",
        "imagenet256-h2",
        "imagenet512-l4",
        "imagenet512-h4",
        "imagenet64-m4",
        "imagenet64-l4",
        "imagenet-tiny"
    ),
    bundled: false,
};

pub const COCO: Experiment = Experiment {
    name: "coco",
    about: "AdaDiff on MS-COCO, text to image on latents, from the official files to the paper's \
            table; without a command, compares the full network, static depths and AdaDiff",
    presets: presets!("coco256-s2", "coco256-s2-deep", "coco-tiny"),
    bundled: false,
};

/// One's own images.
pub const FOLDER: Experiment = Experiment {
    name: "folder",
    about: "AdaDiff on any folder of images; without a command, compares the full network, static \
            depths and AdaDiff",
    presets: presets!("folder64", "folder-tiny"),
    bundled: false,
};

/// Any data set: what programs know that show any network.
pub const ANY: Experiment = Experiment {
    name: "any",
    about: "Any data set",
    presets: presets!(
        "fashion_mnist",
        "cifar10",
        "cifar10-small",
        "cifar10-tiny",
        "celeba64",
        "celeba-tiny",
        "imagenet256-l2",
        "imagenet256-h2",
        "imagenet512-l4",
        "imagenet512-h4",
        "imagenet64-m4",
        "imagenet64-l4",
        "imagenet-tiny",
        "coco256-s2",
        "coco256-s2-deep",
        "coco-tiny",
        "folder64",
        "folder-tiny"
    ),
    bundled: true,
};

impl Experiment {
    /// The names of the presets, the default first.
    pub fn preset_names(&self) -> impl Iterator<Item = &'static str> {
        self.presets.iter().map(|(name, _)| *name)
    }

    /// All presets, the default first.
    ///
    /// # Errors
    /// Never, unless a file in the repository was broken.
    pub fn presets(&self) -> Result<Vec<Preset>> {
        let presets = self.presets.iter();
        presets.map(|(_, text)| Preset::parse(text)).collect()
    }

    /// A preset by name or from a file, or a variant of one as `PRESET-VARIANT`; the default where
    /// there is no name.
    ///
    /// # Errors
    /// Where there is no such preset, or the file is not usable.
    pub fn preset(&self, name: Option<&str>) -> Result<Preset> {
        let name = name.unwrap_or(self.presets[0].0);
        if let Some((_, text)) = self.presets.iter().find(|(known, _)| *known == name) {
            return Preset::parse(text);
        }
        for (known, text) in self.presets {
            let variant = name
                .strip_prefix(known)
                .and_then(|rest| rest.strip_prefix('-'));
            if let Some(variant) = variant
                && let Some(preset) = Preset::parse(text)?.variant(variant)?
            {
                return Ok(preset);
            }
        }
        let is_file = name.ends_with(".toml") || std::path::Path::new(name).exists();
        if !is_file {
            let known: Vec<_> = self.preset_names().collect();
            bail!(
                "there is no preset '{name}': name one of {}, one of them with a variant ({}) as in \
                 {}-{}, or a file ending in .toml",
                known.join(", "),
                variant_names().collect::<Vec<_>>().join(", "),
                known[0],
                variant_names().next().unwrap_or_default(),
            );
        }
        Preset::read(std::path::Path::new(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use adadiff_train::Objective;

    #[test]
    fn every_preset_has_every_variant() {
        for experiment in ALL {
            for name in experiment.preset_names() {
                for variant in variant_names() {
                    let name = format!("{name}-{variant}");
                    assert_eq!(experiment.preset(Some(&name)).unwrap().name, name);
                }
            }
        }
    }

    const ALL: [Experiment; 6] = [FASHION_MNIST, CIFAR10, CELEBA, IMAGENET, COCO, FOLDER];

    #[test]
    fn programs_of_any_data_set_know_every_preset() {
        let all = ALL.iter().flat_map(Experiment::preset_names);
        assert!(all.eq(ANY.preset_names()));
    }

    #[test]
    fn every_preset_is_usable_and_named_after_its_file() {
        for experiment in ALL {
            for name in experiment.preset_names() {
                let preset = experiment.preset(Some(name)).unwrap();
                assert_eq!(preset.name, name);
                assert_eq!(preset.backbone_training.objective, Objective::Simple);
                let text = preset.to_toml().unwrap();
                assert_eq!(Preset::parse(&text).unwrap(), preset, "{text}");
            }
        }
    }

    #[test]
    fn published_networks_have_their_published_sizes() {
        // Counted in the published repositories: millions of parameters of the backbone.
        for (experiment, name, millions) in [
            (CIFAR10, "cifar10", 44),
            (CELEBA, "celeba64", 44),
            (IMAGENET, "imagenet64-m4", 131),
            (IMAGENET, "imagenet64-l4", 287),
            (IMAGENET, "imagenet256-l2", 287),
            (IMAGENET, "imagenet256-h2", 501),
            (COCO, "coco256-s2", 45),
            (COCO, "coco256-s2-deep", 58),
        ] {
            let preset = experiment.preset(Some(name)).unwrap();
            let parameters = preset.model.backbone.parameters().unwrap();
            assert_eq!((parameters as f64 / 1e6).round() as u64, millions, "{name}");
        }
    }

    #[test]
    fn an_unknown_preset_is_told_from_a_missing_file() {
        let error = CIFAR10.preset(Some("cifar100")).unwrap_err().to_string();
        assert!(
            error.contains("cifar10, cifar10-small, cifar10-tiny"),
            "{error}"
        );
        let error = CIFAR10.preset(Some("mine.toml")).unwrap_err().to_string();
        assert!(error.contains("cannot read"), "{error}");
    }
}
