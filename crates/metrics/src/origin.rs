//! How features were made.

use crate::MetricsError;

/// How features were made, as far as it is known: statistics of different origins say nothing together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FeatureOrigin {
    /// The way of resizing images, by [`Preprocessing::name`](crate::Preprocessing::name).
    pub mode: Option<String>,
    /// SHA-256 of the network's weights.
    pub weights_sha256: Option<String>,
}

impl FeatureOrigin {
    /// Requires that nothing that is known of both differs.
    ///
    /// # Errors
    /// With what does.
    pub fn ensure_same(&self, other: &Self) -> Result<(), MetricsError> {
        for (what, own, others) in [
            ("the mode", &self.mode, &other.mode),
            (
                "weights of the SHA-256",
                &self.weights_sha256,
                &other.weights_sha256,
            ),
        ] {
            if let (Some(own), Some(others)) = (own, others)
                && own != others
            {
                return Err(MetricsError::Origins {
                    what,
                    first: own.clone(),
                    second: others.clone(),
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_known_of_both_can_differ() {
        let origin = |mode: &str, weights: Option<&str>| FeatureOrigin {
            mode: Some(mode.to_owned()),
            weights_sha256: weights.map(str::to_owned),
        };
        let unknown = FeatureOrigin::default();
        unknown.ensure_same(&origin("clean", Some("a"))).unwrap();
        origin("clean", None)
            .ensure_same(&origin("clean", Some("a")))
            .unwrap();
        let message = |other| {
            origin("clean", Some("a"))
                .ensure_same(&other)
                .unwrap_err()
                .to_string()
        };
        let error = message(origin("tf", Some("a")));
        assert!(error.contains("with the mode clean and tf"), "{error}");
        let error = message(origin("clean", Some("b")));
        assert!(error.contains("weights of the SHA-256 a and"), "{error}");
    }
}
