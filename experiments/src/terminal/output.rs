//! What is told on standard output and standard error.
//!
//! `println!` and `eprintln!` panic where nobody reads any more, as behind `| head`, and where a disk is
//! full. Work is stored before it is told of, and goes on without a reader.

use std::fmt;
use std::io::{self, ErrorKind, Write};

use anyhow::{Context, Result};

/// Prints a line of results; nothing where the reader of standard output has gone away.
///
/// # Errors
/// Where standard output takes nothing for another reason, for example as its disk is full.
pub fn print_line(line: fmt::Arguments<'_>) -> Result<()> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{line}").and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        printed => printed.context("cannot write to standard output"),
    }
}

/// Tells how the work goes on standard error. Where that cannot be written to, there is nobody to tell
/// that to.
pub fn note_line(line: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// [`print_line`] of a text as `println!` takes it.
macro_rules! say {
    ($($text:tt)+) => { $crate::terminal::print_line(format_args!($($text)+)) };
}

/// [`note_line`] of a text as `eprintln!` takes it.
macro_rules! note {
    ($($text:tt)+) => { $crate::terminal::note_line(format_args!($($text)+)) };
}

pub(crate) use {note, say};
