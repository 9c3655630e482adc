//! Everything that is tested from outside of the library, in one program, because linking many would
//! take longer than running them. What counts the descriptors of its process is in `leaks.rs`.

// What the tests stand on.
mod facade;
mod openssh;
mod pair;
mod program;
mod raw;
mod tap;
mod terminal;

mod cli;
mod client_cli;
mod client_login;
mod examples;
mod extensions;
mod facade_async;
mod facade_auth;
mod facade_channels;
mod facade_openssh;
mod facade_process;
mod facade_refusals;
mod facade_shell;
mod faults;
mod guide;
mod host_key_cli;
mod idle;
mod keyfile_openssh;
mod keyfile_sshd;
mod keygen_cli;
mod limits;
mod log_levels;
mod packet_log;
mod pair_session;
mod rekey;
mod tidy;
mod tshark;
mod windows;
