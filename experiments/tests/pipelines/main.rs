//! The programs of the paper's data sets, as their users run them.
#![cfg(feature = "flex")]

mod backends;
mod bad_data;
mod budgets;
mod calibrations;
mod full_disk;
mod imports;
mod killed;
mod made;
mod memory;
#[cfg(all(unix, feature = "mpi"))]
mod mpirun;
mod processes;
mod published;
mod results;
mod tables;
mod training;
