//! The stack machine.

use std::collections::HashMap;

use super::{Id, MOST_VALUES, Pickle, Value};

/// Runs one pickle.
pub(super) struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    pub(super) values: Vec<Value<'a>>,
    pub(super) stack: Vec<Id>,
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
                    length: self.at,
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
            b'X' => self.text(4),                              // BINUNICODE
            b'U' => self.text(1),                              // SHORT_BINSTRING
            b')' => self.push(Value::Tuple(Vec::new())),       // EMPTY_TUPLE
            b']' => self.push(Value::List(Vec::new())),        // EMPTY_LIST
            b'}' => self.push(Value::Dict(Vec::new())),        // EMPTY_DICT
            b't' => self.tuple_from_mark(),                    // TUPLE
            0x85..=0x87 => self.tuple(opcode as usize - 0x84), // TUPLE1, TUPLE2, TUPLE3
            b'a' => self.append(1),                            // APPEND
            b'e' => self.append_from_mark(),                   // APPENDS
            b's' => self.set(2),                               // SETITEM
            b'u' => self.set_from_mark(),                      // SETITEMS
            b'q' => self.put(1),                               // BINPUT
            b'r' => self.put(4),                               // LONG_BINPUT
            b'h' => self.recall(1),                            // BINGET
            b'j' => self.recall(4),                            // LONG_BINGET
            b'c' => self.name(),                               // GLOBAL
            b'Q' => self.storage(),                            // BINPERSID
            b'R' => self.call(),                               // REDUCE
            b'b' => self.attributes(),                         // BUILD
            _ => Err(format!(
                "its pickle has the instruction {opcode:#04x} at byte {}, which no state \
                 dictionary needs",
                self.at - 1
            )),
        }
    }

    fn take(&mut self, length: usize) -> Outcome<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        let taken = rest.get(..length).ok_or("its pickle is cut off")?;
        self.at += length;
        Ok(taken)
    }

    /// An unsigned number of `length` bytes, least significant first.
    fn number(&mut self, length: usize) -> Outcome<u64> {
        let bytes = self.take(length)?;
        Ok(bytes
            .iter()
            .rev()
            .fold(0, |sum, &byte| sum << 8 | u64::from(byte)))
    }

    pub(super) fn line(&mut self) -> Outcome<&'a str> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|&byte| byte == b'\n');
        let line = self.take(length.ok_or("its pickle is cut off")?)?;
        self.at += 1;
        str::from_utf8(line).map_err(|_| self.damaged("a name is not UTF-8"))
    }

    pub(super) fn damaged(&self, what: &str) -> String {
        format!("its pickle is damaged before byte {}: {what}", self.at)
    }

    pub(super) fn push(&mut self, value: Value<'a>) -> Outcome {
        if self.values.len() == MOST_VALUES {
            return Err(format!(
                "its pickle builds more values than any state dictionary ({MOST_VALUES})"
            ));
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
        let mark = self
            .marks
            .pop()
            .ok_or_else(|| self.damaged("a mark is missing"))?;
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
            2..=3 => Ok(()),
            version => Err(format!(
                "its pickle has protocol {version}; save it with `pickle_protocol=2`, PyTorch's default"
            )),
        }
    }

    fn mark(&mut self) -> Outcome {
        self.marks.push(self.stack.len());
        Ok(())
    }

    fn unsigned(&mut self, length: usize) -> Outcome {
        let number = self.number(length)?;
        self.push(Value::Int(number as i64))
    }

    /// A number in two's complement.
    fn signed(&mut self, length: usize) -> Outcome {
        let unused = 64 - 8 * length as u32;
        let number = self.number(length)?;
        self.push(Value::Int((number as i64) << unused >> unused))
    }

    fn long(&mut self) -> Outcome {
        match self.number(1)? {
            0 => self.push(Value::Int(0)),
            length @ 1..=8 => self.signed(length as usize),
            _ => Err(self.damaged("a number is too large")),
        }
    }

    fn float(&mut self) -> Outcome {
        self.take(8)?;
        self.push(Value::Float)
    }

    fn text(&mut self, length: usize) -> Outcome {
        let length = self.number(length)?;
        let bytes = self.take(length as usize)?;
        let text = str::from_utf8(bytes).map_err(|_| self.damaged("a text is not UTF-8"))?;
        self.push(Value::Text(text))
    }

    fn tuple(&mut self, count: usize) -> Outcome {
        let items = self.pop_many(count)?;
        self.push(Value::Tuple(items))
    }

    fn tuple_from_mark(&mut self) -> Outcome {
        let items = self.pop_to_mark()?;
        self.push(Value::Tuple(items))
    }

    fn append(&mut self, count: usize) -> Outcome {
        let items = self.pop_many(count)?;
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

    fn set(&mut self, count: usize) -> Outcome {
        let items = self.pop_many(count)?;
        self.extend_dict(&items)
    }

    fn set_from_mark(&mut self) -> Outcome {
        let items = self.pop_to_mark()?;
        self.extend_dict(&items)
    }

    fn extend_dict(&mut self, items: &[Id]) -> Outcome {
        let (pairs, rest) = items.as_chunks::<2>();
        let dict = self.top()?;
        match &mut self.values[dict] {
            Value::Dict(entries) if rest.is_empty() => {
                entries.extend(pairs.iter().map(|&[key, value]| (key, value)));
            }
            _ => return Err(self.damaged("an entry is added to what is no dictionary")),
        }
        Ok(())
    }

    fn put(&mut self, length: usize) -> Outcome {
        let key = self.number(length)? as u32;
        let id = self.top()?;
        self.memo.insert(key, id);
        Ok(())
    }

    fn recall(&mut self, length: usize) -> Outcome {
        let key = self.number(length)? as u32;
        let id = self.memo.get(&key).copied();
        self.stack
            .push(id.ok_or_else(|| self.damaged("a value that was not kept is asked for"))?);
        Ok(())
    }
}
