//! Scenarios of the tests: one that passes with everybody, and one that nobody passes.

pub(crate) const PASSES: &str = r#"# A command prints what it should.
scenario  made-up/passes
subject   pair
cites     rfc4254-6.5/exec

client login publickey
client exec "echo hello"
expect stdout "hello\n"
"#;

pub(crate) const FAILS: &str = r#"# A command prints something that nobody said.
scenario  made-up/fails
subject   pair
cites     rfc4254-6.5/exec

client login publickey
client exec "echo hello"
expect stdout "goodbye\n"
"#;
