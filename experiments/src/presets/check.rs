//! Whether what a preset says of sampling can be done: a training should not be the way to find out.

use adadiff_pipeline::MOST_SAMPLING;
use adadiff_sampler::{NoiseSchedule, SampleError, SolverConfig};
use adadiff_train::TrainConfig;
use anyhow::{Context, Result, ensure};

use super::Preset;

impl Preset {
    /// Checks the numbers of sampling against the network and the schedule.
    pub(super) fn check_sampling(&self, schedule: &dyn NoiseSchedule) -> Result<()> {
        let sampling = &self.sampling;
        let blocks = self.model.backbone.blocks();
        let every = sampling.check_every.get();
        ensure!(
            every < blocks,
            "sampling.check_every is {every}: samples of a network of {blocks} blocks would never leave"
        );
        self.check_guidance()?;
        check_solver(sampling.solver, schedule, sampling.steps).context("in sampling.solver")?;
        for (name, phase) in [
            ("backbone_training", &self.backbone_training),
            ("joint_training", &self.joint_training),
        ] {
            self.check_judge(phase, schedule)
                .with_context(|| format!("in {name}.judge"))?;
        }
        Ok(())
    }

    fn check_guidance(&self) -> Result<()> {
        let guidance = self.sampling.guidance;
        if guidance == 0.0 {
            return Ok(());
        }
        let backbone = &self.model.backbone;
        ensure!(
            backbone.classes.is_some() || backbone.text.is_some(),
            "sampling.guidance is {guidance}, but the network is conditioned on nothing"
        );
        ensure!(
            self.drops_labels(),
            "sampling.guidance is {guidance}, but label_dropout is 0: the network would never learn to \
             predict without a label"
        );
        Ok(())
    }

    /// Whether the network is trained to predict without a label, by one of its own that stands for "no
    /// class", or the empty prompt.
    pub fn drops_labels(&self) -> bool {
        [&self.backbone_training, &self.joint_training]
            .iter()
            .any(|phase| phase.label_dropout > 0.0)
    }

    fn check_judge(&self, phase: &TrainConfig, schedule: &dyn NoiseSchedule) -> Result<()> {
        let Some(judge) = phase.judge else {
            return Ok(());
        };
        let steps = judge.steps.unwrap_or(self.sampling.steps);
        ensure!(
            steps <= MOST_SAMPLING,
            "steps must be at most {MOST_SAMPLING}"
        );
        let solver = judge.solver.unwrap_or(self.sampling.solver);
        Ok(check_solver(solver, schedule, steps)?)
    }
}

fn check_solver(
    solver: SolverConfig,
    schedule: &dyn NoiseSchedule,
    steps: usize,
) -> Result<(), SampleError> {
    solver.times(schedule, steps).map(|_| ())
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use toml::{Table, Value};

    use super::*;

    fn presets() -> [&'static str; 3] {
        [
            include_str!("../../presets/fashion_mnist.toml"),
            include_str!("../../presets/folder-tiny.toml"),
            include_str!("../../presets/coco-tiny.toml"),
        ]
    }

    #[test]
    fn settings_that_no_sample_can_be_drawn_with_are_refused() {
        let [_, folder, coco] = presets();
        let unconditional = folder.replace("classes = 3", "# classes = 3");
        assert!(Preset::parse(&unconditional).is_ok());
        let refused = [
            (folder, "sampling.solver.order=7", "but 7 was asked for"),
            (
                folder,
                "sampling.solver.data_bound=-1",
                "above 0, but is -1",
            ),
            (
                folder,
                "sampling.solver.data_bound=nan",
                "above 0, but is NaN",
            ),
            (folder, "sampling.solver.grid.end=2.0", "but ends at 2"),
            (folder, "sampling.check_every=50", "would never leave"),
            (folder, "sampling.check_every=5", "would never leave"),
            (folder, "sampling.steps=1048577", "sampling.steps"),
            (folder, "sampling.batch=1048577", "sampling.batch"),
            (folder, "sampling.samples=0", "sampling.samples"),
            (folder, "sampling.guidance=inf", "sampling.guidance"),
            (
                unconditional.as_str(),
                "sampling.guidance=1.5",
                "conditioned on nothing",
            ),
            (coco, "sampling.solver.order=4", "but 4 was asked for"),
            (folder, "joint_training.weight_decay=inf", "weight_decay"),
            (folder, "joint_training.clip_norm=inf", "clip_norm"),
            (folder, "joint_training.learning_rate=inf", "learning_rate"),
            (folder, "joint_training.epsilon=1e300", "epsilon"),
            (folder, "backbone_training.steps=10000000000", "steps"),
            (folder, "backbone_training.batch_size=1048577", "batch_size"),
            (
                folder,
                "joint_training.judge={every=4, samples=9, steps=0}",
                "judge.steps",
            ),
            (
                folder,
                "joint_training.judge={every=4, samples=9, solver={solver='ddim', eta=0.0, \
                 grid={times={spacing='uniform_time', end=3.0, to_zero=true}}}}",
                "in joint_training.judge",
            ),
        ];
        for (preset, setting, words) in refused {
            let preset = Preset::parse(preset).unwrap();
            let error = preset.with_settings(&[setting.to_owned()]).unwrap_err();
            assert!(format!("{error:#}").contains(words), "{setting}: {error:#}");
        }
        let untrained = folder.replace("label_dropout = 0.1", "label_dropout = 0.0");
        let preset = Preset::parse(&untrained).unwrap();
        let guided = preset.with_settings(&["sampling.guidance=1.5".to_owned()]);
        let error = format!("{:#}", guided.unwrap_err());
        assert!(error.contains("predict without a label"), "{error}");
    }

    /// Calls `change` with every number of a table and of the tables in it.
    fn each_number(table: &Table, change: &mut dyn FnMut(&[&str], &Value)) {
        fn walk<'a>(
            table: &'a Table,
            path: &mut Vec<&'a str>,
            change: &mut dyn FnMut(&[&str], &Value),
        ) {
            for (key, value) in table {
                path.push(key);
                match value {
                    Value::Table(inner) => walk(inner, path, change),
                    Value::Integer(_) | Value::Float(_) => change(path, value),
                    _ => {}
                }
                path.pop();
            }
        }
        walk(table, &mut Vec::new(), change);
    }

    #[test]
    fn no_number_of_a_preset_panics() {
        let mut tried = 0;
        for text in presets() {
            let preset = Preset::parse(text).unwrap();
            let table: Table = toml::from_str(&preset.to_toml().unwrap()).unwrap();
            each_number(&table, &mut |path, value| {
                let extremes: &[&str] = match value {
                    Value::Integer(_) => &["-1", "0", "1", "3", "4611686018427387904"],
                    _ => &["-1.0", "0.0", "1e300", "5e-324", "inf", "nan"],
                };
                for extreme in extremes {
                    let setting = format!("{}={extreme}", path.join("."));
                    let preset = preset.clone();
                    let told = setting.clone();
                    let tried_out = catch_unwind(move || preset.with_settings(&[setting]).is_ok());
                    assert!(tried_out.is_ok(), "{told} panics");
                    tried += 1;
                }
            });
        }
        assert!(tried > 400, "{tried}");
    }
}
