use thiserror::Error;

use crate::{BackendName, DeviceName, Precision};

/// Why work cannot be done on the named devices.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum BackendError {
    /// The backend was left out of this program.
    #[error(
        "this program was built without the device '{0}'; build it with \
         `cargo build --release --features {name}`", name = .0.backend.name()
    )]
    NotBuilt(DeviceName),
    /// A second device of a backend that has one.
    #[error("there is only one {name} device, index {index} does not exist", name = .backend.name())]
    NoSuchIndex { backend: BackendName, index: usize },
    /// The device, or what drives it, is missing.
    #[error("the device '{device}' is not there: {advice}")]
    NotThere {
        device: DeviceName,
        advice: &'static str,
    },
    /// The device did not answer earlier, and is not asked again.
    #[error("the device '{0}' failed before")]
    FailedBefore(DeviceName),
    /// The device does not compute in the wished type.
    #[error("this device does not compute in {name}", name = .0.name())]
    Unsupported(Precision),
    /// A device by rank where the launcher does not tell the rank within the machine.
    #[error(
        "the launcher does not tell this process's number among those of its machine: name an index"
    )]
    NoLocalRank,
    /// The rank and the number of processes contradict each other, or one of them is missing.
    #[error("{0}")]
    Rank(String),
}
