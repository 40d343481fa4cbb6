//! What tells weights and data sets from others.

use adadiff_data::{Conditioning, Label, TrainingSet, Visit};
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use sha2::{Digest, Sha256};

use crate::TrainError;

/// The most examples whose values are read to tell a data set from another: all of a small set.
const READ_EXAMPLES: usize = 256;

/// The SHA-256 of all weights of a network, each of which must be a number.
///
/// # Errors
/// [`TrainError::NotFinite`] names the first parameter that holds something else.
pub(crate) fn weights_sha256<B: Backend, M: Module<B>>(model: &M) -> Result<String, TrainError> {
    let mut visitor = Weights {
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
            Ok(values) if values.iter().all(|value| value.is_finite()) => {
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

/// The SHA-256 of a data set: its size and shape, the names of all examples, and the values and
/// labels of at most 256 of them, spread evenly.
pub(crate) fn data_sha256(set: &dyn TrainingSet) -> String {
    let mut hash = Sha256::new();
    let shape = set.shape();
    let mut number = |number: usize| hash.update((number as u64).to_le_bytes());
    number(set.len());
    shape.into_iter().for_each(&mut number);
    match set.conditioning() {
        Conditioning::None => number(0),
        Conditioning::Class { classes } => number(classes),
        Conditioning::Text { tokens, width } => [tokens, width].into_iter().for_each(&mut number),
    }
    for index in 0..set.len() {
        hash.update(set.name(index));
        hash.update([0]);
    }
    if let Some(context) = set.empty_context() {
        hash_values(&mut hash, context);
    }
    let mut values = vec![0.0; shape.iter().product()];
    let visit = Visit {
        flip: false,
        seed: 0,
        position: 0,
    };
    let read = set.len().min(READ_EXAMPLES);
    for index in (0..read).map(|place| place * set.len() / read) {
        match set.read(index, visit, &mut values) {
            Ok(label) => {
                hash_values(&mut hash, &values);
                match label {
                    Label::None => {}
                    Label::Class(class) => hash.update((class as u64).to_le_bytes()),
                    Label::Context(context) => hash_values(&mut hash, &context),
                }
            }
            // A training may leave bad images out.
            Err(_) => hash.update(b"bad"),
        }
    }
    format!("{:x}", hash.finalize())
}

fn hash_values(hash: &mut Sha256, values: &[f32]) {
    for values in values.chunks(1024) {
        let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        hash.update(bytes);
    }
}
