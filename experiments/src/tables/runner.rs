//! Measures the rows of tables that were not measured before.

use adadiff_model::kernels::Kernels;
use adadiff_pipeline::{Evaluator, Monitor, ReferenceId, SamplePlan};
use adadiff_storage::record_id;
use anyhow::{Result, bail};

use super::equal_time::nearest;
use super::networks::{TableNetwork, TableNetworks};
use super::plan::TablePlan;
use crate::methods::{Method, MethodKind};
use crate::presets::Protocol;
use crate::results::{
    DrawKey, EqualTimeMatch, MatchKey, QualityKey, RecordedRow, RecordedTable, Results, TableName,
    TimingKey, TimingRecord, prepared_row,
};
use crate::tables::interleaved::{InterleavedTimer, TimedMethod};
use crate::tables::prepared_row::{Missing, PreparedRow, or_missing, stopped_or};
use crate::tables::spec::{Choice, RowSpec};
use crate::terminal::Terminal;

/// Turns of every comparison that chooses a setting; a few suffice to tell neighbours apart.
const MATCH_ROUNDS: usize = 4;

/// How rows are measured.
#[derive(Clone, Debug)]
pub struct TableSettings {
    /// The device's name in results.
    pub device: String,
    pub samples: usize,
    pub seeds: Vec<u64>,
    /// Few rows only.
    pub quick: bool,
    /// The methods that AdaDiff is compared with; all of them where none is named.
    pub methods: Vec<MethodKind>,
    /// Whether samples are judged.
    pub quality: bool,
    /// Whether methods are timed, and with how many turns.
    pub rounds: Option<usize>,
    /// The farthest that a time may be from the one it has to match, as a share of it.
    pub tolerance: f64,
    /// How samples are drawn where that is not the preset's own way.
    pub protocol: Option<Protocol>,
}

/// A checkpoint with everything that measures it.
pub struct TableRunner<B: Kernels> {
    pub networks: TableNetworks<B>,
    /// What samples are judged by.
    pub evaluator: Evaluator<B>,
    /// What the exit rule `distance` is calibrated by, where the user named it.
    pub reference_id: Option<ReferenceId>,
    /// How rows are measured.
    pub settings: TableSettings,
    /// The folder that lines are added to.
    pub results: Results,
    /// Where progress is shown.
    pub terminal: Terminal,
}

impl<B: Kernels> TableRunner<B> {
    /// Measures what a table lacks, and notes its rows.
    ///
    /// # Errors
    /// Where the user interrupts, the device fails, or a file cannot be written. A row that cannot be
    /// measured is no error: it says why.
    pub fn table(&mut self, name: TableName) -> Result<RecordedTable> {
        let preset = self.networks.main().loaded.preset().clone();
        let methods = self.settings.methods.clone();
        let plan = TablePlan {
            preset: &preset,
            quick: self.settings.quick,
            methods: &methods,
        };
        let entries = plan.entries(name);
        let mut networks = Vec::new();
        for entry in &entries {
            let loaded = self.networks.load(entry.variant.as_deref());
            networks.push(or_missing(loaded.and_then(|()| self.network_of(entry)))?);
        }
        let target = self.network_of(&plan.adadiff())?;
        let target = PreparedRow::new(&target, plan.preset_method());

        let mut lines = Vec::new();
        let mut rows = Vec::new();
        for (entry, network) in entries.iter().zip(&networks) {
            let mut line = RecordedRow::unmeasured(&entry.label, entry.published.as_ref());
            let row = match network {
                Err(missing) => Err(missing.clone()),
                Ok(network) => or_missing(self.judged_row(entry, network, &target, &mut line))?,
            };
            match row {
                Ok(row) => rows.push((lines.len(), row)),
                Err(missing) => line.missing = Some(missing),
            }
            lines.push(line);
        }
        if let Some(rounds) = self.settings.rounds {
            let baseline = self.network_of(&plan.baseline())?;
            let baseline = PreparedRow::new(&baseline, Method::Full);
            self.time_rows(rounds, &baseline, &rows, &mut lines)?;
        }
        drop(rows);
        let table = RecordedTable {
            experiment: preset.name,
            table: name,
            entries: lines,
            tolerance: self.settings.tolerance,
            protocol: self.settings.protocol.clone(),
        };
        self.results.write_table(&table)?;
        self.networks.forget_variants();
        Ok(table)
    }

    /// What samples of a method on the checkpoint depend on.
    ///
    /// # Errors
    /// Where there is nothing to condition samples on.
    pub fn key_of(&self, method: Method, samples: usize) -> Result<DrawKey> {
        let network = self.networks.main();
        let draw = network.loaded.plan(samples)?;
        self.draw_key(&PreparedRow::new(network, method), &draw)
    }

    fn network_of(&self, entry: &RowSpec) -> Result<TableNetwork<B>> {
        let variant = entry.variant.as_deref();
        let network = self.networks.with(variant, entry.solver, entry.steps);
        let missing = || Missing("not measured: the network is not loaded".to_owned());
        Ok(network.ok_or_else(missing)?)
    }

    /// The row of an entry, with what of it is not judged yet judged.
    fn judged_row<'n>(
        &mut self,
        entry: &RowSpec,
        network: &'n TableNetwork<B>,
        target: &PreparedRow<'_, B>,
        line: &mut RecordedRow,
    ) -> Result<PreparedRow<'n, B>> {
        let method = self.choose(entry, network, target, line)?;
        self.networks.ensure_companion(network, method)?;
        let row = PreparedRow::new(network, method);
        self.judge_row(&row, line)?;
        Ok(row)
    }

    /// The method of an entry, found at equal time where it is to be.
    fn choose(
        &mut self,
        entry: &RowSpec,
        network: &TableNetwork<B>,
        target: &PreparedRow<'_, B>,
        line: &mut RecordedRow,
    ) -> Result<Method> {
        let family = match entry.choice {
            Choice::Given(method) => return Ok(method),
            Choice::EqualTime(family) => family,
        };
        // Found once, it is not asked for again, and needs no time of its own.
        let rounds = self
            .settings
            .rounds
            .unwrap_or(MATCH_ROUNDS)
            .min(MATCH_ROUNDS);
        let draw = self.timed_draw(target)?;
        let key = MatchKey {
            target: self.draw_key(target, &draw)?,
            family,
            reference_id: self
                .reference_id
                .clone()
                .filter(|_| matches!(family, MethodKind::Distance | MethodKind::Forecast)),
            rounds,
        };
        let found = match self.results.matches.find(&key)? {
            Some(found) => *found,
            None if self.settings.rounds.is_none() => bail!(Missing(
                "not measured: its setting is chosen at equal measured time, which --no-timing \
                 leaves out"
                    .to_owned(),
            )),
            None => {
                let found = self.nearest_setting(family, network, target, rounds)?;
                self.results.matches.add(key.clone(), found)?;
                found
            }
        };
        line.matched = Some(record_id(&key)?);
        line.label = found.method.to_string();
        Ok(found.method)
    }

    /// The setting of a family whose time is nearest to the target's, by turns with it.
    fn nearest_setting(
        &self,
        family: MethodKind,
        network: &TableNetwork<B>,
        target: &PreparedRow<'_, B>,
        rounds: usize,
    ) -> Result<EqualTimeMatch> {
        let aim = target.prepared(&self.terminal)?;
        let loaded = &network.loaded;
        let steps = loaded.preset().sampling.steps;
        let settings = family.entry().settings(loaded.pipeline().blocks(), steps);
        if let Some(&method) = settings.first() {
            self.networks.ensure_companion(network, method)?;
        }
        let mut missing = "not measured: it has no setting to choose".to_owned();
        let found = nearest(settings.len(), |setting| {
            let row = PreparedRow::new(network, settings[setting]);
            let prepared = match or_missing(row.prepared(&self.terminal))? {
                Ok(prepared) => prepared,
                Err(reason) => {
                    missing = reason;
                    return Ok(None);
                }
            };
            self.terminal
                .stage(&format!("comparing the time of {}", row.method));
            let draw = self.timed_draw(target)?;
            let turns = [
                TimedMethod::new(target.network.undecoded.pipeline(), aim, &draw),
                TimedMethod::new(network.undecoded.pipeline(), prepared, &draw),
            ];
            let times = InterleavedTimer { rounds }.take(&turns, &self.terminal)?;
            Ok(Some(
                times[1].seconds_per_image / times[0].seconds_per_image,
            ))
        })?;
        let (setting, time_ratio) = found.ok_or(Missing(missing))?;
        Ok(EqualTimeMatch {
            method: settings[setting],
            time_ratio,
        })
    }

    /// Draws and judges the seeds of a row that are not there yet.
    fn judge_row(&mut self, row: &PreparedRow<'_, B>, line: &mut RecordedRow) -> Result<()> {
        for seed in self.settings.seeds.clone() {
            let loaded = &row.network.loaded;
            let draw = SamplePlan {
                seed,
                ..loaded.plan(self.settings.samples)?
            };
            let key = QualityKey {
                draw: self.draw_key(row, &draw)?,
                features: self.evaluator.features().to_owned(),
                reference_sha256: self.evaluator.reference_sha256(),
            };
            let id = record_id(&key)?;
            if self.results.quality.get(&id).is_none() && self.settings.quality {
                let prepared = row.prepared(&self.terminal)?;
                self.terminal.stage(&format!("{}, seed {seed}", line.label));
                self.terminal.expect((draw.samples * prepared.steps) as u64);
                let store = self.results.unfinished(&key)?;
                let tally = prepared
                    .evaluate(
                        loaded.pipeline(),
                        &self.evaluator,
                        &draw,
                        &store,
                        &self.terminal,
                    )
                    .map_err(|error| stopped_or(self.terminal.stopped(), error))?;
                let (preset, device) = (loaded.preset(), &self.settings.device);
                let mut result = prepared_row(prepared, preset, &self.evaluator, device, &tally)?;
                result.experiment = key.draw.experiment.clone();
                result.variant = key.draw.network.variant.clone();
                result.seed = seed;
                if let Some(similarity) = self.similarity(row, &draw, &tally)? {
                    result.psnr = Some(similarity.psnr);
                    result.ssim = similarity.ssim;
                }
                self.results.add_quality(key, result)?;
            }
            if self.results.quality.get(&id).is_some() {
                line.quality.push(id);
            }
        }
        Ok(())
    }

    /// Times the rows that were not timed yet, by turns with each other and with the full network.
    fn time_rows(
        &mut self,
        rounds: usize,
        baseline: &PreparedRow<'_, B>,
        rows: &[(usize, PreparedRow<'_, B>)],
        lines: &mut [RecordedRow],
    ) -> Result<()> {
        let draw = self.timed_draw(baseline)?;
        let of_full = self.draw_key(baseline, &draw)?;
        let mut missing = Vec::new();
        for (place, row) in rows {
            let key = TimingKey {
                draw: self.draw_key(row, &draw)?,
                rounds,
            };
            let id = record_id(&key)?;
            if self.results.timing.get(&id).is_none() {
                missing.push((*place, row, key));
            } else {
                lines[*place].timing = Some(id);
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let full = baseline.prepared(&self.terminal)?;
        let mut turns = vec![TimedMethod::new(
            baseline.network.undecoded.pipeline(),
            full,
            &draw,
        )];
        let mut timed = Vec::new();
        for (place, row, key) in missing {
            // The full network itself has its turn already.
            if key.draw == of_full {
                timed.push((place, key, 0));
                continue;
            }
            match or_missing(row.prepared(&self.terminal))? {
                Ok(prepared) => {
                    timed.push((place, key, turns.len()));
                    turns.push(TimedMethod::new(
                        row.network.undecoded.pipeline(),
                        prepared,
                        &draw,
                    ));
                }
                Err(reason) => lines[place].missing = Some(reason),
            }
        }
        self.terminal.stage("timing by turns");
        let times = InterleavedTimer { rounds }
            .take(&turns, &self.terminal)
            .map_err(|error| stopped_or(self.terminal.stopped(), error))?;
        let full_seconds_per_image = times[0].seconds_per_image;
        for (place, key, turn) in timed {
            lines[place].timing = Some(record_id(&key)?);
            let time = TimingRecord {
                full_seconds_per_image,
                ..times[turn]
            };
            self.results.timing.add(key, time)?;
        }
        Ok(())
    }

    /// The samples of one turn: a batch, since that is what a device computes at once.
    fn timed_draw(&self, row: &PreparedRow<'_, B>) -> Result<SamplePlan> {
        let loaded = &row.network.loaded;
        Ok(loaded.plan(loaded.preset().sampling.batch)?)
    }

    pub(super) fn draw_key(&self, row: &PreparedRow<'_, B>, draw: &SamplePlan) -> Result<DrawKey> {
        let sampling = &row.network.loaded.preset().sampling;
        let by_distance = matches!(
            row.method,
            Method::AdaDiff { rule, .. } if rule.measures_distances()
        );
        Ok(DrawKey {
            experiment: self.networks.main().loaded.preset().name.clone(),
            network: row.network.keys.of(row.method)?,
            method: row.method,
            baseline_sha256: row.network.baseline_sha256(row.method).map(str::to_owned),
            reference_id: self.reference_id.clone().filter(|_| by_distance),
            solver: sampling.solver,
            steps: sampling.steps,
            batch: draw.batch,
            samples: draw.samples,
            seed: draw.seed,
            device: self.settings.device.clone(),
            dtype: sampling.precision.name().to_owned(),
            crate_version: env!("CARGO_PKG_VERSION").to_owned(),
        })
    }
}
