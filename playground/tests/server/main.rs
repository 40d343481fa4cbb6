//! The program as its visitors meet it, over connections of their own.

mod client;
mod drawing;
mod strangers;
