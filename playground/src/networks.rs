//! The networks that visitors draw from.

use adadiff_experiments::LoadedCheckpoint;
use adadiff_experiments::methods::{Knob, METHODS, Method, MethodEntry, MethodKind};
use adadiff_experiments::presets::SolverName;
use adadiff_model::kernels::Kernels;
use adadiff_pipeline::{
    Calibration, CalibrationKey, Conditions, ExitRule, SamplePlan, SampleSpec, Silent,
};
use adadiff_sampler::SolverConfig;
use adadiff_uem::FullDepth;
use anyhow::{Context, Result, anyhow, bail, ensure};
use clap::ValueEnum;

use crate::request::{BUDGET_STEP, ClassChoice, DrawRequest, LIMITS, MOST_BUDGET, check_size};

/// Ways to sample whose exits are remembered, of each network.
const REMEMBERED: usize = 16;

/// The bundled network that the study is of.
const STUDIED: &str = "fashion_mnist";

/// The networks of this server.
pub struct Networks<B: Kernels> {
    all: Vec<ServedNetwork<B>>,
}

/// A network, and the exits that were calibrated for it so far.
pub struct ServedNetwork<B: Kernels> {
    /// Its name in addresses.
    pub name: String,
    /// What it is called.
    pub title: String,
    /// Whether the study's charts are of it.
    pub studied: bool,
    loaded: LoadedCheckpoint<B>,
    /// With other solvers, steps and guidance, the latest last.
    settings: Vec<(Sampling, LoadedCheckpoint<B>)>,
}

/// What exits are calibrated for beside their budget.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Sampling {
    solver: SolverConfig,
    steps: usize,
    guidance: f64,
}

/// What a request means with a network.
pub struct NetworkDrawing<B: Kernels> {
    /// The network, sampled from as was asked for.
    pub loaded: LoadedCheckpoint<B>,
    /// The method with its setting.
    pub method: Method,
    /// The samples of the full network.
    pub plan: SamplePlan,
    place: (usize, Sampling),
}

impl<B: Kernels> Networks<B> {
    /// The bundled networks, behind one of the visitor's own, from this file, where there is one. The first is
    /// shown where none is asked for.
    pub fn new(
        own: Option<(String, LoadedCheckpoint<B>)>,
        bundled: Vec<LoadedCheckpoint<B>>,
    ) -> Self {
        let own = own.map(|(file, loaded)| ServedNetwork {
            name: "checkpoint".to_owned(),
            title: format!("{} ({file})", loaded.preset().data.title()),
            studied: false,
            loaded,
            settings: Vec::new(),
        });
        let bundled = bundled.into_iter().map(|loaded| ServedNetwork {
            name: loaded.preset().name.clone(),
            title: loaded.preset().data.title().to_owned(),
            studied: loaded.preset().name == STUDIED,
            loaded,
            settings: Vec::new(),
        });
        Self {
            all: own.into_iter().chain(bundled).collect(),
        }
    }

    /// Draws one image by each network: the first evaluation pays for memory and kernels, whoever makes it.
    pub fn warm_up(&self) {
        let spec = SampleSpec {
            steps: Some(1),
            ..SampleSpec::new(1)
        };
        for network in &self.all {
            // What fails here is told whoever asks for it.
            let _ = network.loaded.pipeline().sample(FullDepth, &spec);
        }
    }

    /// The networks in their order.
    pub fn iter(&self) -> impl Iterator<Item = &ServedNetwork<B>> {
        self.all.iter()
    }

    /// What a request means.
    ///
    /// # Errors
    /// Says what there is not, or what is too much.
    pub fn drawing(&mut self, request: &DrawRequest) -> Result<NetworkDrawing<B>> {
        let place = match &request.network {
            None => 0,
            Some(name) => {
                let place = self.all.iter().position(|network| network.name == *name);
                place.with_context(|| format!("there is no network '{name}'"))?
            }
        };
        let network = &mut self.all[place];
        let sampling = network.sampling(request)?;
        let mut loaded = network.with(sampling);
        let (blocks, steps) = (loaded.pipeline().blocks(), sampling.steps);
        let entry = network.method(request.method.as_deref())?;
        let budget = request.budget.unwrap_or_else(|| network.budget());
        let method = setting(entry, budget, blocks, steps);
        let method = method.context("the method has nothing to set")?;
        method.validate()?;
        if let Method::Published { .. } = method {
            // It is calibrated for batches of the size that is drawn.
            loaded.change_sampling(|sampling| sampling.batch = request.images);
        }
        let plan = plan(&loaded, request)?;
        Ok(NetworkDrawing {
            loaded,
            method,
            plan,
            place: (place, sampling),
        })
    }

    /// Remembers the exits that were calibrated for a drawing.
    pub fn remember(&mut self, drawing: &NetworkDrawing<B>, calibration: Calibration) {
        let (place, sampling) = drawing.place;
        let settings = &mut self.all[place].settings;
        if let Some((_, loaded)) = settings.iter_mut().find(|(known, _)| *known == sampling) {
            loaded.remember(calibration);
        }
    }
}

impl<B: Kernels> ServedNetwork<B> {
    /// The network as its preset has it sampled.
    pub fn loaded(&self) -> &LoadedCheckpoint<B> {
        &self.loaded
    }

    /// The budget next to the share that the preset skips, in percent.
    pub fn budget(&self) -> u32 {
        let share = self.loaded.preset().sampling.reduction;
        let steps = (100.0 * share / f64::from(BUDGET_STEP)).round() as u32;
        (steps * BUDGET_STEP).clamp(BUDGET_STEP, MOST_BUDGET)
    }

    /// The methods that this network can be drawn by.
    pub fn methods(&self) -> impl Iterator<Item = &'static MethodEntry> {
        let estimates = self.loaded.calibrator().check_estimators().is_ok();
        MethodEntry::adjustable().filter(move |entry| {
            let Some(method) = setting(entry, self.budget(), self.loaded.pipeline().blocks(), 2)
            else {
                return false;
            };
            let needs_estimates = match method {
                Method::AdaDiff { rule, .. } => rule != ExitRule::Forecast,
                method => matches!(method, Method::Published { .. }),
            };
            let baseline = method.baseline();
            (estimates || !needs_estimates)
                && baseline.is_none_or(|baseline| self.loaded.baseline(baseline).is_ok())
        })
    }

    /// Whether the method needs no calibration where the network is sampled from as its preset has it.
    pub fn is_ready(&self, method: Method) -> bool {
        let calibrator = self.loaded.calibrator();
        match method {
            Method::AdaDiff { rule, reduction } => {
                let key = CalibrationKey {
                    exit_rule: rule,
                    ..calibrator.key(reduction)
                };
                let stored = calibrator.stored(|entry| entry.key() == key, &Silent);
                stored.is_ok_and(|stored| stored.is_some())
            }
            Method::Published { .. } | Method::Saturation { .. } | Method::LearnedExit { .. } => {
                false
            }
            _ => true,
        }
    }

    /// The method that is shown where none is asked for: the preset's own, where something is set of it.
    pub fn default_method(&self) -> Option<&'static MethodEntry> {
        let own = MethodKind::of_rule(self.loaded.preset().sampling.exit_rule);
        let mut methods = self.methods();
        let first = methods.next()?;
        if first.kind == own {
            return Some(first);
        }
        methods.find(|entry| entry.kind == own).or(Some(first))
    }

    fn method(&self, name: Option<&str>) -> Result<&'static MethodEntry> {
        let Some(name) = name else {
            return self.default_method().context("the network has no method");
        };
        let known = METHODS.iter().find(|entry| kind_name(entry.kind) == name);
        let known = known.with_context(|| format!("there is no method '{name}'"))?;
        let can = self.methods().any(|entry| entry.kind == known.kind);
        ensure!(
            can,
            "this network cannot be drawn from by the method '{name}'"
        );
        Ok(known)
    }

    fn sampling(&self, request: &DrawRequest) -> Result<Sampling> {
        let preset = self.loaded.preset();
        let own = &preset.sampling;
        let solver = match &request.solver {
            None => own.solver,
            Some(name) => {
                let named = SolverName::from_str(name, false);
                let named = named.map_err(|_| anyhow!("there is no solver '{name}'"))?;
                if named.is_of(own.solver) {
                    own.solver
                } else {
                    named.config(preset.latents.is_some())
                }
            }
        };
        Ok(Sampling {
            solver,
            steps: request.steps.unwrap_or(own.steps.min(LIMITS.steps)),
            guidance: request.guidance.unwrap_or(own.guidance),
        })
    }

    /// The network sampled from like this, with the exits that were calibrated for it.
    fn with(&mut self, sampling: Sampling) -> LoadedCheckpoint<B> {
        let known = self
            .settings
            .iter()
            .position(|(known, _)| *known == sampling);
        let setting = match known {
            Some(place) => self.settings.remove(place),
            None => {
                let Sampling {
                    solver,
                    steps,
                    guidance,
                } = sampling;
                let mut loaded = self.loaded.with_solver(solver, steps);
                loaded.change_sampling(|sampling| sampling.guidance = guidance);
                (sampling, loaded)
            }
        };
        let loaded = setting.1.clone();
        self.settings.push(setting);
        if self.settings.len() > REMEMBERED {
            self.settings.remove(0);
        }
        loaded
    }
}

/// The method's setting that saves about this share, in percent. Where it is not known what settings save, those
/// there are stand from little to much.
pub fn setting(entry: &MethodEntry, budget: u32, blocks: usize, steps: usize) -> Option<Method> {
    let share = f64::from(budget) / 100.0;
    match entry.knob {
        Knob::Tolerance(method, tolerances) => {
            let place = (share * tolerances.len() as f64) as usize;
            tolerances.get(place).map(|&tolerance| method(tolerance))
        }
        _ => entry.saving_each(&[share], blocks, steps).pop(),
    }
}

/// The method's name in addresses.
pub fn kind_name(kind: MethodKind) -> String {
    let name = serde_json::to_value(kind).ok();
    name.and_then(|name| name.as_str().map(str::to_owned))
        .unwrap_or_default()
}

/// The samples that a request asks for, in one batch.
///
/// # Errors
/// Says which class there is not, or what is too much.
fn plan<B: Kernels>(loaded: &LoadedCheckpoint<B>, request: &DrawRequest) -> Result<SamplePlan> {
    let pipeline = loaded.pipeline();
    let values = loaded
        .preset()
        .model
        .backbone
        .image_shape()
        .iter()
        .product();
    let steps = loaded.preset().sampling.steps;
    check_size(request.images, steps, values).map_err(anyhow::Error::msg)?;
    let mut plan = pipeline.plan(&SampleSpec {
        batch: Some(request.images),
        seed: request.seed,
        ..SampleSpec::new(request.images)
    })?;
    let classes = match &plan.conditions {
        Conditions::Classes(classes) => classes.len(),
        _ => 0,
    };
    match request.class {
        ClassChoice::All => {}
        ClassChoice::None if classes == 0 || !pipeline.config.has_no_class => {
            bail!("the network has no label for images of no class")
        }
        ClassChoice::None => plan.conditions = Conditions::Classes(vec![classes]),
        ClassChoice::One(class) if class < classes => {
            plan.conditions = Conditions::Classes(vec![class]);
        }
        ClassChoice::One(class) => bail!("there is no class {class}: the network knows {classes}"),
    }
    Ok(plan)
}
