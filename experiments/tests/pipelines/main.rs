//! The programs of the paper's data sets, as their users run them.
#![cfg(feature = "flex")]

mod backends;
mod budgets;
mod killed;
mod made;
mod processes;
mod results;
mod tables;
