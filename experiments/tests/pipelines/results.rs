//! The paper's tables and figures of a data set, with a tiny network.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::made::{fail, run};

/// Every figure's file and whether it is a chart.
const FIGURES: [(&str, bool); 9] = [
    ("layer_errors", true),
    ("layer_errors_over_steps", true),
    ("samples", false),
    ("trade_off_operations", true),
    ("trade_off_seconds", true),
    ("uncertainty_maps", false),
    ("exit_depth", false),
    ("reliability", true),
    ("time_over_blocks", true),
];

/// All tables and all figures of `run/joint/weights.safetensors`, which are measured once.
#[track_caller]
pub fn tables_and_figures(program: &str, folder: &Path, around: &str, images: &str) {
    let options = format!(
        "--quick --features pixels --results results --checkpoint run/joint/weights.safetensors \
         {around} {images}"
    );
    let command = |name| format!("{name} all {options}");
    let told = run(program, folder, &command("table"));
    let results = folder.join("results");
    let quality = lines(&results.join("quality.jsonl"));
    let timing = lines(&results.join("timing.jsonl"));
    for line in &quality {
        let row = &line["result"];
        assert_eq!(row["samples"], 96, "{row}");
        assert!(row["frechet_distance"].as_f64().unwrap() > 0.0, "{row}");
        assert!(row["gflops_per_image"].as_f64().unwrap() > 0.0, "{row}");
    }
    for line in &timing {
        assert!(line["seconds_per_image"].as_f64().unwrap() > 0.0, "{line}");
    }
    check_tables(&results, &told);

    run(program, folder, &command("figure"));
    for (name, chart) in FIGURES {
        let path = results.join("figures").join(name);
        let data = fs::read(path.with_extension("json")).unwrap();
        let data: Value = serde_json::from_slice(&data).unwrap();
        assert_eq!(data["chart"].is_object(), chart, "{name}");
        let picture = image::open(path.with_extension("png")).unwrap();
        assert!(picture.width() > 300 && picture.height() > 90, "{name}");
        let svg = fs::read_to_string(path.with_extension("svg")).unwrap();
        assert!(svg.starts_with("<svg"), "{name}");
    }
    let report = fs::read_to_string(results.join("report.html")).unwrap();
    assert!(report.contains("data-text=\"full model: "));

    // What was drawn by a build without PNG is drawn again by one with it.
    let png = results.join("figures/exit_depth.png");
    fs::remove_file(&png).unwrap();
    run(program, folder, &format!("figure exits {options}"));
    assert!(png.exists());

    // Figure 5 has the rows of the table of the trade-off: nothing is measured twice.
    let told = run(program, folder, &command("table"));
    assert!(told.contains("report: results/report.html"), "{told}");
    assert_eq!(lines(&results.join("quality.jsonl")), quality);
    assert_eq!(lines(&results.join("timing.jsonl")), timing);

    run(program, folder, "study --results results --out study.md");
    let study = fs::read_to_string(folder.join("study.md")).unwrap();
    for part in [
        "- Samples of a row: 96",
        "AdaDiff runs 40 to 48 % fewer layers at little loss.",
        "### Other methods at equal measured time",
        "![Quality over measured time](results/figures/trade_off_seconds.png)",
    ] {
        assert!(study.contains(part), "{part}: {study}");
    }
}

/// The six tables, of which no row lacks both numbers and a reason.
fn check_tables(results: &Path, told: &str) {
    let mut found = 0;
    for name in [
        "unconditional",
        "conditional",
        "ual",
        "ablations",
        "solvers",
        "methods",
        "trade_off",
    ] {
        let path = results.join("tables").join(name);
        if !path.with_extension("json").exists() {
            continue;
        }
        found += 1;
        let table = fs::read(path.with_extension("json")).unwrap();
        let table: Value = serde_json::from_slice(&table).unwrap();
        let entries = table["entries"].as_array().unwrap();
        assert!(entries.len() > 2, "{name}");
        let mut measured = 0;
        for entry in entries {
            let quality = entry["quality"].as_array().unwrap();
            match entry["missing"].as_str() {
                None => {
                    assert!(quality.len() == 1 && entry["timing"].is_string(), "{entry}");
                    measured += 1;
                }
                Some(reason) => assert!(reason.starts_with("not measured: "), "{reason}"),
            }
        }
        assert!(measured >= 2, "{name}");
        let markdown = fs::read_to_string(path.with_extension("md")).unwrap();
        assert!(markdown.starts_with("| method "), "{markdown}");
    }
    assert_eq!(found, 6);
    let missing = "no-ual/joint/weights.safetensors missing, train it with `";
    assert!(told.contains(missing), "{told}");
}

/// Asking for the other kind of main comparison is told from a defect.
#[track_caller]
pub fn refuses_the_other_main_table(program: &str, folder: &Path, other: &str) {
    let table = format!("table {other} --checkpoint run/joint/weights.safetensors");
    let told = fail(program, folder, &table);
    assert!(told.contains("its main comparison is `table "), "{told}");
}

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines.collect()
}
