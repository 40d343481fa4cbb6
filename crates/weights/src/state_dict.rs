//! From a pickle to the tensors of a network.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::StoredTensor;
use crate::error::Fault;
use crate::pickle::{self, Object, Pickle, Tensor, Value};
use crate::stored::count;

/// The longest pickle that is read. That of a network with a thousand tensors has 150 kB.
pub(crate) const LONGEST_PICKLE: u64 = 16 << 20;

/// The names under which checkpoints keep the network's state dictionary, the first preferred.
const WRAPPERS: [&str; 3] = ["model_state_dict", "state_dict", "model"];

/// Where the storages that a pickle refers to lie in its file.
pub(crate) trait Storages {
    /// The bytes of a storage in the file.
    fn find(&self, key: &str) -> Option<Range<u64>>;
}

/// The tensors of the state dictionary in `pickle`.
pub(crate) fn tensors(
    pickle: &[u8],
    storages: &impl Storages,
) -> Result<BTreeMap<String, StoredTensor>, Fault> {
    let pickle = pickle::read(pickle)?;
    let mut tensors = BTreeMap::new();
    for (name, value) in state_dict(&pickle)? {
        let Value::Own(Object::Tensor(tensor)) = value else {
            return Fault::damaged(format!("{name} in its state dictionary is no tensor"));
        };
        let stored = locate(tensor, storages).map_err(|reason| format!("{name} {reason}"))?;
        if tensors.insert(name.to_owned(), stored).is_some() {
            return Fault::damaged(format!("{name} stands in its state dictionary twice"));
        }
    }
    Ok(tensors)
}

type Items<'p, 'a> = Vec<(&'p str, &'p Value<'a>)>;

/// The entries of the network's state dictionary: the root, or a dictionary in it.
fn state_dict<'p, 'a>(pickle: &'p Pickle<'a>) -> Result<Items<'p, 'a>, Fault> {
    let holds_tensors = |items: &Items<'p, 'a>| {
        items
            .iter()
            .any(|(_, value)| matches!(value, Value::Own(Object::Tensor(_))))
    };
    let Some(root) = items(pickle, pickle.get(pickle.root())) else {
        return Fault::damaged(
            "it holds no dictionary; save the network's `state_dict()` instead of the network",
        );
    };
    if holds_tensors(&root) {
        return Ok(root);
    }
    let mut wrapped: Vec<_> = root
        .iter()
        .filter_map(|&(name, value)| Some((name, items(pickle, value)?)))
        .filter(|(_, items)| holds_tensors(items))
        .collect();
    let preferred = WRAPPERS
        .iter()
        .find_map(|wrapper| wrapped.iter().position(|(name, _)| name == wrapper));
    match (preferred, wrapped.len()) {
        (Some(index), _) => Ok(wrapped.swap_remove(index).1),
        (None, 1) => Ok(wrapped.remove(0).1),
        (None, 0) => Fault::damaged("it holds no tensors"),
        (None, _) => {
            let names: Vec<_> = wrapped.iter().map(|(name, _)| *name).collect();
            Fault::damaged(format!(
                "it holds several state dictionaries ({}), none of them named {}; save the wanted \
                 one alone",
                names.join(", "),
                WRAPPERS.join(" or ")
            ))
        }
    }
}

/// The entries of a dictionary whose keys are text.
fn items<'p, 'a>(pickle: &'p Pickle<'a>, value: &'p Value<'a>) -> Option<Items<'p, 'a>> {
    let Value::Dictionary(entries) = value else {
        return None;
    };
    entries
        .iter()
        .map(|&(key, value)| Some((pickle.get(key).text()?, pickle.get(value))))
        .collect()
}

/// Finds a tensor's values in the file; the error continues a sentence that starts with its name.
fn locate(tensor: &Tensor<'_>, storages: &impl Storages) -> Result<StoredTensor, String> {
    let Tensor {
        storage,
        offset,
        shape,
        strides,
    } = tensor;
    let too_large = || format!("has the shape {shape:?}, which its storage cannot hold");
    let values = count(shape).ok_or_else(too_large)?;
    if !is_row_major(shape, strides) {
        return Err(format!(
            "is not stored row by row (shape {shape:?}, strides {strides:?}); save its \
             `.contiguous()`"
        ));
    }
    let end = offset.checked_add(values as u64).ok_or_else(too_large)?;
    if end > storage.values {
        return Err(too_large());
    }
    let Some(content) = storages.find(storage.key) else {
        return Err(format!(
            "has lost its values: storage {} is missing",
            storage.key
        ));
    };
    if storage
        .bytes()
        .is_none_or(|bytes| bytes > content.end - content.start)
    {
        return Err(format!("is cut off in storage {}", storage.key));
    }
    Ok(StoredTensor {
        dtype: storage.dtype,
        shape: shape.clone(),
        start: content.start + offset * storage.dtype.size() as u64,
    })
}

/// Whether the values of a tensor follow one another, the last index fastest.
fn is_row_major(shape: &[usize], strides: &[usize]) -> bool {
    if shape.len() != strides.len() {
        return false;
    }
    let mut expected = 1usize;
    shape.iter().zip(strides).rev().all(|(&size, &stride)| {
        let fits = size <= 1 || stride == expected;
        expected = expected.saturating_mul(size);
        fits
    })
}

#[cfg(test)]
mod tests {
    use super::is_row_major;

    #[test]
    fn row_major_strides_are_told_from_others() {
        assert!(is_row_major(&[2, 3, 4], &[12, 4, 1]));
        assert!(is_row_major(&[2, 1, 4], &[4, 999, 1]));
        assert!(is_row_major(&[], &[]));
        assert!(!is_row_major(&[3, 2], &[1, 3]));
        assert!(!is_row_major(&[3, 2], &[0, 1]));
        assert!(!is_row_major(&[3, 2], &[2]));
    }
}
