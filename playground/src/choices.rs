//! What a visitor may choose from, as the page is told.

use adadiff_experiments::methods::{Knob, Method, MethodEntry};
use adadiff_experiments::presets::SolverName;
use adadiff_model::kernels::Kernels;
use clap::ValueEnum;
use serde::Serialize;

use crate::networks::{Networks, ServedNetwork, kind_name, setting};
use crate::request::{BUDGET_STEP, DEFAULT_IMAGES, LIMITS, Limits, MOST_BUDGET};

/// Everything that can be chosen.
#[derive(Clone, Debug, Serialize)]
pub struct Choices {
    networks: Vec<NetworkChoice>,
    solvers: Vec<Named>,
    limits: Limits,
    images: usize,
    budget_step: u32,
    most_budget: u32,
    device: String,
}

/// A name in addresses, and in words.
#[derive(Clone, Debug, Serialize)]
struct Named {
    name: String,
    label: String,
}

#[derive(Clone, Debug, Serialize)]
struct NetworkChoice {
    name: String,
    title: String,
    blocks: usize,
    classes: Vec<String>,
    /// Whether there is something to guide by.
    guided: bool,
    /// Whether it draws images of no class.
    has_no_class: bool,
    /// Whether images are decoded from latents at the end.
    latents: bool,
    steps: usize,
    guidance: f64,
    seed: u64,
    /// The network's own solver, where it has a name.
    solver: Option<String>,
    solver_label: &'static str,
    method: Option<String>,
    budget: u32,
    methods: Vec<MethodChoice>,
    /// Whether the study's charts are of this network.
    studied: bool,
}

#[derive(Clone, Debug, Serialize)]
struct MethodChoice {
    name: String,
    label: &'static str,
    /// Its curve in charts.
    curve: &'static str,
    most_budget: u32,
    /// The budgets that need no calibration, in percent.
    ready: Vec<u32>,
    /// What it is called at each budget.
    settings: Vec<String>,
}

impl Choices {
    /// The choices among these networks, which are computed on the device of this name.
    pub fn new<B: Kernels>(networks: &Networks<B>, device: String) -> Self {
        let solvers = SolverName::value_variants().iter().filter_map(|solver| {
            let value = solver.to_possible_value()?;
            let help = value.get_help().map(ToString::to_string);
            Some(Named {
                name: value.get_name().to_owned(),
                label: help.unwrap_or_default(),
            })
        });
        Self {
            networks: networks.iter().map(NetworkChoice::new).collect(),
            solvers: solvers.collect(),
            limits: LIMITS,
            images: DEFAULT_IMAGES,
            budget_step: BUDGET_STEP,
            most_budget: MOST_BUDGET,
            device,
        }
    }
}

impl NetworkChoice {
    fn new<B: Kernels>(network: &ServedNetwork<B>) -> Self {
        let loaded = network.loaded();
        let (preset, pipeline) = (loaded.preset(), loaded.pipeline());
        let sampling = &preset.sampling;
        let network_config = &preset.model.backbone;
        let has_no_class = pipeline.config.has_no_class;
        let labels = network_config
            .classes
            .map_or(0, |labels| labels - usize::from(has_no_class));
        let names = preset.data.class_names();
        let class = |class: usize| match names.get(class) {
            Some(name) => (*name).to_owned(),
            None => format!("class {class}"),
        };
        let solver = SolverName::value_variants()
            .iter()
            .find(|solver| solver.is_of(sampling.solver))
            .and_then(ValueEnum::to_possible_value);
        let methods = network.methods();
        Self {
            name: network.name.clone(),
            title: network.title.clone(),
            blocks: pipeline.blocks(),
            classes: (0..labels).map(class).collect(),
            guided: (labels > 0 && has_no_class) || network_config.text.is_some(),
            has_no_class: labels > 0 && has_no_class,
            latents: preset.latents.is_some(),
            steps: sampling.steps.min(LIMITS.steps),
            guidance: sampling.guidance,
            seed: sampling.seed,
            solver: solver.map(|solver| solver.get_name().to_owned()),
            solver_label: sampling.solver.name(),
            method: network.default_method().map(|entry| kind_name(entry.kind)),
            budget: network.budget(),
            methods: methods
                .map(|entry| MethodChoice::new(entry, network))
                .collect(),
            studied: network.studied,
        }
    }
}

impl MethodChoice {
    fn new<B: Kernels>(entry: &'static MethodEntry, network: &ServedNetwork<B>) -> Self {
        let loaded = network.loaded();
        let (blocks, steps) = (loaded.pipeline().blocks(), loaded.preset().sampling.steps);
        let most = match entry.knob {
            Knob::Share(_, most) => (100.0 * most).round() as u32,
            _ => MOST_BUDGET,
        };
        let most = most.min(MOST_BUDGET);
        let budgets = (BUDGET_STEP..=most).step_by(BUDGET_STEP as usize);
        let settings: Vec<(u32, Method)> = budgets
            .filter_map(|budget| Some((budget, setting(entry, budget, blocks, steps)?)))
            .collect();
        let ready = settings
            .iter()
            .filter(|(_, method)| network.is_ready(*method));
        Self {
            name: kind_name(entry.kind),
            label: entry.label,
            curve: entry.curve,
            most_budget: most,
            ready: ready.map(|(budget, _)| *budget).collect(),
            settings: settings
                .iter()
                .map(|(_, method)| method.to_string())
                .collect(),
        }
    }
}
