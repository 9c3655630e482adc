//! Messages.

mod id;

pub use id::MessageId;
