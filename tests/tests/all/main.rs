//! Tests that cross crates; those of tensor code run on every device that was compiled in.

mod baselines;
mod bundled;
mod caches;
mod devices;
mod documents;
mod exits;
mod forecasts;
mod kernels;
mod no_estimators;
mod plain;

#[cfg(feature = "flex")]
mod checkpoints;
#[cfg(feature = "flex")]
mod killed;
#[cfg(feature = "flex")]
mod learning;
#[cfg(feature = "flex")]
mod resume;
#[cfg(feature = "flex")]
mod training;
#[cfg(feature = "flex")]
mod weights;
