//! minissh: an SSH-2 client and server with exactly one choice of each algorithm.

pub mod blocking;
pub mod cli;
pub mod crypto;
pub mod engine;
pub mod ident;
pub mod keyfile;
pub mod msg;
pub mod net;
pub mod packet;
pub mod process;
pub mod trace;
pub mod wire;
