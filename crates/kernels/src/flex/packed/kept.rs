//! Factors packed whole; weights are kept for as long as the tensors that they were packed from, or until afterwards
//! the next weight is looked for and not found.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use burn_std::Bytes;
use rayon::prelude::*;

use super::super::product::View;
use super::super::{Elements, all_set, written};
use super::COLUMNS;
use super::format::Format;
use super::panel::Columns;

/// Products of more rows than this pack the weight each time, which is then little work beside them: what is kept
/// takes as much memory again as the weights.
const MOST_ROWS: usize = 4096;

/// A factor `[inputs, outputs]` as panels of [`COLUMNS`] columns.
pub(super) struct Packed<F: Format> {
    units: Vec<F::Unit>,
    /// Units of a panel.
    panel: usize,
    outputs: usize,
}

impl<F: Format> Packed<F> {
    /// `pack` is given columns and their panel, and sets all of these that it has.
    pub(super) fn new(
        [inputs, outputs]: [usize; 2],
        pack: impl Fn(Range<usize>, &mut [F::Unit]) + Sync,
    ) -> Self {
        let panel = inputs.div_ceil(F::VALUES) * COLUMNS;
        // SAFETY: whole panels are packed, and of a part of one all that is not is set first.
        let units = unsafe {
            written(outputs.div_ceil(COLUMNS) * panel, |units| {
                units
                    .par_chunks_mut(panel.max(1))
                    .enumerate()
                    .for_each(|(index, out)| {
                        let first = index * COLUMNS;
                        let columns = first..outputs.min(first + COLUMNS);
                        if columns.len() < COLUMNS {
                            out.fill(MaybeUninit::new(F::Unit::default()));
                        }
                        pack(columns, all_set(out));
                    });
            })
        };
        Self {
            units,
            panel,
            outputs,
        }
    }

    /// The panels, each with the number of its first column.
    pub(super) fn panels(&self) -> impl Iterator<Item = (usize, Columns<'_, F>)> {
        (0..self.outputs.div_ceil(COLUMNS)).map(|index| {
            let units = &self.units[index * self.panel..][..self.panel];
            let first = index * COLUMNS;
            let count = COLUMNS.min(self.outputs - first);
            (first, Columns { units, count })
        })
    }
}

/// What tells a weight from others: where its array lies and which part of it it is, its sizes, and the format.
type Key = (usize, usize, [usize; 2], TypeId);

/// An array that still has its owner, and what was packed from it.
type Entry = (Weak<Bytes>, Arc<dyn Any + Send + Sync>);

// A weak pointer keeps the address from being given to another array, and whoever wants to change an array to
// which there is one changes a copy. So what is found under an address whose owner lives was packed from what is
// there.
static KEPT: LazyLock<Mutex<HashMap<Key, Entry>>> = LazyLock::new(Mutex::default);

/// The weight `[inputs, outputs]`, packed for products of `rows` rows.
pub(super) fn packed<F: Format>(
    weight: &Elements,
    [inputs, outputs]: [usize; 2],
    rows: usize,
) -> Arc<Packed<F>> {
    let array = weight.tensor.data_arc();
    let address = Arc::as_ptr(&array).addr();
    let key = (
        address,
        weight.range.start,
        [inputs, outputs],
        TypeId::of::<F>(),
    );
    let find = || {
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((owner, found)) = kept.get(&key)
            && owner.strong_count() > 0
        {
            return Arc::clone(found).downcast().ok();
        }
        kept.retain(|_, (owner, _)| owner.strong_count() > 0);
        None
    };
    if let Some(found) = find() {
        return found;
    }
    let view = View::new(F::values(weight), 0, outputs);
    let packed = Packed::<F>::new([inputs, outputs], |columns, out| {
        F::pack(view, 0..inputs, columns, out);
    });
    let packed = Arc::new(packed);
    // An array that nobody else holds is a copy, of a weight whose rows lie apart, or about to be dropped.
    if rows <= MOST_ROWS && Arc::strong_count(&array) > 2 {
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert(key, (Arc::downgrade(&array), packed.clone()));
    }
    packed
}
