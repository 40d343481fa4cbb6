//! Published AdaDiff weights: a U-ViT with its estimators, `lte_classifer` in the published code.

use adadiff_model::kernels::Kernels;
use adadiff_model::{ImportError, ImportHints, ModelError, UVitConfig};
use adadiff_weights::{Placements, WeightFile};

use crate::{AdaDiff, AdaDiffConfig, EstimatorForm};

impl AdaDiffConfig {
    /// Tells the configuration from the tensors of a file.
    ///
    /// # Errors
    /// As [`UVitConfig::infer`].
    pub fn infer(file: &WeightFile, hints: ImportHints) -> Result<Self, ImportError> {
        let file = &*file.network(UVitConfig::LANDMARK)?;
        let mut backbone = UVitConfig::infer(file, hints)?;
        // The published list of estimators has one more than the depth, so that the last is in no
        // use where the depth is odd.
        let odd = UVitConfig {
            depth: backbone.blocks(),
            ..backbone.clone()
        };
        if file
            .shape(&format!("lte_classifer.{}.lte.weight", backbone.blocks()))
            .is_some()
        {
            backbone = odd;
        }
        Ok(Self {
            estimator: EstimatorForm::Tokens,
            ..Self::new(backbone)
        })
    }

    /// Builds the network and loads the weights of a file into it.
    ///
    /// The published estimators give the certainty `sigmoid(W h + b)`; ours give the uncertainty, one
    /// minus that, which is `sigmoid(-W h - b)`: `W` and `b` change their sign.
    ///
    /// # Errors
    /// Where the file does not hold exactly the tensors that the configuration needs, the
    /// configuration describes no network, or its estimators are not those of the published code,
    /// [`EstimatorForm::Tokens`].
    pub fn import<B: Kernels>(
        &self,
        file: &WeightFile,
        device: &B::Device,
    ) -> Result<AdaDiff<B>, ImportError> {
        let published = Self {
            estimator: EstimatorForm::Tokens,
            ..Self::new(self.backbone.clone())
        };
        if *self != published {
            return Err(ImportError::Unpublished(
                "published weights have an estimator of the whole map for every block that sees the \
                 tokens alone, and one decoder; import them with `estimator = \"tokens\"` and \
                 without `uncertainty`, `shared_estimator` and `heads`"
                    .into(),
            ));
        }
        let file = file.network(UVitConfig::LANDMARK)?;
        let placed = file.place(self.placements()?)?;
        Ok(placed.load_into::<B, _>(self.init(0, device)?)?)
    }

    /// The published tensors of such a network and their places in [`AdaDiff`], with estimators of
    /// the form [`EstimatorForm::Tokens`].
    ///
    /// # Errors
    /// Where the configuration describes no network.
    pub fn placements(&self) -> Result<Placements, ModelError> {
        let mut list = self.backbone.placements()?.within("backbone");
        let sizes = [self.backbone.width, self.backbone.patch_values()];
        let mut estimators = Placements::default();
        for block in 0..self.backbone.blocks() {
            let published = format!("lte_classifer.{block}.lte");
            estimators.linear(
                &published,
                &format!("estimators.{block}.tokens"),
                sizes,
                true,
            );
        }
        list.negated(estimators);
        if self.backbone.depth == self.backbone.blocks() {
            list.unused_linear(&format!("lte_classifer.{}.lte", self.backbone.depth), sizes);
        }
        Ok(list)
    }
}
