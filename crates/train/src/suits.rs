//! Whether a data set suits a network.

use adadiff_data::{Conditioning, TrainingSet};
use adadiff_model::UVitConfig;

use crate::TrainError;

/// Checks that the network takes what the data set gives.
pub(crate) fn check_suits(
    network: &UVitConfig,
    label_dropout: f64,
    set: &dyn TrainingSet,
) -> Result<(), TrainError> {
    let refuse = |message: String| Err(TrainError::Config(message));
    let (expected, found) = (network.image_shape(), set.shape());
    if expected != found {
        return refuse(format!(
            "the network takes images of {expected:?}, the data set has {found:?}"
        ));
    }
    if set.len() == 0 {
        return refuse("the data set is empty".to_owned());
    }
    let conditioning = set.conditioning();
    match (network.classes, network.text, conditioning) {
        (None, None, Conditioning::None | Conditioning::Class { .. }) => Ok(()),
        (None, Some(text), Conditioning::Text { tokens, width })
            if (text.tokens, text.width) == (tokens, width) =>
        {
            match set.empty_context() {
                None if label_dropout > 0.0 => refuse(
                    "captions cannot be dropped: the data set lacks the context of the empty \
                     prompt"
                        .to_owned(),
                ),
                _ => Ok(()),
            }
        }
        (Some(labels), None, Conditioning::Class { classes }) => match label_dropout > 0.0 {
            true if labels <= classes => refuse(format!(
                "labels cannot be dropped: the network has {labels} labels for {classes} classes, \
                 and none for \"no class\""
            )),
            false if labels < classes => refuse(format!(
                "the network has {labels} labels, the data set {classes} classes"
            )),
            _ => Ok(()),
        },
        (classes, text, _) => refuse(format!(
            "the network is conditioned on {}, the data set's images on {}",
            match (classes, text) {
                (Some(classes), _) => format!("{classes} labels"),
                (_, Some(text)) => format!("{} tokens of {} values", text.tokens, text.width),
                _ => "nothing".to_owned(),
            },
            match conditioning {
                Conditioning::None => "nothing".to_owned(),
                Conditioning::Class { classes } => format!("{classes} classes"),
                Conditioning::Text { tokens, width } =>
                    format!("{tokens} tokens of {width} values"),
            }
        )),
    }
}
