//! One seed gives one network, one prediction and one set of gradients on every device.

use adadiff_backends::{DeviceTask, run_on};
use adadiff_losses::{JointWeights, LossForm, joint_objective};
use adadiff_model::kernels::Kernels;
use adadiff_tests::{
    Draw, Named, Network, announce, assert_all_close, assert_close, devices_under_test, gradients,
    parameters, reference_device, values,
};
use adadiff_uem::AdaDiff;
use anyhow::Result;
use burn::module::Module;
use burn_autodiff::Autodiff;

/// What a device makes of a network and a batch.
struct Computed {
    initial: Named,
    noise: Vec<f32>,
    loss: Vec<f32>,
    gradients: Named,
}

/// Draws a network and computes the joint objective and its gradients.
#[derive(Clone)]
struct Compute {
    network: Network,
    form: LossForm,
    frozen_backbone: bool,
}

impl DeviceTask for Compute {
    type Output = Result<Computed>;

    fn run<B: Kernels>(self, device: B::Device) -> Result<Computed> {
        let network = &self.network;
        let initial: AdaDiff<B> = network.config.init(3, &device)?;
        let mut model = network.lively::<Autodiff<B>>(&device);
        if self.frozen_backbone {
            model.backbone = model.backbone.no_grad();
        }
        let (noisy, condition) = network.inputs::<Autodiff<B>>(3, &device);
        let timesteps = [0.5, 300.0, 999.0];
        let layers = model.layer_predictions(noisy.clone(), &timesteps, &condition)?;
        let noise = Draw::new(5).normal(noisy.dims(), &device);
        let weights = JointWeights {
            uncertainty: 0.7,
            layer_wise: 1.3,
        };
        let loss = joint_objective(
            &layers.uncertainty,
            &layers.noise,
            noise,
            weights,
            self.form,
        )
        .total;
        let prediction = model.backbone.forward(noisy, &timesteps, &condition)?;
        Ok(Computed {
            initial: parameters::<B, _>(&initial),
            noise: values(prediction),
            loss: values(loss.clone()),
            gradients: gradients(loss.mean(), &model),
        })
    }
}

/// Names of the parameters that have a gradient.
fn names(gradients: &Named) -> Vec<&str> {
    gradients.iter().map(|(name, _)| name.as_str()).collect()
}

#[test]
fn one_seed_gives_one_network_prediction_and_gradient_on_every_device() {
    let devices = devices_under_test();
    announce(
        "one_seed_gives_one_network_prediction_and_gradient_on_every_device",
        &devices,
    );
    for network in Network::all(4) {
        for form in [LossForm::Paper, LossForm::Published] {
            let trainable = Compute {
                network: network.clone(),
                form,
                frozen_backbone: false,
            };
            let frozen = Compute {
                frozen_backbone: true,
                ..trainable.clone()
            };
            let expected = run_on(reference_device(), trainable.clone()).unwrap();
            let parameters = expected.initial.len();
            assert_eq!(
                expected.gradients.len(),
                parameters,
                "every parameter is trained"
            );
            for &device in &devices {
                println!("{:?}, {form:?} on {device}", network.kind);
                let found = run_on(device, trainable.clone()).unwrap();
                assert_eq!(found.initial, expected.initial, "initial weights");
                assert_close("noise prediction", &found.noise, &expected.noise, 1e-4);
                assert_close("loss", &found.loss, &expected.loss, 1e-4);
                assert_all_close(&found.gradients, &expected.gradients, 1e-4, 1e-6);

                let found = run_on(device, frozen.clone()).unwrap();
                let of_estimators: Named = expected
                    .gradients
                    .iter()
                    .filter(|(name, _)| name.starts_with("estimators."))
                    .cloned()
                    .collect();
                assert!(!of_estimators.is_empty());
                assert_eq!(names(&found.gradients), names(&of_estimators));
                assert_close("loss", &found.loss, &expected.loss, 1e-4);
                assert_all_close(&found.gradients, &of_estimators, 1e-4, 1e-6);
            }
        }
    }
}
