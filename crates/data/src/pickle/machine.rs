//! The stack machine.

use std::collections::HashMap;

use super::{Id, MOST_VALUES, Pickle, Value};

/// Runs one pickle.
pub(super) struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    pub(super) values: Vec<Value<'a>>,
    stack: Vec<Id>,
    /// Heights of the stack that were marked.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

pub(super) type Outcome<T = ()> = Result<T, String>;

impl<'a> Machine<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            values: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
        }
    }

    pub(super) fn run(mut self) -> Outcome<Pickle<'a>> {
        loop {
            let opcode = self.number(1)? as u8;
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
            b'N' | 0x88 => self.push(Value::Other),            // NONE, NEWTRUE
            0x89 => self.push(Value::False),                   // NEWFALSE
            b'K' => self.unsigned(1),                          // BININT1
            b'M' => self.unsigned(2),                          // BININT2
            b'J' => self.signed(),                             // BININT
            b'U' | b'C' | 0x8c => self.text(1),                // SHORT_BIN- STRING, BYTES, UNICODE
            b'T' | b'B' | b'X' => self.text(4),                // BIN- STRING, BYTES, UNICODE
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
            0x94 => self.memoize(),                            // MEMOIZE
            b'h' => self.recall(1),                            // BINGET
            b'j' => self.recall(4),                            // LONG_BINGET
            b'c' => self.name(),                               // GLOBAL
            0x93 => self.name_from_stack(),                    // STACK_GLOBAL
            0x95 => self.take(8).map(drop),                    // FRAME
            b'R' => self.call(),                               // REDUCE
            b'b' => self.build(),                              // BUILD
            _ => Err(format!(
                "a pickle with the instruction {opcode:#04x} at byte {}, which no data set needs",
                self.at - 1
            )),
        }
    }

    fn take(&mut self, length: usize) -> Outcome<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        let taken = rest.get(..length).ok_or("a pickle that is cut off")?;
        self.at += length;
        Ok(taken)
    }

    /// An unsigned number of `length` bytes, least significant first.
    fn number(&mut self, length: usize) -> Outcome<u32> {
        let bytes = self.take(length)?;
        let shifted = |sum, &byte: &u8| sum << 8 | u32::from(byte);
        Ok(bytes.iter().rev().fold(0, shifted))
    }

    pub(super) fn line(&mut self) -> Outcome<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|&byte| byte == b'\n');
        let line = self.take(length.ok_or("a pickle that is cut off")?)?;
        self.at += 1;
        Ok(line)
    }

    pub(super) fn damaged(&self, what: &str) -> String {
        format!("a pickle that is damaged before byte {}: {what}", self.at)
    }

    pub(super) fn push(&mut self, value: Value<'a>) -> Outcome {
        if self.values.len() == MOST_VALUES {
            return Err(format!("a pickle of more than {MOST_VALUES} values"));
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

    pub(super) fn pop(&mut self) -> Outcome<Id> {
        Ok(self.pop_many(1)?[0])
    }

    /// Takes all values above the last mark.
    fn pop_to_mark(&mut self) -> Outcome<Vec<Id>> {
        let mark = self.marks.pop();
        let mark = mark.ok_or_else(|| self.damaged("a mark is missing"))?;
        Ok(self.stack.split_off(mark))
    }

    /// The value on top of the stack, which stays there.
    pub(super) fn top(&mut self) -> Outcome<Id> {
        let id = self.pop()?;
        self.stack.push(id);
        Ok(id)
    }

    fn protocol(&mut self) -> Outcome {
        match self.number(1)? {
            2..=4 => Ok(()),
            version => Err(format!(
                "a pickle of protocol {version} where data sets have 2 to 4"
            )),
        }
    }

    fn mark(&mut self) -> Outcome {
        self.marks.push(self.stack.len());
        Ok(())
    }

    fn unsigned(&mut self, length: usize) -> Outcome {
        let number = self.number(length)?;
        self.push(Value::Integer(number.into()))
    }

    fn signed(&mut self) -> Outcome {
        let number = self.number(4)?.cast_signed();
        self.push(Value::Integer(number.into()))
    }

    fn text(&mut self, length: usize) -> Outcome {
        let length = self.number(length)?;
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
        let key = self.number(length)?;
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
        let key = self.number(length)?;
        let id = self.memo.get(&key).copied();
        let unknown = || self.damaged("a value that was not kept is asked for");
        self.stack.push(id.ok_or_else(unknown)?);
        Ok(())
    }

    pub(super) fn pop_two(&mut self) -> Outcome<[Id; 2]> {
        let ids = self.pop_many(2)?;
        Ok([ids[0], ids[1]])
    }
}
