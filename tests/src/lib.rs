//! What the tests that cross crates share: the devices under test, tiny networks, images in memory,
//! and comparisons that name what differs.

mod compare;
mod devices;
mod images;
mod networks;
mod published;
mod random;

pub use compare::{Named, assert_all_close, assert_close, gradients, parameters, values};
pub use devices::{announce, devices_under_test, on_every_device, reference_device};
pub use images::{Patterns, Watcher};
pub use networks::{Network, NetworkKind, TestScale, one, row};
pub use published::{write_pytorch, write_safetensors};
pub use random::Draw;
