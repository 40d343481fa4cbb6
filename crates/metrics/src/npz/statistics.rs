//! Published mean and covariance of features, as pytorch-fid and clean-fid keep them.

use std::io::{self, Seek, Write};
use std::path::Path;

use adadiff_images::npy::Header;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::array::Archive;
use super::{MOST_FEATURES, NpzError};
use crate::{FeatureOrigin, Gaussian};

/// How far a covariance may be from its mirror image, as a share of its largest value.
const ASYMMETRY: f64 = 1e-6;

/// The array that tells the [`FeatureOrigin::mode`].
const MODE: &str = "feature_mode";

/// The array that tells the [`FeatureOrigin::weights_sha256`].
const WEIGHTS: &str = "feature_weights_sha256";

/// Reads the arrays `mu` `[dims]` and `sigma` `[dims, dims]` of a file, `float64` or `float32`.
///
/// # Errors
/// Where the file cannot be read, is damaged, or does not hold the statistics of features.
pub fn read_statistics(path: &Path) -> Result<Gaussian, NpzError> {
    statistics_of(Archive::open(path)?)
}

/// [`read_statistics`] of a file that is part of the program, which errors call `name`.
///
/// # Errors
/// As [`read_statistics`].
pub fn parse_statistics(bytes: &'static [u8], name: &Path) -> Result<Gaussian, NpzError> {
    statistics_of(Archive::in_memory(bytes, name)?)
}

fn statistics_of(mut archive: Archive) -> Result<Gaussian, NpzError> {
    let (mean, shape) = floats(
        &mut archive,
        "mu",
        |shape| matches!(shape, &[dims] if (1..=MOST_FEATURES).contains(&dims)),
    )?;
    let dims = shape[0];
    let (covariance, _) = floats(&mut archive, "sigma", |shape| shape == [dims, dims])?;
    let largest = covariance
        .iter()
        .fold(0.0, |largest: f64, value| largest.max(value.abs()));
    // Both orders of axes describe the same, if it is the same as its mirror image.
    let is_symmetric = (0..dims).all(|row| {
        (0..row).all(|column| {
            let difference = covariance[row * dims + column] - covariance[column * dims + row];
            // Not finite where a value is not, which is told below.
            difference.is_nan() || difference.abs() <= ASYMMETRY * largest
        })
    });
    if !is_symmetric {
        return Err(archive.unusable("sigma is no covariance: it is not symmetric"));
    }
    Gaussian::new(mean, covariance).map_err(|error| archive.unusable(error.to_string()))
}

/// Reads what a file of statistics says about how its features were made; nothing where another program
/// wrote it.
///
/// # Errors
/// Where the file cannot be read or is damaged.
pub fn read_origin(path: &Path) -> Result<FeatureOrigin, NpzError> {
    let mut archive = Archive::open(path)?;
    let mut text = |name| {
        if archive.has(name) {
            archive.array(name)?.read_text().map(Some)
        } else {
            Ok(None)
        }
    };
    Ok(FeatureOrigin {
        mode: text(MODE)?,
        weights_sha256: text(WEIGHTS)?,
    })
}

/// The values of an array of floating-point numbers of a suitable shape.
fn floats(
    archive: &mut Archive,
    name: &str,
    fits: impl FnOnce(&[usize]) -> bool,
) -> Result<(Vec<f64>, Vec<usize>), NpzError> {
    let array = archive.array(name)?;
    if !array.element.is_float() || !fits(&array.shape) {
        return Err(array.unusable(format!(
            "{name} of shape {:?} and its type are not those of statistics, which are mu of one \
             axis (of at most {MOST_FEATURES}) and sigma of twice that axis",
            array.shape
        )));
    }
    let shape = array.shape.clone();
    Ok((array.read_all_numbers()?, shape))
}

/// Writes statistics as `numpy.savez(file, mu=mu, sigma=sigma)` does, in `float64`, and beside them what is
/// known of their origin, of which other programs take no notice.
///
/// # Errors
/// Where `writer` fails.
pub fn write_statistics<W: Write + Seek>(
    writer: W,
    gaussian: &Gaussian,
    origin: &FeatureOrigin,
) -> io::Result<()> {
    let mut zip = ZipWriter::new(writer);
    let dims = gaussian.mean().len();
    let mut array = |name: &str, descr: String, shape: Vec<usize>, bytes: Vec<u8>| {
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        zip.start_file(format!("{name}.npy"), options)?;
        let is_fortran = false;
        zip.write_all(
            &Header {
                descr,
                is_fortran,
                shape,
            }
            .to_bytes(),
        )?;
        zip.write_all(&bytes)
    };
    let doubles = |values: &[f64]| {
        values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect()
    };
    let (mean, covariance) = (gaussian.mean(), gaussian.covariance());
    array("mu", "<f8".to_owned(), vec![dims], doubles(mean))?;
    array(
        "sigma",
        "<f8".to_owned(),
        vec![dims, dims],
        doubles(covariance),
    )?;
    for (name, text) in [(MODE, &origin.mode), (WEIGHTS, &origin.weights_sha256)] {
        if let Some(text) = text {
            let characters: Vec<u32> = text.chars().map(u32::from).collect();
            let bytes = characters
                .iter()
                .flat_map(|character| character.to_le_bytes());
            array(
                name,
                format!("<U{}", characters.len()),
                Vec::new(),
                bytes.collect(),
            )?;
        }
    }
    zip.finish()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::npz::testing::{TestFile, entry, npz, npz_compressed};

    fn read(bytes: &[u8]) -> Result<Gaussian, String> {
        read_statistics(TestFile::new(bytes).path()).map_err(|error| error.to_string())
    }

    fn doubles(values: &[f64]) -> Vec<u8> {
        values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect()
    }

    fn singles(values: &[f32]) -> Vec<u8> {
        values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect()
    }

    fn mean() -> (String, Vec<u8>) {
        entry("mu", "<f8", false, "(2,)", &doubles(&[1.0, -2.0]))
    }

    fn covariance() -> (String, Vec<u8>) {
        entry(
            "sigma",
            "<f8",
            false,
            "(2, 2)",
            &doubles(&[2.0, 0.5, 0.5, 1.0]),
        )
    }

    #[test]
    fn what_is_written_is_read_again() {
        let gaussian = Gaussian::new(vec![1.0, -2.0], vec![2.0, 0.5, 0.5, 1.0]).unwrap();
        let mut bytes = Cursor::new(Vec::new());
        write_statistics(&mut bytes, &gaussian, &FeatureOrigin::default()).unwrap();
        assert_eq!(read(bytes.get_ref()).unwrap(), gaussian);
        let origin = |bytes: &[u8]| read_origin(TestFile::new(bytes).path()).unwrap();
        assert_eq!(origin(bytes.get_ref()), FeatureOrigin::default());
        let known = FeatureOrigin {
            mode: Some("clean".to_owned()),
            weights_sha256: Some("ab".repeat(32)),
        };
        let mut bytes = Cursor::new(Vec::new());
        write_statistics(&mut bytes, &gaussian, &known).unwrap();
        assert_eq!(read(bytes.get_ref()).unwrap(), gaussian);
        assert_eq!(origin(bytes.get_ref()), known);
    }

    #[test]
    fn all_published_forms_are_read() {
        let gaussian = Gaussian::new(vec![1.0, -2.0], vec![2.0, 0.5, 0.5, 1.0]).unwrap();
        let mean_of_singles = entry("mu", "<f4", false, "(2,)", &singles(&[1.0, -2.0]));
        let sigma = doubles(&[2.0, 0.5, 0.5, 1.0]);
        let by_columns = entry("sigma", "<f8", true, "(2, 2)", &sigma);
        let other = entry("arr_0", "|u1", false, "(1,)", &[7]);
        for bytes in [
            npz(&[mean(), covariance()]),
            npz(&[other.clone(), covariance(), mean_of_singles.clone()]),
            npz_compressed(&[mean(), by_columns]),
            npz_compressed(&[other, mean_of_singles, covariance()]),
        ] {
            assert_eq!(read(&bytes).unwrap(), gaussian);
        }
    }

    #[test]
    fn what_are_no_statistics_is_refused() {
        let nan = [f64::NAN, 0.0, 0.0, 1.0];
        let four = doubles(&[1.0, 0.5, -0.5, 1.0]);
        let negative = doubles(&[-1.0, 0.0, 0.0, 1.0]);
        let deep = format!("{}{}", "(".repeat(500), ")".repeat(500));
        for (entries, message) in [
            (vec![mean()], "it has no array sigma; it holds mu.npy"),
            (
                vec![mean(), entry("sigma", "<f8", false, "(4,)", &four)],
                "sigma of shape [4] and its type are not those of statistics",
            ),
            (
                vec![mean(), entry("sigma", "<f8", false, "(2, 2)", &four)],
                "sigma is no covariance",
            ),
            (
                vec![mean(), entry("sigma", "<f8", false, "(2, 2)", &negative)],
                "is no covariance",
            ),
            (
                vec![
                    mean(),
                    entry("sigma", "<f8", false, "(2, 2)", &doubles(&nan)),
                ],
                "a covariance, dimension 0: the value is not finite",
            ),
            (
                vec![entry("mu", "|u1", false, "(2,)", &[1, 2])],
                "mu of shape [2] and its type are not those of statistics",
            ),
            (
                vec![entry("mu", "<i8", false, "(1,)", &[0; 8])],
                "the values of mu are neither <f8, <f4 nor |u1",
            ),
            (
                vec![entry("mu", "|O", false, "()", &[0; 8])],
                "the values of mu are objects of Python",
            ),
            (
                vec![entry("mu", "<f8", false, "(4611686018427387904,)", &four)],
                "mu is said to be of shape [4611686018427387904]",
            ),
            (
                vec![entry(
                    "mu",
                    "<f8",
                    false,
                    "(99999999999, 99999999999)",
                    &four,
                )],
                "which does not go with its",
            ),
            (
                vec![entry("mu", "<f8", false, "(3,)", &four)],
                "which does not go with its",
            ),
            (
                vec![entry("mu", "<f8", false, &deep, &four)],
                "it is an array whose header is damaged",
            ),
            (
                vec![entry("mu", "<f8", false, &" ".repeat(5000), &four)],
                "it is an array with a header of",
            ),
            (
                vec![(
                    "mu.npy".to_owned(),
                    b"\x93NUMPY\x02\x00\xff\xff\xff\xff".to_vec(),
                )],
                "it is an array with a header of 4294967295 bytes",
            ),
            (
                vec![("mu.npy".to_owned(), b"\x93NUM".to_vec())],
                "the description of mu is damaged",
            ),
        ] {
            let error = read(&npz(&entries)).unwrap_err();
            assert!(error.contains(message), "{error} instead of {message}");
        }
        assert!(read(b"no archive").unwrap_err().contains("is not usable"));
        let folder = tempfile::tempdir().unwrap();
        let error = read_statistics(folder.path()).unwrap_err().to_string();
        assert!(error.contains("it is a folder"), "{error}");
        let error = read_statistics(&folder.path().join("none.npz")).unwrap_err();
        assert!(matches!(error, NpzError::File { .. }), "{error}");
    }

    #[test]
    fn damage_is_met_with_an_error() {
        let sound = npz(&[mean(), covariance()]);
        for length in 0..sound.len() {
            read(&sound[..length]).unwrap_err();
        }
        // A changed value fails the check sum.
        let value = sound
            .windows(8)
            .rposition(|bytes| bytes == 0.5_f64.to_le_bytes());
        let mut changed = sound.clone();
        changed[value.unwrap() + 7] ^= 1;
        let error = read(&changed).unwrap_err();
        assert!(error.contains("the values of sigma are damaged"), "{error}");
        for sound in [sound, npz_compressed(&[mean(), covariance()])] {
            for index in 0..sound.len() {
                for change in [0x01, 0x80, 0xff] {
                    let mut changed = sound.clone();
                    changed[index] ^= change;
                    // Some bytes say nothing of the values, such as a date.
                    let _ = read(&changed);
                }
            }
        }
    }
}
