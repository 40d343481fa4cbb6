//! Carrying out a plan: from both sets' files to what the figures are made of.

use std::io::{self, Write};

use adadiff_backends::{DeviceTask, run_on};
use adadiff_metrics::Samples;
use adadiff_model::clip::ClipVisionConfig;
use adadiff_model::kernels::Kernels;
use anyhow::Result;

use super::gather::{Gathered, gather};
use super::networks::{DeviceNetworks, FeatureNetworks};
use super::plan::{MetricsPlan, Part};
use super::{Arguments, MetricsRun};
use crate::networks::{open_clip_vision, open_inception};
use crate::terminal::samples_bar;

/// Both sets, gathered.
pub(super) struct Sets {
    pub(super) samples: Gathered,
    pub(super) reference: Option<Gathered>,
    /// What is to be known of the networks, where there were some.
    pub(super) networks: Option<NetworkFacts>,
}

/// What the figures depend on of the networks.
pub(super) struct NetworkFacts {
    /// The type of their numbers.
    pub(super) dtype: String,
    /// CLIP's configuration, where it was needed.
    pub(super) clip: Option<ClipVisionConfig>,
}

/// The sets of a plan that needs networks.
struct WithNetworks<'a>(&'a mut MetricsPlan);

impl DeviceTask for WithNetworks<'_> {
    type Output = Result<Sets>;

    fn run<B: Kernels>(self, device: B::Device) -> Result<Sets> {
        let Self(plan) = self;
        let networks = DeviceNetworks::<B> {
            inception: match plan.inception_weights() {
                Some(path) => Some(open_inception(path, &device)?),
                None => None,
            },
            preprocessing: plan.arguments.mode.into(),
            clip: match plan.clip_weights() {
                Some(path) => Some(open_clip_vision(path, &device)?),
                None => None,
            },
            device,
        };
        let clip = networks.clip.as_ref();
        let facts = NetworkFacts {
            dtype: networks.dtype(),
            clip: clip.map(|network| network.config().clone()),
        };
        if let Some(clip) = &facts.clip {
            plan.ensure_embeddings(clip.embedding)?;
        }
        Ok(Sets {
            networks: Some(facts),
            ..plan.gather(Some(&networks))?
        })
    }
}

impl MetricsPlan {
    /// Reads both sets and measures what was asked for.
    ///
    /// # Errors
    /// Where a set or the weights are damaged or the device fails.
    pub(super) fn carry_out(mut self) -> Result<MetricsRun> {
        let needs_networks = self.inception_weights().is_some() || self.clip_weights().is_some();
        let sets = if needs_networks {
            run_on(self.arguments.device, WithNetworks(&mut self))?
        } else {
            self.gather(None)?
        };
        self.record(&sets)
    }

    fn gather(&mut self, networks: Option<&dyn FeatureNetworks>) -> Result<Sets> {
        let samples = self.samples.gather(&self.arguments, networks)?;
        let reference = match &mut self.reference {
            Some(reference) => Some(reference.gather(&self.arguments, networks)?),
            None => None,
        };
        Ok(Sets {
            samples,
            reference,
            networks: None,
        })
    }
}

impl Part {
    fn gather(
        &mut self,
        arguments: &Arguments,
        networks: Option<&dyn FeatureNetworks>,
    ) -> Result<Gathered> {
        let at_most = self.source.samples().map_or(0, Samples::at_most);
        let bar = samples_bar(self.limit.unwrap_or(at_most).min(at_most) as u64);
        bar.set_prefix(self.role.name());
        let gathered = gather(
            &mut self.source,
            self.wanted,
            self.limit,
            arguments.batch,
            networks,
            &bar,
        );
        bar.finish_and_clear();
        let mut gathered = gathered?;
        for image in &gathered.bad {
            let _ = writeln!(io::stderr(), "passed over: {image}");
        }
        if let Some(stored) = self.stored.take() {
            if gathered.count.is_none() {
                gathered.dims = stored.mean().len();
            }
            gathered.gaussian = Some(stored);
        }
        if let Some(found) = gathered.count {
            let count = self.count(found, gathered.dims);
            count.ensure_enough(arguments.allow_small)?;
        }
        Ok(gathered)
    }
}
