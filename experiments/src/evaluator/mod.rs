//! What samples are judged by: features, and statistics of the images that they are compared with.

mod bundled;
mod class_accuracy;
mod options;
mod reference;

pub use bundled::{TEST_ACCURACY_KEY, image_statistics, test_images};
pub use class_accuracy::ClassAccuracy;
#[cfg(test)]
pub use options::FeatureName;
pub use options::{EvaluatorOptions, origin_of};
pub use reference::DataSetReference;
