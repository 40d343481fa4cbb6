//! What the tests of this module draw.

use std::num::NonZeroUsize;
use std::path::Path;

use adadiff_storage::record_id;

use crate::methods::Method;
use crate::presets::Preset;
use crate::results::examples::example_rows;
use crate::results::{
    DrawKey, EqualTimeMatch, MatchKey, NetworkKey, PublishedFigures, QualityKey, QualityRecord,
    RecordedRow, RecordedTable, ResultRow, Results, TableName, TimingKey, TimingRecord,
};

fn draw_key(method: Method, seed: u64) -> DrawKey {
    let preset = Preset::fashion_mnist().unwrap();
    DrawKey {
        experiment: preset.name,
        network: NetworkKey {
            variant: None,
            preset_sha256: "preset".into(),
            checkpoint_sha256: "checkpoint".into(),
            calibration_sha256: "thresholds".into(),
        },
        method,
        baseline_sha256: None,
        reference_id: None,
        solver: preset.sampling.solver,
        steps: 20,
        batch: 64,
        samples: 512,
        seed,
        device: "flex".into(),
        dtype: "f32".into(),
        crate_version: "0.1.0".into(),
    }
}

/// A folder of results with a full model of two seeds, AdaDiff, a static depth whose time was to
/// match, and a row that is missing.
pub fn example(folder: &Path, table: TableName) -> (Results, RecordedTable) {
    let mut results = Results::open(folder).unwrap();
    let [full, shallow, _, adadiff] = &example_rows()[..] else {
        panic!("the example has other rows")
    };
    let depth = NonZeroUsize::new(7).unwrap();
    let methods = [
        Method::Full,
        Method::AdaDiff {
            rule: adadiff_pipeline::ExitRule::Distance,
            reduction: 0.45,
        },
        Method::StaticDepth { depth },
    ];
    let mut entry = |label: &str, method: Method, rows: &[ResultRow], [own, full]: [f64; 2]| {
        let quality = judged(&mut results, method, rows);
        let key = TimingKey {
            draw: draw_key(method, 0),
            rounds: 5,
        };
        let timing = record_id(&key).unwrap();
        let time = TimingRecord {
            seconds_per_image: own,
            full_seconds_per_image: full,
            blocks_mean: rows[0].blocks_mean,
        };
        results.timing.add(key, time).unwrap();
        RecordedRow {
            label: label.into(),
            published: None,
            quality,
            timing: Some(timing),
            matched: None,
            missing: None,
        }
    };
    let better = ResultRow {
        frechet_distance: full.frechet_distance - 0.25,
        ..full.clone()
    };
    let worse = ResultRow {
        frechet_distance: full.frechet_distance + 0.25,
        ..full.clone()
    };
    let mut entries = vec![
        entry("full model", methods[0], &[better, worse], [0.032, 0.032]),
        entry(
            "AdaDiff",
            methods[1],
            std::slice::from_ref(adadiff),
            [0.016, 0.032],
        ),
        entry(
            "static depth 7",
            methods[2],
            std::slice::from_ref(shallow),
            // On a day when the machine was half as fast.
            [0.036, 0.064],
        ),
    ];
    entries[0].published = Some(PublishedFigures {
        figure: "FID 3.11".into(),
        source: "a paper".into(),
    });
    let key = MatchKey {
        target: draw_key(methods[1], 0),
        family: crate::methods::MethodKind::StaticDepth,
        reference_id: None,
        rounds: 3,
    };
    entries[2].matched = Some(record_id(&key).unwrap());
    let found = EqualTimeMatch {
        method: methods[2],
        time_ratio: 1.1,
    };
    results.matches.add(key, found).unwrap();
    entries.push(RecordedRow {
        label: "BERxiT".into(),
        published: None,
        quality: Vec::new(),
        timing: None,
        matched: None,
        missing: Some("not measured: checkpoint x missing".into()),
    });
    let drawn = recorded(&results, table, entries);
    (results, drawn)
}

/// Adds a row of each seed, and gives their short names.
fn judged(results: &mut Results, method: Method, rows: &[ResultRow]) -> Vec<String> {
    let seeds = (0..).zip(rows);
    let add = |(seed, row): (u64, &ResultRow)| {
        let key = QualityKey {
            draw: draw_key(method, seed),
            features: row.features.clone(),
            reference_sha256: "reference".into(),
        };
        let result = ResultRow {
            setting: Some(method),
            seed,
            ..row.clone()
        };
        let id = record_id(&key).unwrap();
        results.quality.add(key, QualityRecord { result }).unwrap();
        id
    };
    seeds.map(add).collect()
}

/// Writes a table of these rows.
fn recorded(results: &Results, table: TableName, entries: Vec<RecordedRow>) -> RecordedTable {
    let drawn = RecordedTable {
        experiment: "fashion_mnist".into(),
        table,
        entries,
        tolerance: 0.05,
        protocol: None,
    };
    results.write_table(&drawn).unwrap();
    drawn
}

/// A folder of results with a table of methods, each with the distances of two seeds.
pub fn table_of(folder: &Path, table: TableName, rows: &[(Method, [f64; 2])]) -> Results {
    let mut results = Results::open(folder).unwrap();
    let mut entries = Vec::new();
    for &(method, distances) in rows {
        let rows = distances.map(|frechet_distance| ResultRow {
            frechet_distance,
            ..example_rows().remove(0)
        });
        entries.push(RecordedRow {
            quality: judged(&mut results, method, &rows),
            ..RecordedRow::unmeasured(&method.to_string(), None)
        });
    }
    recorded(&results, table, entries);
    results
}
