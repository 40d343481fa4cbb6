//! The published weights, `pt_inception-2015-12-05-6726825d.pth` of pytorch-fid.

use adadiff_kernels::Kernels;
use adadiff_weights::{Placements, WeightError, WeightFile};

use super::{INCEPTION_CLASSES, INCEPTION_FEATURES, Inception};

/// A tensor of FID's Inception network, by which it is found in a file.
pub const INCEPTION_LANDMARK: &str = "Conv2d_1a_3x3.conv.weight";

impl<B: Kernels> Inception<B> {
    /// Loads the weights of a file under pytorch-fid's names.
    ///
    /// # Errors
    /// Where the file does not hold exactly the network's tensors. The counters
    /// `num_batches_tracked`, of which older files have none, are not used.
    pub fn import(file: &WeightFile, device: &B::Device) -> Result<Self, WeightError> {
        let file = file.network(INCEPTION_LANDMARK)?;
        file.place(placements())?.load_into(Self::init(device))
    }
}

/// The published tensors and their places in [`Inception`].
fn placements() -> Placements {
    let mut list = List::default();
    list.unpadded("Conv2d_1a_3x3", [3, 32], [3, 3]);
    list.unpadded("Conv2d_2a_3x3", [32, 32], [3, 3]);
    list.unpadded("Conv2d_2b_3x3", [32, 64], [3, 3]);
    list.unpadded("Conv2d_3b_1x1", [64, 80], [1, 1]);
    list.unpadded("Conv2d_4a_3x3", [80, 192], [3, 3]);
    list.block_a("Mixed_5b", 192, 32);
    list.block_a("Mixed_5c", 256, 64);
    list.block_a("Mixed_5d", 288, 64);
    list.block_b("Mixed_6a", 288);
    list.block_c("Mixed_6b", 128);
    list.block_c("Mixed_6c", 160);
    list.block_c("Mixed_6d", 160);
    list.block_c("Mixed_6e", 192);
    list.block_d("Mixed_7a");
    list.block_e("Mixed_7b", 1280);
    list.block_e("Mixed_7c", 2048);
    let sizes = [INCEPTION_FEATURES, INCEPTION_CLASSES];
    list.0.linear("fc", "fc", sizes, true);
    list.0
}

/// Placements of layers whose paths are the published names in small letters.
#[derive(Default)]
struct List(Placements);

impl List {
    fn unpadded(&mut self, name: &str, channels: [usize; 2], kernel: [usize; 2]) {
        let path = name.to_lowercase();
        let (convolution, norm) = (format!("{path}.conv"), format!("{path}.bn"));
        let published = format!("{name}.conv");
        self.0
            .convolution_without_bias(&published, &convolution, channels, kernel);
        self.0.batch_norm(&format!("{name}.bn"), &norm, channels[1]);
    }

    /// Convolutions of one block: the branch, its channels and its kernel.
    fn branches(&mut self, block: &str, branches: &[(&str, [usize; 2], [usize; 2])]) {
        for &(branch, channels, kernel) in branches {
            self.unpadded(&format!("{block}.{branch}"), channels, kernel);
        }
    }

    fn block_a(&mut self, block: &str, inputs: usize, pool: usize) {
        self.branches(
            block,
            &[
                ("branch1x1", [inputs, 64], [1, 1]),
                ("branch5x5_1", [inputs, 48], [1, 1]),
                ("branch5x5_2", [48, 64], [5, 5]),
                ("branch3x3dbl_1", [inputs, 64], [1, 1]),
                ("branch3x3dbl_2", [64, 96], [3, 3]),
                ("branch3x3dbl_3", [96, 96], [3, 3]),
                ("branch_pool", [inputs, pool], [1, 1]),
            ],
        );
    }

    fn block_b(&mut self, block: &str, inputs: usize) {
        self.branches(
            block,
            &[
                ("branch3x3", [inputs, 384], [3, 3]),
                ("branch3x3dbl_1", [inputs, 64], [1, 1]),
                ("branch3x3dbl_2", [64, 96], [3, 3]),
                ("branch3x3dbl_3", [96, 96], [3, 3]),
            ],
        );
    }

    fn block_c(&mut self, block: &str, inner: usize) {
        self.branches(
            block,
            &[
                ("branch1x1", [768, 192], [1, 1]),
                ("branch7x7_1", [768, inner], [1, 1]),
                ("branch7x7_2", [inner, inner], [1, 7]),
                ("branch7x7_3", [inner, 192], [7, 1]),
                ("branch7x7dbl_1", [768, inner], [1, 1]),
                ("branch7x7dbl_2", [inner, inner], [7, 1]),
                ("branch7x7dbl_3", [inner, inner], [1, 7]),
                ("branch7x7dbl_4", [inner, inner], [7, 1]),
                ("branch7x7dbl_5", [inner, 192], [1, 7]),
                ("branch_pool", [768, 192], [1, 1]),
            ],
        );
    }

    fn block_d(&mut self, block: &str) {
        self.branches(
            block,
            &[
                ("branch3x3_1", [768, 192], [1, 1]),
                ("branch3x3_2", [192, 320], [3, 3]),
                ("branch7x7x3_1", [768, 192], [1, 1]),
                ("branch7x7x3_2", [192, 192], [1, 7]),
                ("branch7x7x3_3", [192, 192], [7, 1]),
                ("branch7x7x3_4", [192, 192], [3, 3]),
            ],
        );
    }

    fn block_e(&mut self, block: &str, inputs: usize) {
        self.branches(
            block,
            &[
                ("branch1x1", [inputs, 320], [1, 1]),
                ("branch3x3_1", [inputs, 384], [1, 1]),
                ("branch3x3_2a", [384, 384], [1, 3]),
                ("branch3x3_2b", [384, 384], [3, 1]),
                ("branch3x3dbl_1", [inputs, 448], [1, 1]),
                ("branch3x3dbl_2", [448, 384], [3, 3]),
                ("branch3x3dbl_3a", [384, 384], [1, 3]),
                ("branch3x3dbl_3b", [384, 384], [3, 1]),
                ("branch_pool", [inputs, 192], [1, 1]),
            ],
        );
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Seek, SeekFrom, Write};

    use adadiff_weights::Misfit;
    use burn_flex::{Flex, FlexDevice};
    use serde_json::{Map, Value, json};

    use super::*;

    /// A tensor of a file: its name, type and shape.
    type Stored = (String, &'static str, Vec<usize>);

    /// All tensors of the network, without the counters.
    fn published() -> Vec<Stored> {
        let list = placements();
        let used = list.iter().filter(|placement| placement.path.is_some());
        used.map(|placement| (placement.published.clone(), "F32", placement.shape.clone()))
            .collect()
    }

    /// A file that holds zeros in these tensors, but for the first value of some.
    fn file(tensors: &[Stored], values: &[(&str, f32)]) -> WeightFile {
        let mut header = Map::new();
        let mut end = 0;
        for (name, dtype, shape) in tensors {
            let values: usize = shape.iter().product();
            let start = end;
            end += values * if *dtype == "F32" { 4 } else { 8 };
            let entry: Value = json!({
                "dtype": dtype, "shape": shape, "data_offsets": [start, end],
            });
            header.insert(name.clone(), entry);
        }
        let header = serde_json::to_vec(&header).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("inception.safetensors");
        let mut file = File::create(&path).unwrap();
        file.write_all(&(header.len() as u64).to_le_bytes())
            .unwrap();
        file.write_all(&header).unwrap();
        file.set_len((8 + header.len() + end) as u64).unwrap();
        for (name, value) in values {
            let entry: &Value = &serde_json::from_slice::<Value>(&header).unwrap()[name];
            let start = entry["data_offsets"][0].as_u64().unwrap();
            file.seek(SeekFrom::Start(8 + header.len() as u64 + start))
                .unwrap();
            file.write_all(&value.to_le_bytes()).unwrap();
        }
        WeightFile::open(&path).unwrap()
    }

    fn misfits(tensors: &[Stored]) -> Vec<Misfit> {
        match file(tensors, &[]).place(placements()) {
            Ok(_) => Vec::new(),
            Err(WeightError::Misfits { misfits, .. }) => misfits,
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn values_that_break_the_network_are_refused_by_name() {
        for (name, value, words) in [
            ("Mixed_7c.branch1x1.conv.weight", f32::NAN, "not numbers"),
            ("Conv2d_1a_3x3.bn.running_var", -0.5, "variances below zero"),
            ("fc.bias", f32::INFINITY, "infinite"),
        ] {
            let file = file(&published(), &[(name, value)]);
            let error = Inception::<Flex>::import(&file, &FlexDevice).unwrap_err();
            let error = error.to_string();
            assert!(error.contains(name) && error.contains(words), "{error}");
        }
    }

    #[test]
    fn counters_may_be_there_or_not() {
        let mut tensors = published();
        // 94 convolutions of five tensors each, and the logits' two.
        assert_eq!(tensors.len(), 472);
        assert_eq!(misfits(&tensors), []);
        let counter = "Mixed_7c.branch_pool.bn.num_batches_tracked".to_owned();
        tensors.push((counter, "I64", Vec::new()));
        assert_eq!(misfits(&tensors), []);
    }

    #[test]
    fn every_tensor_that_does_not_fit_is_named() {
        let find = |tensors: &[Stored], name: &str| {
            let mut names = tensors.iter().map(|(name, _, _)| name);
            names.position(|found| found == name).unwrap()
        };
        let mut tensors = published();
        let missing = tensors.remove(find(&tensors, "Mixed_6c.branch7x7_2.bn.running_var"));
        let index = find(&tensors, "Mixed_5b.branch5x5_2.conv.weight");
        tensors[index].2 = vec![64, 48, 3, 3];
        tensors.push(("AuxLogits.fc.bias".into(), "F32", vec![1000]));
        assert_eq!(
            misfits(&tensors),
            [
                Misfit::Shape {
                    name: "Mixed_5b.branch5x5_2.conv.weight".into(),
                    expected: vec![64, 48, 5, 5],
                    found: vec![64, 48, 3, 3],
                },
                Misfit::Missing {
                    name: missing.0,
                    expected: vec![160],
                },
                Misfit::Unexpected {
                    name: "AuxLogits.fc.bias".into(),
                    found: vec![1000],
                },
            ]
        );
    }
}
