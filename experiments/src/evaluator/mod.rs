//! What samples are judged by: features, and statistics of the images that they are compared with.

mod fashion_mnist;
mod options;
mod reference;

pub use fashion_mnist::{image_statistics, test_images};
#[cfg(test)]
pub use options::FeatureName;
pub use options::{EvaluatorOptions, origin_of};
pub use reference::DataSetReference;
