//! The one choice of each algorithm: X25519, Ed25519, SHA-256 and `chacha20-poly1305@openssh.com`.
//!
//! Pure functions of their arguments. Randomness is handed in, secrets wipe themselves and never
//! print. The primitives are those of the `RustCrypto` and dalek crates; what stands here is how SSH
//! puts them together.

mod chachapoly;
mod ed25519;
mod kdf;
mod random;
mod secret;
mod x25519;

pub use chachapoly::{PacketKey, TAG_BYTES, TagMismatch};
pub use ed25519::{KeyFault, PublicKey, SignatureFault, SigningKey};
pub use kdf::{ExchangeHash, KeyLetter, Transcript, packet_key};
pub use rand_core::CryptoRng;
pub use random::{Rng, from_os, from_seed};
pub use secret::Secret;
pub use x25519::{EphemeralKey, ShareFault, SharedSecret};
