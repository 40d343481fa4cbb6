//! Files of numpy's format, `.npy`: one array each.

use adadiff_images::npy::Header;

use crate::pickle::{Content, Element, Pickle};

/// A file with an array, whose last index runs fastest.
#[derive(Debug, PartialEq)]
pub(super) struct Npy<'a> {
    /// The type of its elements, as `<f4`.
    pub kind: String,
    pub shape: Vec<usize>,
    /// The elements; of objects a pickle.
    pub bytes: &'a [u8],
}

impl<'a> Npy<'a> {
    /// Reads a file; an error says what was found instead.
    pub fn read(file: &'a [u8]) -> Result<Self, String> {
        let mut bytes = file;
        let (header, _) = Header::read(&mut bytes).map_err(|error| error.to_string())?;
        if header.is_fortran {
            return Err("an array in Fortran's order".to_owned());
        }
        Ok(Self {
            kind: header.descr,
            shape: header.shape,
            bytes,
        })
    }

    /// The numbers of an array of 32-bit floats.
    pub fn floats(&self) -> Result<Vec<f32>, String> {
        if self.kind != "<f4" {
            return Err(format!("an array of type {}", self.kind));
        }
        floats(&self.shape, self.bytes)
    }

    /// The array of floats and the integer of an array of these two objects, with the array's
    /// shape.
    pub fn labelled(&self) -> Result<(Vec<usize>, Vec<f32>, i64), String> {
        if self.kind != "|O" {
            return Err(format!("an array of type {}", self.kind));
        }
        let pickle = Pickle::read(self.bytes)?;
        let pair = pickle.array(pickle.root()).and_then(|array| {
            let Content::Objects(list) = array.content else {
                return None;
            };
            let &[array, label] = pickle.list(list)? else {
                return None;
            };
            Some((pickle.array(array)?, pickle.integer(label)?))
        });
        let (array, label) = pair.ok_or("an array of other objects")?;
        let Content::Numbers(Element::F4, bytes) = array.content else {
            return Err("an array whose moments are no floats of 32 bits".to_owned());
        };
        Ok((array.shape.clone(), floats(&array.shape, bytes)?, label))
    }
}

fn floats(shape: &[usize], bytes: &[u8]) -> Result<Vec<f32>, String> {
    let size = shape
        .iter()
        .try_fold(4, |product: usize, &length| product.checked_mul(length));
    if size != Some(bytes.len()) {
        return Err(format!("an array {shape:?} in {} bytes", bytes.len()));
    }
    let numbers = bytes.as_chunks().0.iter();
    Ok(numbers.map(|&number| f32::from_le_bytes(number)).collect())
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::{Rng, SeedableRng};

    use super::super::testing::{labelled_npy, npy};
    use super::*;

    #[test]
    fn floats_are_read() {
        let file = npy("<f4", "(2, 3)", &[0, 0, 128, 63].repeat(6));
        let array = Npy::read(&file).unwrap();
        assert_eq!(
            (array.kind.as_str(), array.shape.as_slice()),
            ("<f4", &[2, 3][..])
        );
        assert_eq!(array.floats().unwrap(), [1.0; 6]);
        for (shape, expected) in [("()", vec![]), ("(6,)", vec![6]), ("(0, 7)", vec![0, 7])] {
            assert_eq!(Npy::read(&npy("<f4", shape, b"")).unwrap().shape, expected);
        }
    }

    #[test]
    fn a_labelled_array_is_read_by_all_protocols() {
        for protocol in [3, 4] {
            let file = labelled_npy([4, 1, 2], &[0.5; 8], 258, protocol);
            let (shape, values, label) = Npy::read(&file).unwrap().labelled().unwrap();
            assert_eq!((shape, values, label), (vec![4, 1, 2], vec![0.5; 8], 258));
        }
    }

    #[test]
    fn every_cut_is_an_error() {
        for protocol in [3, 4] {
            let file = labelled_npy([4, 1, 2], &[0.5; 8], 3, protocol);
            for length in 0..file.len() {
                let found = Npy::read(&file[..length]).and_then(|array| array.labelled());
                assert!(
                    found.is_err(),
                    "{length} of {} bytes: {found:?}",
                    file.len()
                );
            }
        }
        let file = npy("<f4", "(2,)", &[0; 8]);
        for length in 0..file.len() {
            let found = Npy::read(&file[..length]).and_then(|array| array.floats());
            assert!(
                found.is_err(),
                "{length} of {} bytes: {found:?}",
                file.len()
            );
        }
    }

    #[test]
    fn other_arrays_are_told_apart() {
        let found = |file: &[u8]| {
            Npy::read(file)
                .and_then(|array| array.floats())
                .unwrap_err()
        };
        assert_eq!(found(b"\x89PNG"), "no file of numpy's");
        assert_eq!(found(&npy("<f8", "(1,)", &[0; 8])), "an array of type <f8");
        assert_eq!(
            found(&npy("<f4", "(3,)", &[0; 8])),
            "an array [3] in 8 bytes"
        );
        let much = "(18446744073709551615, 18446744073709551615)";
        assert!(found(&npy("<f4", much, &[0; 8])).contains("in 8 bytes"));
        for shape in ["(-1,)", "(18446744073709551616,)", "((1,),)", "(1"] {
            let found = found(&npy("<f4", shape, &[0; 4]));
            assert_eq!(found, "an array whose header is damaged", "{shape}");
        }
        let deep = |brackets| found(&npy("<f4", &"(".repeat(brackets), b""));
        assert_eq!(deep(3_000), "an array whose header is damaged");
        assert_eq!(deep(60_000), "an array with a header of 60086 bytes");
        let mut turned = npy("<f4", "(1,)", &[0; 4]);
        let at = turned.windows(5).position(|word| word == b"False").unwrap();
        turned[at..at + 5].copy_from_slice(b"True,");
        assert_eq!(found(&turned), "an array whose header is damaged");
        let mut later = npy("<f4", "(1,)", &[0; 4]);
        later[6] = 9;
        assert_eq!(found(&later), "an array of numpy's format 9");
    }

    #[test]
    fn random_damage_is_an_error_or_another_array() {
        let mut random = ChaCha8Rng::seed_from_u64(2);
        let mut below = |bound: usize| random.next_u32() as usize % bound;
        let mut read = 0;
        for round in 0..20_000u16 {
            let mut file = labelled_npy([4, 1, 2], &[0.5; 8], 3, 3 + (round % 2) as u8);
            for _ in 0..=below(3) {
                let at = below(file.len());
                file[at] = below(256) as u8;
            }
            let labelled = Npy::read(&file).and_then(|array| array.labelled());
            if let Ok((shape, values, _)) = labelled {
                assert_eq!(shape.iter().product::<usize>(), values.len());
                read += 1;
            }
        }
        // Numbers and padding may be anything.
        assert!((500..18_000).contains(&read), "{read}");
    }

    #[test]
    fn code_in_an_array_of_objects_is_not_run() {
        let file = npy(
            "|O",
            "(2,)",
            b"\x80\x03cposix\nsystem\nX\x04\x00\x00\x00true\x85R.",
        );
        let found = Npy::read(&file).unwrap().labelled().unwrap_err();
        assert!(found.contains("posix.system"), "{found}");
    }
}
