//! The stack machine.

use std::collections::HashMap;

use super::array;
use super::error::{PickleError, Refusal};
use super::{Id, MOST_VALUES, PROTOCOLS, Pickle, Value};

type Outcome<T = ()> = Result<T, PickleError>;

/// Runs one pickle.
pub(super) struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    values: Vec<Value<'a>>,
    stack: Vec<Id>,
    /// Heights of the stack that were marked.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

impl<'a> Machine<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            values: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
        }
    }

    pub fn run(mut self) -> Outcome<Pickle<'a>> {
        loop {
            let opcode = self.take(1)?[0];
            if opcode == b'.' {
                return Ok(Pickle {
                    root: self.pop()?,
                    values: self.values,
                });
            }
            self.step(opcode)?;
        }
    }

    /// One instruction; the names in the comments are those of Python's `pickletools`.
    fn step(&mut self, opcode: u8) -> Outcome {
        match opcode {
            0x80 => self.protocol(),
            b'(' => self.mark(),                               // MARK
            b'N' => self.push(Value::None),                    // NONE
            0x88 => self.push(Value::Bool(true)),              // NEWTRUE
            0x89 => self.push(Value::Bool(false)),             // NEWFALSE
            b'K' => self.unsigned(1),                          // BININT1
            b'M' => self.unsigned(2),                          // BININT2
            b'J' => self.signed(4),                            // BININT
            0x8a => self.long(),                               // LONG1
            b'G' => self.float(),                              // BINFLOAT
            b'U' => self.string(1),                            // SHORT_BINSTRING
            b'T' | b'X' => self.string(4),                     // BINSTRING, BINUNICODE
            b'C' => self.string(1),                            // SHORT_BINBYTES
            b'B' => self.string(4),                            // BINBYTES
            b')' => self.push(Value::Tuple(Vec::new())),       // EMPTY_TUPLE
            b']' => self.push(Value::List(Vec::new())),        // EMPTY_LIST
            b'}' => self.push(Value::Dictionary(Vec::new())),  // EMPTY_DICT
            b't' => self.tuple_from_mark(),                    // TUPLE
            0x85..=0x87 => self.tuple(opcode as usize - 0x84), // TUPLE1, TUPLE2, TUPLE3
            b'a' => self.append(),                             // APPEND
            b'e' => self.append_from_mark(),                   // APPENDS
            b's' => self.set(),                                // SETITEM
            b'u' => self.set_from_mark(),                      // SETITEMS
            b'q' => self.put(1),                               // BINPUT
            b'r' => self.put(4),                               // LONG_BINPUT
            b'h' => self.recall(1),                            // BINGET
            b'j' => self.recall(4),                            // LONG_BINGET
            b'c' => self.name(),                               // GLOBAL
            b'R' => self.call(),                               // REDUCE
            b'b' => self.build(),                              // BUILD
            0x8c => self.string(1),                            // SHORT_BINUNICODE
            0x93 => self.name_from_stack(),                    // STACK_GLOBAL
            0x94 => self.memoize(),                            // MEMOIZE
            0x95 => self.take(8).map(drop),                    // FRAME
            _ => Err(self.unknown(opcode)),
        }
    }

    fn unknown(&self, opcode: u8) -> PickleError {
        PickleError::Instruction {
            opcode,
            at: self.at - 1,
        }
    }

    fn take(&mut self, length: usize) -> Outcome<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        let taken = rest.get(..length).ok_or(PickleError::CutOff)?;
        self.at += length;
        Ok(taken)
    }

    /// An unsigned number of `length` bytes, eight at most, least significant first.
    fn number(&mut self, length: usize) -> Outcome<u64> {
        let bytes = self.take(length)?;
        let shifted = |sum: u64, &byte: &u8| (sum << 8) | u64::from(byte);
        Ok(bytes.iter().rev().fold(0, shifted))
    }

    /// A number of four bytes at most.
    fn short(&mut self, length: usize) -> Outcome<u32> {
        Ok(self.number(length)? as u32)
    }

    fn line(&mut self) -> Outcome<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|&byte| byte == b'\n');
        let line = self.take(length.ok_or(PickleError::CutOff)?)?;
        self.at += 1;
        Ok(line)
    }

    fn damaged(&self, what: &'static str) -> PickleError {
        Refusal::Damaged(what).at(self.at)
    }

    fn push(&mut self, value: Value<'a>) -> Outcome {
        if self.values.len() == MOST_VALUES {
            return Err(PickleError::TooManyValues(MOST_VALUES));
        }
        self.stack.push(self.values.len());
        self.values.push(value);
        Ok(())
    }

    /// Takes `count` values from the stack, the last on top, none from below a mark.
    fn pop_many(&mut self, count: usize) -> Outcome<Vec<Id>> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.len().checked_sub(count) {
            Some(start) if start >= floor => Ok(self.stack.split_off(start)),
            _ => Err(self.damaged("its stack is empty")),
        }
    }

    fn pop(&mut self) -> Outcome<Id> {
        Ok(self.pop_many(1)?[0])
    }

    fn pop_two(&mut self) -> Outcome<[Id; 2]> {
        let ids = self.pop_many(2)?;
        Ok([ids[0], ids[1]])
    }

    /// Takes all values above the last mark.
    fn pop_to_mark(&mut self) -> Outcome<Vec<Id>> {
        let mark = self.marks.pop();
        let mark = mark.ok_or_else(|| self.damaged("a mark is missing"))?;
        Ok(self.stack.split_off(mark))
    }

    /// The value on top of the stack, which stays there.
    fn top(&mut self) -> Outcome<Id> {
        let id = self.pop()?;
        self.stack.push(id);
        Ok(id)
    }

    fn protocol(&mut self) -> Outcome {
        match self.short(1)? {
            version if PROTOCOLS.contains(&version) => Ok(()),
            version => Err(PickleError::Protocol(version)),
        }
    }

    fn mark(&mut self) -> Outcome {
        self.marks.push(self.stack.len());
        Ok(())
    }

    fn unsigned(&mut self, length: usize) -> Outcome {
        let number = self.short(length)?;
        self.push(Value::Integer(number.into()))
    }

    /// A number in two's complement.
    fn signed(&mut self, length: usize) -> Outcome {
        let unused = 64 - 8 * length as u32;
        let number = self.number(length)?;
        self.push(Value::Integer((number as i64) << unused >> unused))
    }

    fn long(&mut self) -> Outcome {
        match self.number(1)? {
            0 => self.push(Value::Integer(0)),
            length @ 1..=8 => self.signed(length as usize),
            _ => Err(self.damaged("a number is too large")),
        }
    }

    fn float(&mut self) -> Outcome {
        self.take(8)?;
        self.push(Value::Float)
    }

    /// Bytes, or a text: Python 2 made no difference between them.
    fn string(&mut self, length: usize) -> Outcome {
        let length = self.short(length)?;
        let bytes = self.take(length as usize)?;
        self.push(Value::Bytes(bytes))
    }

    fn tuple(&mut self, count: usize) -> Outcome {
        let items = self.pop_many(count)?;
        self.push(Value::Tuple(items))
    }

    fn tuple_from_mark(&mut self) -> Outcome {
        let items = self.pop_to_mark()?;
        self.push(Value::Tuple(items))
    }

    fn append(&mut self) -> Outcome {
        let items = self.pop_many(1)?;
        self.extend_list(items)
    }

    fn append_from_mark(&mut self) -> Outcome {
        let items = self.pop_to_mark()?;
        self.extend_list(items)
    }

    fn extend_list(&mut self, items: Vec<Id>) -> Outcome {
        let list = self.top()?;
        match &mut self.values[list] {
            Value::List(list) => list.extend(items),
            _ => return Err(self.damaged("something is added to what is no list")),
        }
        Ok(())
    }

    fn set(&mut self) -> Outcome {
        let items = self.pop_many(2)?;
        self.extend_dictionary(&items)
    }

    fn set_from_mark(&mut self) -> Outcome {
        let items = self.pop_to_mark()?;
        self.extend_dictionary(&items)
    }

    fn extend_dictionary(&mut self, items: &[Id]) -> Outcome {
        let (pairs, rest) = items.as_chunks::<2>();
        let dictionary = self.top()?;
        match &mut self.values[dictionary] {
            Value::Dictionary(entries) if rest.is_empty() => {
                entries.extend(pairs.iter().map(|&[key, value]| (key, value)));
            }
            _ => return Err(self.damaged("an entry is added to what is no dictionary")),
        }
        Ok(())
    }

    fn put(&mut self, length: usize) -> Outcome {
        let key = self.short(length)?;
        let id = self.top()?;
        self.memo.insert(key, id);
        Ok(())
    }

    fn memoize(&mut self) -> Outcome {
        // No more values than that are kept: each is kept once where Python wrote the pickle.
        let key = u32::try_from(self.memo.len()).map_err(|_| self.damaged("it keeps too much"))?;
        let id = self.top()?;
        self.memo.insert(key, id);
        Ok(())
    }

    fn recall(&mut self, length: usize) -> Outcome {
        let key = self.short(length)?;
        let id = self.memo.get(&key).copied();
        let id = id.ok_or_else(|| self.damaged("a value that was not kept is asked for"))?;
        self.stack.push(id);
        Ok(())
    }

    fn name(&mut self) -> Outcome {
        let (module, name) = (self.line()?, self.line()?);
        self.push_name(module, name)
    }

    fn name_from_stack(&mut self) -> Outcome {
        let [module, name] = self.pop_two()?;
        match (&self.values[module], &self.values[name]) {
            (&Value::Bytes(module), &Value::Bytes(name)) => self.push_name(module, name),
            _ => Err(self.damaged("a name that is no text")),
        }
    }

    fn push_name(&mut self, module: &'a [u8], name: &'a [u8]) -> Outcome {
        let Some(known) = array::named(module, name) else {
            let [module, name] =
                [module, name].map(|text| String::from_utf8_lossy(text).into_owned());
            return Err(PickleError::Name { module, name });
        };
        self.push(Value::Own(known))
    }

    fn call(&mut self) -> Outcome {
        let [function, arguments] = self.pop_two()?;
        let Value::Tuple(arguments) = &self.values[arguments] else {
            return Err(self.damaged("a call without arguments"));
        };
        let called = array::call(&self.values, function, arguments);
        self.push(called.map_err(|refusal| refusal.at(self.at))?)
    }

    fn build(&mut self) -> Outcome {
        let state = self.pop()?;
        let object = self.top()?;
        let built = array::build(&self.values, object, state);
        if let Some(value) = built.map_err(|refusal| refusal.at(self.at))? {
            self.values[object] = value;
        }
        Ok(())
    }
}
