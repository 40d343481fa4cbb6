//! Where the weights of networks are that were trained otherwise, and how to train those that are not
//! there.

use std::path::{Path, PathBuf};

use super::plan::BACKBONE;
use crate::checkpoint::BaselineNetwork;
use crate::presets::Preset;

/// Where the bundled checkpoint lies, seen from the repository's root.
const BUNDLED: &str = "experiments/assets/fashion_mnist/weights.safetensors";

#[derive(Clone, Debug)]
pub struct Variants {
    /// The program's name, for the command that trains a variant.
    pub program: &'static str,
    /// The checkpoint itself, if it is not the bundled one.
    pub checkpoint: Option<PathBuf>,
    pub folder: PathBuf,
    /// Files that were named, by variant.
    pub files: Vec<(String, PathBuf)>,
}

impl Variants {
    /// The weights of a variant.
    ///
    /// # Errors
    /// A sentence that says what is missing and which command makes it.
    pub fn find(&self, variant: &str, preset: &Preset) -> Result<PathBuf, String> {
        let places = self.places(variant);
        match places.iter().find(|path| path.exists()) {
            Some(path) => Ok(path.clone()),
            None => {
                let missing = places.last().map_or(Path::new(variant), PathBuf::as_path);
                Err(format!(
                    "not measured: checkpoint {} missing, train it with `{}`",
                    missing.display(),
                    self.command(variant, preset)
                ))
            }
        }
    }

    /// The places of a variant, the one that its command writes last.
    fn places(&self, variant: &str) -> Vec<PathBuf> {
        let named = self.files.iter().filter(|(name, _)| name == variant);
        let mut places: Vec<PathBuf> = named.map(|(_, path)| path.clone()).collect();
        if !places.is_empty() {
            return places;
        }
        let phase = if is_first_phase(variant) {
            "backbone"
        } else {
            "joint"
        };
        if variant == BACKBONE {
            places.extend(self.first_phase());
        }
        places.push(self.folder.join(format!("{variant}.safetensors")));
        places.push(
            self.folder
                .join(variant)
                .join(phase)
                .join("weights.safetensors"),
        );
        places
    }

    /// The first phase of the training that led to the checkpoint.
    fn first_phase(&self) -> Option<PathBuf> {
        let run = self.checkpoint.as_deref()?.parent()?.parent()?;
        Some(run.join("backbone/weights.safetensors"))
    }

    fn command(&self, variant: &str, preset: &Preset) -> String {
        let out = self.folder.join(variant);
        let preset = match variant {
            BACKBONE => preset.name.clone(),
            variant => format!("{}-{variant}", preset.name),
        };
        let from = if is_first_phase(variant) {
            " --backbone-only".to_owned()
        } else if variant == BaselineNetwork::LearnedExit.variant() {
            // It learns the exits of the network as it is.
            let weights = self.checkpoint.as_deref().unwrap_or(Path::new(BUNDLED));
            format!(" --backbone {}", weights.display())
        } else {
            // Networks that differ in the second phase alone are compared from the same first one.
            match self.first_phase().filter(|path| path.exists()) {
                Some(path) => format!(" --backbone {}", path.display()),
                None => String::new(),
            }
        };
        format!(
            "{} train --preset {preset}{from} --out {}",
            self.program,
            out.display()
        )
    }
}

/// Whether a variant ends with the first phase of training.
fn is_first_phase(variant: &str) -> bool {
    variant == BACKBONE || variant == BaselineNetwork::Shallow.variant()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_variant_comes_with_its_command() {
        let folder = tempfile::tempdir().unwrap();
        let variants = Variants {
            program: "cifar10",
            checkpoint: None,
            folder: folder.path().to_owned(),
            files: vec![("no-timestep".to_owned(), "named.safetensors".into())],
        };
        let preset = Preset::fashion_mnist().unwrap();
        let missing = variants.find("no-ual", &preset).unwrap_err();
        let out = folder.path().join("no-ual");
        assert_eq!(
            missing,
            format!(
                "not measured: checkpoint {0}/joint/weights.safetensors missing, train it with \
                 `cifar10 train --preset fashion_mnist-no-ual --out {0}`",
                out.display()
            )
        );
        let missing = variants.find("no-timestep", &preset).unwrap_err();
        assert!(
            missing.contains("checkpoint named.safetensors missing"),
            "{missing}"
        );

        std::fs::create_dir_all(out.join("joint")).unwrap();
        std::fs::write(out.join("joint/weights.safetensors"), "").unwrap();
        let found = variants.find("no-ual", &preset).unwrap();
        assert_eq!(found, out.join("joint/weights.safetensors"));
    }

    #[test]
    fn the_first_phase_lies_beside_the_second() {
        let run = tempfile::tempdir().unwrap();
        for phase in ["backbone", "joint"] {
            std::fs::create_dir(run.path().join(phase)).unwrap();
        }
        let weights = run.path().join("backbone/weights.safetensors");
        std::fs::write(&weights, "").unwrap();
        let variants = Variants {
            program: "cifar10",
            checkpoint: Some(run.path().join("joint/weights.safetensors")),
            folder: "variants".into(),
            files: Vec::new(),
        };
        let preset = Preset::fashion_mnist().unwrap();
        assert_eq!(variants.find(BACKBONE, &preset).unwrap(), weights);
        let missing = variants.find("no-ual", &preset).unwrap_err();
        let from = format!(
            "--preset fashion_mnist-no-ual --backbone {} --out",
            weights.display()
        );
        assert!(missing.contains(&from), "{missing}");
    }
}
