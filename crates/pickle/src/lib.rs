//! Python's pickle format as data: a stack machine that calls nothing.
//!
//! A pickle is a program for a small stack machine. Real unpickling calls whatever the program
//! names. Here a [`Dialect`] says which few names the pickles of one kind of file need, and what a
//! call of them stands for; any other name is an error, and so is any instruction that makes classes
//! or extensions. Values refer to each other by index, so that nesting takes no stack and a value
//! that many others share no memory.

mod error;
mod machine;

use std::ops::RangeInclusive;

pub use error::{PickleError, Refusal};

/// The index of a value.
pub type Id = usize;

/// What the pickles of one kind of file may hold.
pub trait Dialect<'a> {
    /// The values that only these pickles have: the names that they refer to, and what calls build.
    type Own;

    /// The most values that are read.
    const MOST_VALUES: usize;

    /// The versions of the format that these files have. Instructions of version 4 are known where
    /// it is one of them.
    const PROTOCOLS: RangeInclusive<u32>;

    /// Whether texts are UTF-8; Python 2 made no difference between texts and bytes.
    const UTF_8: bool;

    /// What a name stands for; nothing where these pickles do not need it.
    fn name(module: &'a [u8], name: &'a [u8]) -> Option<Self::Own>;

    /// What the call of a function gives.
    ///
    /// # Errors
    /// Where the function is none, or its arguments are not what it takes.
    fn call(
        values: &[Value<'a, Self::Own>],
        function: Id,
        arguments: &[Id],
    ) -> Result<Called<'a, Self::Own>, Refusal>;

    /// What becomes of an object whose state is set; nothing where it stays as it is.
    ///
    /// # Errors
    /// Where the object has no such state.
    fn build(
        values: &[Value<'a, Self::Own>],
        object: Id,
        state: Id,
    ) -> Result<Option<Value<'a, Self::Own>>, Refusal>;

    /// What a reference to something outside of the pickle stands for; nothing where these pickles
    /// have none.
    ///
    /// # Errors
    /// Where the reference is not what it should be.
    fn outside(
        values: &[Value<'a, Self::Own>],
        reference: Id,
    ) -> Result<Option<Value<'a, Self::Own>>, Refusal> {
        let _ = (values, reference);
        Ok(None)
    }
}

/// What a call gives.
#[derive(Debug)]
pub enum Called<'a, O> {
    /// A value of its own.
    New(Value<'a, O>),
    /// One that is there already.
    Same(Id),
}

/// A value that a pickle builds.
#[derive(Debug)]
pub enum Value<'a, O> {
    /// None.
    None,
    /// True or false.
    Bool(bool),
    /// An integer.
    Integer(i64),
    /// A floating-point number, which nobody asks for.
    Float,
    /// Bytes, or a text.
    Bytes(&'a [u8]),
    /// A tuple.
    Tuple(Vec<Id>),
    /// A list.
    List(Vec<Id>),
    /// The entries of a dictionary in the order in which they were set.
    Dictionary(Vec<(Id, Id)>),
    /// One of the dialect's.
    Own(O),
}

impl<'a, O> Value<'a, O> {
    /// The text that it is.
    pub fn text(&self) -> Option<&'a str> {
        match self {
            Self::Bytes(bytes) => str::from_utf8(bytes).ok(),
            _ => None,
        }
    }
}

/// What a pickle builds.
#[derive(Debug)]
pub struct Pickle<'a, O> {
    values: Vec<Value<'a, O>>,
    root: Id,
    length: usize,
}

impl<'a, O> Pickle<'a, O> {
    /// Reads the pickle at the start of `bytes`.
    ///
    /// # Errors
    /// Where it is damaged, or not of the dialect.
    pub fn read<D: Dialect<'a, Own = O>>(bytes: &'a [u8]) -> Result<Self, PickleError> {
        machine::Machine::<D>::new(bytes).run()
    }

    /// The index of the value that the pickle is of.
    pub fn root(&self) -> Id {
        self.root
    }

    /// The value of an index that this pickle gave.
    pub fn get(&self, id: Id) -> &Value<'a, O> {
        &self.values[id]
    }

    /// All values, also those that the root does not hold.
    pub fn values(&self) -> &[Value<'a, O>] {
        &self.values
    }

    /// The pickle's length in bytes.
    pub fn length(&self) -> usize {
        self.length
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
