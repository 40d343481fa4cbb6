//! The FID network, with weights that the fixture gives as a formula.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use adadiff_metrics::{Inception, Preprocessing};
use adadiff_model::kernels::Kernels;
use adadiff_weights::WeightFile;
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::{Map, json};

use crate::fixture::{Fixture, input};
use crate::report::{FixtureReport, Rule};

const RULE: Rule = Rule::Scaled(1e-4);

pub fn check<B: Kernels>(fixture: &Fixture, device: &B::Device) -> Result<FixtureReport> {
    let mut report = FixtureReport::new(fixture)?;
    let network = network::<B>(fixture, device)?;
    for image in fixture.get::<Vec<String>>("images")? {
        let images = input::<B, 4>(report.tensors(), &format!("in.{image}"), device)?;
        let found = network.forward(images, Preprocessing::PytorchFid);
        for (block, mean) in found.block_means.into_iter().enumerate() {
            report.tensor(RULE, &format!("{image}.block{block}_mean"), mean)?;
        }
        report.tensor(RULE, &format!("{image}.pool3"), found.features)?;
        report.tensor(RULE, &format!("{image}.logits"), found.logits)?;
        let unbiased = found.logits_unbiased;
        report.tensor(RULE, &format!("{image}.logits_unbiased"), unbiased)?;
    }
    Ok(report.finish())
}

/// A tensor of the network: value i is `base + scale * u(j, i)`.
#[derive(Debug, Deserialize)]
struct Filled {
    j: u64,
    name: String,
    shape: Vec<usize>,
    base: f64,
    scale: f64,
}

/// The first values of a tensor, to check the formula by.
#[derive(Debug, Deserialize)]
struct Sample {
    name: String,
    first4: Vec<f32>,
}

/// The network with the fixture's weights, imported from a file like the published one.
fn network<B: Kernels>(fixture: &Fixture, device: &B::Device) -> Result<Inception<B>> {
    let salt = fixture.get("salt")?;
    let state_dict: Vec<Filled> = fixture.get("state_dict")?;
    for sample in fixture.get::<Vec<Sample>>("weight_check")? {
        let filled = state_dict.iter().find(|filled| filled.name == sample.name);
        let filled = filled.with_context(|| format!("no tensor {}", sample.name))?;
        let found: Vec<f32> = filled.values(salt).take(sample.first4.len()).collect();
        ensure!(found == sample.first4, "{found:?} instead of {sample:?}");
    }
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("inception.safetensors");
    write(&state_dict, salt, &path)?;
    Ok(Inception::import(&WeightFile::open(&path)?, device)?)
}

impl Filled {
    fn count(&self) -> usize {
        self.shape.iter().product()
    }

    fn values(&self, salt: u64) -> impl Iterator<Item = f32> {
        let tensor = (self.j + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (0..self.count() as u64).map(move |index| {
            let index = (index + 1).wrapping_mul(0xD1B5_4A32_D192_ED03);
            let z = index.wrapping_add(tensor).wrapping_add(salt);
            let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            let z = z ^ (z >> 31);
            let u = (z >> 40) as f64 / f64::from(1 << 23) - 1.0;
            (self.base + self.scale * u) as f32
        })
    }
}

/// Writes the tensors as safetensors, with a counter as PyTorch's state dictionaries have them.
fn write(state_dict: &[Filled], salt: u64, path: &Path) -> Result<()> {
    let mut header = Map::new();
    let mut end = 0;
    let mut entry = |name: &str, dtype: &str, shape: &[usize], bytes: usize| {
        let offsets = [end, end + bytes];
        end += bytes;
        let entry = json!({"dtype": dtype, "shape": shape, "data_offsets": offsets});
        header.insert(name.to_owned(), entry);
    };
    for filled in state_dict {
        entry(&filled.name, "F32", &filled.shape, 4 * filled.count());
    }
    let counter = 1_234_i64.to_le_bytes();
    entry(
        "Conv2d_1a_3x3.bn.num_batches_tracked",
        "I64",
        &[],
        counter.len(),
    );
    let header = serde_json::to_vec(&header)?;
    let mut file = BufWriter::new(File::create(path)?);
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(&header)?;
    for filled in state_dict {
        for value in filled.values(salt) {
            file.write_all(&value.to_le_bytes())?;
        }
    }
    file.write_all(&counter)?;
    Ok(file.flush()?)
}
