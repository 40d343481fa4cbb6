use thiserror::Error;

/// Why a pickle was not read.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(super) enum PickleError {
    /// It ends in the middle.
    #[error("a pickle that is cut off")]
    CutOff,
    /// An instruction that data sets do not need, such as those that make classes.
    #[error("a pickle with the instruction {opcode:#04x} at byte {at}")]
    Instruction {
        /// The instruction.
        opcode: u8,
        /// Where it stands.
        at: usize,
    },
    /// A version of the format that data sets do not have.
    #[error("a pickle of protocol {0}")]
    Protocol(u32),
    /// More values than data sets have.
    #[error("a pickle of more than {0} values")]
    TooManyValues(usize),
    /// A name that data sets do not need: somebody may hope that it is called.
    #[error("a pickle that asks for {module}.{name}")]
    Name {
        /// The module.
        module: String,
        /// The name in it.
        name: String,
    },
    /// Instructions that make no sense.
    #[error("a pickle that is damaged before byte {at}: {what}")]
    Damaged {
        /// Where that was noticed.
        at: usize,
        /// What makes no sense.
        what: &'static str,
    },
    /// Something that makes sense, and that data sets do not hold.
    #[error("{0}")]
    Other(String),
}

/// Why something in a pickle is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It makes no sense.
    Damaged(&'static str),
    /// It makes sense, and data sets do not hold such a thing.
    Other(String),
}

impl Refusal {
    /// The error of a pickle that was read up to `at`.
    pub(super) fn at(self, at: usize) -> PickleError {
        match self {
            Self::Damaged(what) => PickleError::Damaged { at, what },
            Self::Other(what) => PickleError::Other(what),
        }
    }
}
