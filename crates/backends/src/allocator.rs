//! The memory allocator of the binaries.

use libmimalloc_sys::{mi_option_set, mi_option_t};

/// `mi_option_purge_delay` of `mimalloc.h`, which the bindings do not name.
const PURGE_DELAY: mi_option_t = 15;

/// Keeps freed memory for the next step instead of handing it back to the system.
///
/// Every step of a network allocates what the step before has freed. Mapping it again costs as much
/// as the matrix products that fill it.
pub fn keep_freed_memory() {
    // SAFETY: the option exists in every version of the bundled allocator, and any time may be set.
    unsafe { mi_option_set(PURGE_DELAY, -1) };
}
