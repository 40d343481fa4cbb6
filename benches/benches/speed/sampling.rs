//! From noise to images: the solvers, and the adaptive network at its calibrated budgets.

use std::hint::black_box;
use std::ops::ControlFlow;

use adadiff_backends::{DeviceName, DeviceTask};
use adadiff_experiments::{Checkpoint, Preset};
use adadiff_model::kernels::Kernels;
use adadiff_model::{Condition, Denoiser};
use adadiff_sampler::{
    Ddim, DpmSolverPlusPlus, EulerMaruyama, NoiseSource, ReverseProcess, SampleRequest, Sampler,
    Solver, VpLinear,
};
use adadiff_uem::AdaptiveUVit;
use anyhow::{Result, bail};
use burn::tensor::{Tensor, TensorData};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput};

use crate::setting::wait;

const IMAGES: usize = 16;

pub struct SamplingBench<'a> {
    pub device: DeviceName,
    pub criterion: &'a mut Criterion,
}

/// A group of measurements that sample the same images.
struct Measured<'a, B: Kernels> {
    group: BenchmarkGroup<'a, WallTime>,
    steps: usize,
    request: SampleRequest<B>,
}

impl<B: Kernels> Measured<'_, B> {
    fn measure(
        &mut self,
        name: &str,
        solver: impl Solver<B> + 'static,
        denoiser: &dyn Denoiser<B>,
    ) -> Result<()> {
        let sampler = Sampler {
            schedule: Box::new(VpLinear::default()),
            solver: Box::new(solver),
            steps: self.steps,
        };
        let request = &self.request;
        let sample = || sampler.sample(denoiser, request, &mut |_| ControlFlow::Continue(()));
        // What the loop measures is known to work.
        sample()?;
        let name = format!("{name}, {} steps, {IMAGES} images", self.steps);
        self.group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let _ = black_box(sample());
                wait::<B>(&request.device);
            });
        });
        Ok(())
    }
}

/// A request for images of all classes.
fn request<B: Kernels>(preset: &Preset, device: &B::Device) -> Result<SampleRequest<B>> {
    let backbone = &preset.model.backbone;
    let Some(classes) = backbone.classes else {
        bail!("the bundled network has no classes");
    };
    let labels: Vec<i64> = (0..IMAGES).map(|image| (image % classes) as i64).collect();
    let labels = TensorData::new(labels, [IMAGES]);
    Ok(SampleRequest {
        shape: backbone.image_shape(),
        noise: NoiseSource::seeded(0),
        first_sample: 0,
        count: IMAGES,
        batch: IMAGES,
        condition: Condition::Class(Tensor::from_data(labels, device)),
        device: device.clone(),
    })
}

impl DeviceTask for SamplingBench<'_> {
    type Output = Result<()>;

    fn run<B: Kernels>(self, device: B::Device) -> Result<()> {
        let checkpoint = Checkpoint::bundled()?;
        let model = checkpoint.model::<B>(&device)?;
        let name = format!("sampling/{}", self.device);
        let mut group = self.criterion.benchmark_group(name);
        group.sample_size(10);
        group.throughput(Throughput::Elements(IMAGES as u64));
        let mut measured = Measured {
            group,
            steps: checkpoint.preset.sampling.steps,
            request: request(&checkpoint.preset, &device)?,
        };

        let full = &model.backbone;
        let sde = EulerMaruyama::new(ReverseProcess::Sde);
        measured.measure("DDIM", Ddim::default(), full)?;
        measured.measure("Euler-Maruyama", sde, full)?;
        measured.measure("DPM-Solver++(2M)", DpmSolverPlusPlus::default(), full)?;
        let rule = checkpoint.preset.sampling.exit_rule;
        for entry in checkpoint.calibrations.entries() {
            let calibration = &entry.calibration;
            let key = calibration.key();
            if (key.exit_rule, key.steps) != (rule, measured.steps) {
                continue;
            }
            let adaptive = AdaptiveUVit::new(&model, calibration.policy());
            let name = format!("AdaDiff, {:.0} % fewer blocks", 100.0 * key.reduction);
            measured.measure(&name, DpmSolverPlusPlus::default(), &adaptive)?;
        }
        measured.group.finish();
        Ok(())
    }
}
