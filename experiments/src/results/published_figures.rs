//! Figures that others published, each with its source; they are never mixed with measured ones.

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedFigures {
    pub figure: String,
    /// Where it was published, and how it was measured.
    pub source: String,
}

/// FID of 50,000 samples of full U-ViTs (30,000 for MS-COCO), as its paper has them.
const FULL: [(&str, &str, &str); 4] = [
    ("cifar10", "3.11", "U-ViT-S/2, 50,000 samples"),
    ("celeba64", "2.87", "U-ViT-S/4, 50,000 samples"),
    ("imagenet256-l2", "3.40", "U-ViT-L/2, 50,000 samples"),
    ("coco256-s2", "5.95", "U-ViT-S/2, 30,000 samples"),
];

impl PublishedFigures {
    /// What was published of the full network of a preset.
    pub fn full(preset: &str) -> Option<Self> {
        let (_, figure, how) = FULL.iter().find(|(name, ..)| *name == preset)?;
        Some(Self {
            figure: format!("FID {figure}"),
            source: format!(
                "Bao et al., All are Worth Words: A ViT Backbone for Diffusion Models, CVPR 2023, \
                 and its repository baofff/U-ViT: {how}"
            ),
        })
    }

    /// What was published of AdaDiff on a preset's data set.
    pub fn adadiff(preset: &str) -> Option<Self> {
        Self::full(preset).map(|_| Self::adadiff_summary())
    }

    /// What AdaDiff's paper says of itself in summary.
    pub fn adadiff_summary() -> Self {
        Self {
            figure: "40 to 48 % fewer layers".to_owned(),
            source:
                "Tang et al., AdaDiff: Accelerating Diffusion Models through Step-Wise Adaptive \
                     Computation, ECCV 2024, arXiv 2309.17074: its summary"
                    .to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_networks_that_were_published_have_published_figures() {
        let figure = |preset| PublishedFigures::full(preset).map(|published| published.figure);
        assert_eq!(figure("cifar10").as_deref(), Some("FID 3.11"));
        assert_eq!(figure("coco256-s2").as_deref(), Some("FID 5.95"));
        for preset in ["fashion_mnist", "cifar10-tiny", "imagenet256-h2"] {
            assert_eq!(figure(preset), None);
            assert_eq!(PublishedFigures::adadiff(preset), None);
        }
    }
}
