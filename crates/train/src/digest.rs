//! What tells weights from others.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use sha2::{Digest, Sha256};

use crate::TrainError;

/// The largest number in half precision, in which weights are handed on.
const LARGEST_HALF: f32 = 65_504.0;

/// The SHA-256 of all weights of a network, each of which must be a number.
///
/// # Errors
/// [`TrainError::NotFinite`] names the first parameter that holds something else.
pub(crate) fn weights_sha256<B: Backend, M: Module<B>>(model: &M) -> Result<String, TrainError> {
    sha256_within(model, f32::MAX)
}

/// Checks that half precision can hold all weights of a network.
///
/// # Errors
/// [`TrainError::NotFinite`] names the first parameter for which it cannot.
pub(crate) fn check_half<B: Backend, M: Module<B>>(model: &M) -> Result<(), TrainError> {
    sha256_within(model, LARGEST_HALF).map(|_| ())
}

fn sha256_within<B: Backend, M: Module<B>>(model: &M, largest: f32) -> Result<String, TrainError> {
    let mut visitor = Weights {
        largest,
        path: Vec::new(),
        hash: Sha256::new(),
        failure: None,
    };
    model.visit(&mut visitor);
    match visitor.failure {
        Some(failure) => Err(failure),
        None => Ok(format!("{:x}", visitor.hash.finalize())),
    }
}

struct Weights {
    largest: f32,
    path: Vec<String>,
    hash: Sha256,
    failure: Option<TrainError>,
}

impl<B: Backend> ModuleVisitor<B> for Weights {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        if self.failure.is_some() {
            return;
        }
        let parameter = self.path.join(".");
        match param.val().into_data().convert::<f32>().into_vec::<f32>() {
            Ok(values) if values.iter().all(|value| value.abs() <= self.largest) => {
                self.hash.update(&parameter);
                hash_values(&mut self.hash, &values);
            }
            Ok(_) => self.failure = Some(TrainError::NotFinite { parameter }),
            Err(error) => self.failure = Some(TrainError::device(error)),
        }
    }

    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }
}

fn hash_values(hash: &mut Sha256, values: &[f32]) {
    for values in values.chunks(1024) {
        let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        hash.update(bytes);
    }
}
