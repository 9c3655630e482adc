//! minissh: an SSH-2 client and server with exactly one choice of each algorithm.

pub mod crypto;
pub mod engine;
pub mod ident;
pub mod msg;
pub mod packet;
pub mod trace;
pub mod wire;
