//! The `lookalike` command.

mod cli;

fn main() {}
