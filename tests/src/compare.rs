//! Values of tensors and modules on the host, and comparisons of them.

use burn::module::{AutodiffModule, Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use burn::tensor::backend::{AutodiffBackend, Backend};

/// Values by the name of what holds them.
pub type Named = Vec<(String, Vec<f32>)>;

/// A tensor's values in row-major order.
///
/// # Panics
/// Where the device does not give them back.
pub fn values<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> Vec<f32> {
    tensor
        .into_data()
        .convert::<f32>()
        .into_vec()
        .expect("a tensor can be read back")
}

/// Asserts that two lists of values differ by at most `tolerance` anywhere.
///
/// # Panics
/// Where they do not, with the worst difference.
#[track_caller]
pub fn assert_close(what: &str, found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(found.len(), expected.len(), "{what}: number of values");
    for (index, (a, b)) in found.iter().zip(expected).enumerate() {
        // Written so that a value that is not a number fails.
        let close = (a - b).abs() <= tolerance;
        assert!(
            close,
            "{what}: value {index} is {a}, expected {b} within {tolerance}"
        );
    }
}

/// Asserts that the same things have the same values, each within `relative` of its largest value
/// plus `absolute`.
///
/// # Panics
/// Where they do not, with the name of the first that differs.
#[track_caller]
pub fn assert_all_close(found: &Named, expected: &Named, relative: f32, absolute: f32) {
    let names = |named: &Named| {
        named
            .iter()
            .map(|(name, _)| name.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(found), names(expected));
    for ((name, found), (_, expected)) in found.iter().zip(expected) {
        let largest = expected
            .iter()
            .fold(0.0, |largest: f32, value| largest.max(value.abs()));
        assert_close(name, found, expected, relative * largest + absolute);
    }
}

/// The values of every parameter of a module.
pub fn parameters<B: Backend, M: Module<B>>(module: &M) -> Named {
    let mut parameters = Parameters::default();
    <M as Module<B>>::visit(module, &mut parameters);
    parameters.values
}

#[derive(Default)]
struct Parameters {
    path: Vec<String>,
    values: Named,
}

impl<B: Backend> ModuleVisitor<B> for Parameters {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        self.values.push((self.path.join("."), values(param.val())));
    }

    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }
}

/// The gradients of `loss` with respect to every parameter of a module that has one.
pub fn gradients<B: AutodiffBackend, M: AutodiffModule<B>>(
    loss: Tensor<B, 1>,
    module: &M,
) -> Named {
    let gradients = GradientsParams::from_grads(loss.backward(), module);
    let mut visitor = Gradients {
        gradients,
        path: Vec::new(),
        values: Vec::new(),
    };
    module.visit(&mut visitor);
    visitor.values
}

struct Gradients {
    gradients: GradientsParams,
    path: Vec<String>,
    values: Named,
}

impl<B: AutodiffBackend> ModuleVisitor<B> for Gradients {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        if let Some(gradient) = self.gradients.get::<B::InnerBackend, D>(param.id) {
            self.values.push((self.path.join("."), values(gradient)));
        }
    }

    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }
}
