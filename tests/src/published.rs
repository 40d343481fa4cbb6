//! Files of weights, as others write them.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use burn::tensor::TensorData;
use serde_json::{Map, json};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// Writes tensors of 32-bit floats as safetensors.
///
/// # Errors
/// Where the file cannot be written.
pub fn write_safetensors(path: &Path, tensors: &[(String, TensorData)]) -> io::Result<()> {
    let mut header = Map::new();
    let mut bytes = Vec::new();
    for (name, data) in tensors {
        let start = bytes.len();
        bytes.extend_from_slice(data.as_bytes());
        let entry = json!({
            "dtype": "F32",
            "shape": data.shape.to_vec(),
            "data_offsets": [start, bytes.len()],
        });
        header.insert(name.clone(), entry);
    }
    let header = serde_json::to_vec(&header)?;
    let length = (header.len() as u64).to_le_bytes();
    std::fs::write(path, [length.as_slice(), &header, &bytes].concat())
}

/// Writes tensors of 32-bit floats as PyTorch's archive of a state dictionary.
///
/// # Errors
/// Where the file cannot be written.
pub fn write_pytorch(path: &Path, tensors: &[(String, TensorData)]) -> io::Result<()> {
    let mut archive = ZipWriter::new(File::create(path)?);
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let mut pickle = b"\x80\x02ccollections\nOrderedDict\n)R(".to_vec();
    for (key, (name, data)) in tensors.iter().enumerate() {
        let shape = data.shape.to_vec();
        let strides: Vec<usize> = (1..=shape.len())
            .map(|axis| shape[axis..].iter().product())
            .collect();
        text(&mut pickle, name);
        pickle.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        text(&mut pickle, "storage");
        pickle.extend(b"ctorch\nFloatStorage\n");
        text(&mut pickle, &key.to_string());
        text(&mut pickle, "cpu");
        integer(&mut pickle, data.num_elements());
        pickle.extend(b"tQ");
        integer(&mut pickle, 0);
        for sizes in [&shape, &strides] {
            pickle.push(b'(');
            sizes.iter().for_each(|size| integer(&mut pickle, *size));
            pickle.push(b't');
        }
        pickle.extend(b"\x89ccollections\nOrderedDict\n)RtR");
        archive.start_file(format!("archive/data/{key}"), stored)?;
        archive.write_all(data.as_bytes())?;
    }
    pickle.extend(b"u.");
    archive.start_file("archive/data.pkl", stored)?;
    archive.write_all(&pickle)?;
    archive.finish()?;
    Ok(())
}

fn text(pickle: &mut Vec<u8>, text: &str) {
    pickle.push(b'X');
    pickle.extend((text.len() as u32).to_le_bytes());
    pickle.extend(text.as_bytes());
}

fn integer(pickle: &mut Vec<u8>, integer: usize) {
    pickle.push(b'J');
    pickle.extend((integer as i32).to_le_bytes());
}
