//! Captions to token ids.

use adadiff_model::clip::tokenizer::{Cleaning, ClipTokenizer, Padding};
use anyhow::{Result, ensure};
use serde::Deserialize;

use crate::fixture::Fixture;
use crate::report::FixtureReport;

/// A caption and what the published tokenizers make of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Item {
    text: String,
    ids_pad_zero: Vec<i64>,
    ids_pad_eot: Vec<i64>,
    length: i64,
    same_as_transformers: bool,
    transformers_ids: Option<Vec<i64>>,
}

pub fn check(fixture: &Fixture) -> Result<FixtureReport> {
    let mut report = FixtureReport::without_tensors();
    let vocabulary = fixture.file("merges")?;
    let context_length: usize = fixture.get("context_length")?;
    let open = |cleaning| ClipTokenizer::open(&vocabulary, cleaning, context_length);
    let open_clip = open(Cleaning::OpenClip)?;
    let transformers = open(Cleaning::Transformers)?;
    for tokenizer in [&open_clip, &transformers] {
        let found = [tokenizer.start_of_text(), tokenizer.end_of_text()];
        let expected = [fixture.get("bos")?, fixture.get("eos")?];
        report.equal("start and end", &found.map(i64::from), &expected);
    }
    for item in fixture.get::<Vec<Item>>("items")? {
        let text = &item.text;
        ensure!(
            item.same_as_transformers == item.transformers_ids.is_none(),
            "'{text}' is the same as transformers' ids and has others"
        );
        let mut compare = |what: &str, tokenizer: &ClipTokenizer, padding, expected: &[i64]| {
            let tokens = tokenizer.encode(text, padding)?;
            let ids: Vec<_> = tokens.ids.into_iter().map(i64::from).collect();
            report.equal(&format!("{what} of '{text}'"), &ids, expected);
            anyhow::Ok(tokens.length as i64)
        };
        for (what, padding, expected) in [
            ("ids_pad_zero", Padding::Zero, &item.ids_pad_zero),
            ("ids_pad_eot", Padding::EndOfText, &item.ids_pad_eot),
        ] {
            let length = compare(what, &open_clip, padding, expected)?;
            ensure!(
                length == item.length,
                "'{text}' has {length} ids instead of {}",
                item.length
            );
        }
        let expected = item.transformers_ids.as_ref().unwrap_or(&item.ids_pad_eot);
        compare(
            "transformers_ids",
            &transformers,
            Padding::EndOfText,
            expected,
        )?;
    }
    Ok(report.finish())
}
