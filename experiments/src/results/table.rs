//! The table of a run.

use adadiff_report::{Table, decimals};

use super::ResultRow;

/// Quality, cost and speed of each row, with as many decimals as the column's smallest number
/// needs for three significant digits.
pub fn results_table(rows: &[ResultRow]) -> Table {
    let one_extractor = rows
        .windows(2)
        .all(|pair| pair[0].features == pair[1].features);
    let (distance_heading, extractor_in_cell) = match rows.first() {
        Some(row) if one_extractor => (format!("FD ({})", row.features), false),
        _ => ("FD".to_owned(), true),
    };
    let heading = [
        "method",
        "samples",
        &distance_heading,
        "mean blocks",
        "reduction",
        "GFLOPs per image",
        "seconds per image",
        "speed-up",
    ];
    let distance_decimals = decimals(rows.iter().map(|row| row.frechet_distance));
    let gflops_decimals = decimals(rows.iter().map(|row| row.gflops_per_image));
    let seconds_decimals = decimals(rows.iter().map(|row| row.seconds_per_image));
    let cells = |row: &ResultRow| {
        let mut distance = format!("{:.*}", distance_decimals, row.frechet_distance);
        if extractor_in_cell {
            distance = format!("{distance} ({})", row.features);
        }
        vec![
            row.to_string(),
            row.samples.to_string(),
            distance,
            format!("{:.2} of {}", row.blocks_mean, row.blocks_per_prediction),
            format!("{:.1} %", 100.0 * row.block_reduction),
            format!("{:.*}", gflops_decimals, row.gflops_per_image),
            format!("{:.*}", seconds_decimals, row.seconds_per_image),
            row.speedup
                .map_or_else(|| "–".to_owned(), |speedup| format!("{speedup:.2}×")),
        ]
    };
    Table {
        heading: heading.map(str::to_owned).to_vec(),
        rows: rows.iter().map(cells).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::examples::example_rows;
    use super::*;

    #[test]
    fn markdown_of_a_run() {
        let rows = example_rows();
        assert_eq!(
            results_table(&[rows[0].clone(), rows[3].clone()]).markdown(),
            "\
| method               | samples | FD (fashion-cnn) | mean blocks | reduction | GFLOPs per image | seconds per image | speed-up |
|:---------------------|--------:|-----------------:|------------:|----------:|-----------------:|------------------:|---------:|
| full model           |     512 |             4.25 | 13.00 of 13 |     0.0 % |             8.12 |            0.1250 |    1.00× |
| AdaDiff, target 45 % |     512 |             5.50 |  7.15 of 13 |    45.0 % |             4.50 |            0.0725 |    1.72× |
"
        );
    }

    #[test]
    fn terminal_of_a_run() {
        let text = results_table(&example_rows()).terminal();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 6);
        assert!(
            lines
                .iter()
                .all(|line| line.chars().count() == lines[0].chars().count())
        );
        assert_eq!(
            lines[3].split_whitespace().collect::<Vec<_>>().join(" "),
            "static depth 7 512 31.50 7.00 of 13 46.2 % 4.38 0.0673 1.86×"
        );
    }

    #[test]
    fn extractors_that_differ_are_named_in_each_cell() {
        let mut rows = example_rows();
        rows[1].features = "inception".into();
        let table = results_table(&rows);
        assert_eq!(table.heading[2], "FD");
        assert_eq!(table.rows[0][2], "4.25 (fashion-cnn)");
        assert_eq!(table.rows[1][2], "31.50 (inception)");
    }
}
