use thiserror::Error;

/// Why a pickle was not read.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum PickleError {
    /// It ends in the middle.
    #[error("a pickle that is cut off")]
    CutOff,
    /// An instruction that these files do not need, such as those that make classes.
    #[error("a pickle with the instruction {opcode:#04x} at byte {at}")]
    Instruction {
        /// The instruction.
        opcode: u8,
        /// Where it stands.
        at: usize,
    },
    /// A version of the format that these files do not have.
    #[error("a pickle of protocol {0}")]
    Protocol(u32),
    /// More values than these files have.
    #[error("a pickle of more than {0} values")]
    TooManyValues(usize),
    /// A name that these files do not need: somebody may hope that it is called.
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
    /// Something that makes sense, and that these files do not hold.
    #[error("{0}")]
    Other(String),
}

/// Why a dialect refuses something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It makes no sense.
    Damaged(&'static str),
    /// It makes sense, and these files do not hold such a thing.
    Other(String),
}

impl Refusal {
    /// The error of a pickle that was read up to `at`.
    pub(crate) fn at(self, at: usize) -> PickleError {
        match self {
            Self::Damaged(what) => PickleError::Damaged { at, what },
            Self::Other(what) => PickleError::Other(what),
        }
    }
}
