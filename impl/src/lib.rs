//! minissh: an SSH-2 client and server with exactly one choice of each algorithm.

pub mod msg;
pub mod trace;
