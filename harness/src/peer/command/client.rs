//! One run of a client's command: what it is told, and what its end means.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{UNSUPPORTED, manifest_folder, unsupported, variables};
use crate::peer::manifest::{ClientPart, Manifest};
use crate::peer::place::{Input, Place, putting, quoted};
use crate::peer::process::{Ran, crash};
use crate::peer::{
    Broken, ClientEnd, ClientJob, ClientRecord, Credential, Exec, ExecOutcome, KnownHost, NotDone,
    keys,
};
use crate::verdict::Log;
use crate::wording;

/// The exit status of a client that failed, as `ssh` has it.
const FAILED: i32 = 255;
/// The exit status of our own script when it cannot prepare what the client needs.
const NOT_PREPARED: i32 = 126;

/// How a client is run.
pub(super) struct Client {
    id: String,
    part: ClientPart,
    manifest_folder: (&'static str, String),
}

impl Client {
    pub(super) fn new(id: &str, manifest: &Manifest, part: &ClientPart) -> Self {
        Self {
            id: id.to_owned(),
            part: part.clone(),
            manifest_folder: manifest_folder(manifest),
        }
    }

    /// Runs the command once. It has one session, since the contract knows no more.
    pub(super) fn connect(
        &self,
        place: &dyn Place,
        job: &ClientJob,
    ) -> Result<ClientRecord, NotDone> {
        static JOBS: AtomicU64 = AtomicU64::new(1);
        let number = JOBS.fetch_add(1, Ordering::Relaxed);
        let folder = format!("{}/{}-client-{number}", place.folder(), self.id);
        let idle = Exec::idle();
        let exec = match job.execs.as_slice() {
            [] => &idle,
            [exec] => exec,
            _ => {
                return Err(NotDone::Unsupported(
                    "its command runs one session".to_owned(),
                ));
            }
        };
        let (Some(command), [], false) = (&exec.command, exec.env.as_slice(), exec.terminal) else {
            return Err(NotDone::Unsupported(
                "its command runs a command line, without variables and terminals".to_owned(),
            ));
        };
        let inputs = self.inputs(job, command, exec.stdin.as_deref(), &folder);
        let (putting, stdin) = putting(&inputs);
        let folder = quoted(&folder);
        let script = format!(
            "umask 077; {{ mkdir {folder} && cd {folder}; }} || exit {NOT_PREPARED}
             {putting}
             . ./parameters
             sh -c \"$(cat start)\" <stdin
             ended=$?
             cd / && rm -rf {folder}
             exit $ended"
        );
        let ran = place.run(&script, &stdin, job.deadline)?;
        let logs = vec![Log {
            name: format!("{} stderr", self.id),
            text: ran.stderr.clone(),
        }];
        Ok(ClientRecord {
            died: ran.code.and_then(crash),
            end: self.end(ran, job)?,
            logs,
            trace: Vec::new(),
            captures: Vec::new(),
        })
    }

    /// Files, because a command line can be read by anybody.
    fn inputs<'a>(
        &'a self,
        job: &'a ClientJob,
        command: &str,
        stdin: Option<&'a [u8]>,
        folder: &str,
    ) -> Vec<Input<'a>> {
        let known = match job.known_host {
            KnownHost::Right => Some(keys::HOST_PUBLIC),
            KnownHost::Other => Some(keys::OTHER_HOST_PUBLIC),
            KnownHost::Unknown => None,
        };
        let known = known.map(|line| {
            let words: Vec<&str> = line.split_whitespace().take(2).collect();
            words.join(" ")
        });
        let (host, port) = (&job.host, job.port);
        let line = |known: &String| format!("{host} {known}\n[{host}]:{port} {known}\n");
        let known_hosts = known.as_ref().map(line).unwrap_or_default();
        let mut values = vec![
            self.manifest_folder.clone(),
            ("ROLE", "client".to_owned()),
            ("HOST", host.clone()),
            ("PORT", port.to_string()),
            ("USER", job.user.clone()),
            ("USER_KEY", format!("{folder}/user_ed25519")),
            ("KNOWN_HOSTS", format!("{folder}/known_hosts")),
            ("KNOWN_HOST_KEY", known.unwrap_or_default()),
            ("COMMAND", command.to_owned()),
            ("SEED", job.seed.to_string()),
        ];
        if let Credential::Password(password) = &job.credential {
            values.push(("PASSWORD", password.clone()));
        }
        let file = |name: &str, content: Vec<u8>| (name.to_owned(), "600", content.into());
        vec![
            file("parameters", variables(&values).into_bytes()),
            file("start", self.part.start.clone().into_bytes()),
            file("user_ed25519", keys::USER.as_bytes().to_vec()),
            file("known_hosts", known_hosts.into_bytes()),
            file("stdin", stdin.unwrap_or_default().to_vec()),
        ]
    }

    /// What the end of the command means.
    fn end(&self, ran: Ran, job: &ClientJob) -> Result<ClientEnd, NotDone> {
        let said = |words: &[String]| {
            let mut words = words.iter();
            words.any(|words| ran.stderr.contains(words.as_str()))
        };
        let code = match ran.code {
            Some(UNSUPPORTED) => return Err(unsupported(&ran.stderr)),
            Some(NOT_PREPARED) => {
                let what = format!("cannot prepare {}: {}", self.id, ran.stderr.trim());
                return Err(Broken::new(what).into());
            }
            Some(code) => code,
            None => {
                let last = ran.stderr.lines().last().unwrap_or("nothing");
                let deadline = wording::time(job.deadline);
                return Ok(ClientEnd::Failed(format!(
                    "not done after {deadline}; the last thing on its stderr: {last}"
                )));
            }
        };
        Ok(if said(&self.part.host_key_refused) {
            ClientEnd::RefusedHostKey
        } else if said(&self.part.login_refused) {
            ClientEnd::AuthFailed
        } else if code == FAILED || said(&self.part.failed) {
            ClientEnd::Failed(ran.stderr.trim().to_owned())
        } else {
            ClientEnd::Done(vec![ExecOutcome {
                stdout: ran.stdout,
                stderr: ran.stderr.into_bytes(),
                exit_status: u32::try_from(code).ok(),
                exit_signal: None,
            }])
        })
    }
}
