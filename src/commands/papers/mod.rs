//! What helps people outside of the program: man pages, and the completion of its words in shells. Both are made of the
//! tables that the command line is read by. The texts and the scripts lie beside this file. May touch: everything below.

pub mod complete;
pub mod man;
