//! Whether a server is who it says: `known_hosts`, asked and written as users of `ssh` expect.

use std::path::{Path, PathBuf};
use std::sync::mpsc;

use super::{Failure, log, terminal};
use crate::blocking::{self, Ssh};
use crate::crypto::PublicKey;
use crate::keyfile::{self, Known, KnownHosts, Place, fingerprint, known_host_name};
use crate::net::{Error, Options};

/// What the administrator of this machine knows of hosts; the same file as for `ssh`.
const SYSTEM_FILE: &str = "/etc/ssh/ssh_known_hosts";

/// How host keys are checked.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct HostKeyArgs {
    /// Where host keys are remembered; without it, `~/.ssh/known_hosts`. Those of
    /// `/etc/ssh/ssh_known_hosts` count in any case.
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    known_hosts: Option<PathBuf>,
    /// Remember the key of a host that is not known yet without asking. A changed key is refused
    /// all the same.
    #[arg(long)]
    accept_new: bool,
}

/// Connects, and goes on only if the server's key is the right one.
pub(super) fn connect(
    args: &HostKeyArgs,
    host: &str,
    port: u16,
    options: Options,
) -> Result<Ssh, Failure> {
    let check = Check::new(args, host, port)?;
    let (refused, was_refused) = mpsc::channel();
    let connected = blocking::connect_with((host, port), options, move |key| {
        check.run(key).map_err(|why| refused.send(why)).is_ok()
    });
    match (connected, was_refused.try_recv()) {
        (Err(Error::HostKeyRefused), Ok(why)) => Err(why),
        (Ok(ssh), _) => Ok(ssh),
        (Err(error), _) => Err(Failure::new(format!("{host}: {error}"))),
    }
}

/// Everything that the check of one host's key needs.
struct Check {
    host: String,
    port: u16,
    accept_new: bool,
    file: PathBuf,
    known: KnownHosts,
}

impl Check {
    fn new(args: &HostKeyArgs, host: &str, port: u16) -> Result<Self, Failure> {
        let file = match &args.known_hosts {
            Some(path) => path.clone(),
            None => home()?.join(".ssh/known_hosts"),
        };
        let mut known = KnownHosts::default();
        known.read(&file)?;
        known.read(Path::new(SYSTEM_FILE))?;
        Ok(Self {
            host: host.to_owned(),
            port,
            accept_new: args.accept_new,
            file,
            known,
        })
    }

    fn run(&self, key: &PublicKey) -> Result<(), Failure> {
        match self.known.look_up(&self.host, self.port, key) {
            Known::Right(place) => {
                tracing::info!("host key found at {place}");
                Ok(())
            }
            Known::Changed(places) => Err(self.explain_change(key, &places)),
            Known::Revoked(place) => Err(self.explain_revocation(key, &place)),
            Known::OtherTypes(places) => Err(self.explain_other_types(key, &places)),
            Known::Unknown => self.on_new(key),
        }
    }

    fn on_new(&self, key: &PublicKey) -> Result<(), Failure> {
        if !self.accept_new {
            if !terminal::is_there() {
                return Err(self.explain_unknown(key));
            }
            if !self.ask(key) {
                return Err(Failure::new("the host key was not accepted"));
            }
        }
        self.remember(key);
        Ok(())
    }

    fn ask(&self, key: &PublicKey) -> bool {
        let fingerprint = fingerprint(key);
        let mut question = format!(
            "{} is not a known host, so nothing vouches for it.\n\
             Its ED25519 key has the fingerprint {fingerprint}\n\
             Go on and remember this key (yes/no/[fingerprint])? ",
            self.name()
        );
        while let Some(answer) = terminal::ask(&question) {
            if answer.eq_ignore_ascii_case("yes") || answer == fingerprint {
                return true;
            }
            if answer.eq_ignore_ascii_case("no") {
                return false;
            }
            "Write yes, no, or the fingerprint that you expect: ".clone_into(&mut question);
        }
        false
    }

    /// The connection is as good without: only the next one will ask again.
    fn remember(&self, key: &PublicKey) {
        let name = self.name();
        match keyfile::remember(&self.file, &self.host, self.port, key) {
            Ok(()) => log::note(format_args!(
                "Added {name} to the known hosts in {}: {}",
                self.file.display(),
                fingerprint(key)
            )),
            Err(error) => log::note(format_args!("warning: cannot remember {name}: {error}")),
        }
    }

    fn explain_unknown(&self, key: &PublicKey) -> Failure {
        let (name, file) = (self.name(), self.file.display());
        let fingerprint = fingerprint(key);
        Failure::new(format!("{name} is not in {file}; its key is {fingerprint}"))
            .hint("compare the fingerprint, then add --accept-new to remember it")
    }

    fn explain_other_types(&self, key: &PublicKey, places: &[Place]) -> Failure {
        Failure::new(format!(
            "THE HOST KEY OF {} HAS CHANGED: its ED25519 key {} is not known, \
             only keys of other types are ({})\n\
             Somebody may be in between. Nothing was sent.",
            self.name().to_uppercase(),
            fingerprint(key),
            list(places)
        ))
        .hint(format!(
            "minissh takes no other type than ssh-ed25519; if its administrator says that the \
             fingerprint is right, add the key: minissh scan -p {} {} >>{}",
            self.port,
            self.host,
            self.file.display()
        ))
    }

    fn explain_change(&self, key: &PublicKey, places: &[Place]) -> Failure {
        let mut what = format!(
            "THE HOST KEY OF {} HAS CHANGED: {} is not the key in {}\n\
             Somebody may be in between. Nothing was sent.",
            self.name().to_uppercase(),
            fingerprint(key),
            list(places)
        );
        if self.accept_new {
            what.push_str(" --accept-new is for new hosts only.");
        }
        let files = places.iter().map(|place| &place.path);
        let mut files: Vec<_> = files.map(|path| path.display().to_string()).collect();
        files.dedup();
        Failure::new(what).hint(format!(
            "if its administrator changed the key, take the old one out: ssh-keygen -f {} -R '{}'",
            files.join(" and "),
            self.name()
        ))
    }

    fn explain_revocation(&self, key: &PublicKey, place: &Place) -> Failure {
        Failure::new(format!(
            "THE HOST KEY OF {} IS REVOKED: {} is marked so in {place}\n\
             Whoever has that key is not to be trusted. Nothing was sent.",
            self.name().to_uppercase(),
            fingerprint(key),
        ))
        .hint("ask the administrator of the host for its new key")
    }

    fn name(&self) -> String {
        known_host_name(&self.host, self.port)
    }
}

fn list(places: &[Place]) -> String {
    let places: Vec<_> = places.iter().map(ToString::to_string).collect();
    places.join(", ")
}

fn home() -> Result<PathBuf, Failure> {
    std::env::home_dir()
        .ok_or_else(|| Failure::new("no home directory").hint("set HOME, or use --known-hosts"))
}
