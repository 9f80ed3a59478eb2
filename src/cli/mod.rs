//! What the command line is made of: one file a subcommand or kind of output.

mod sheet;
