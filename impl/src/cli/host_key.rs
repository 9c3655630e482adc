//! Whether a server is who it says: `known_hosts`, asked and written as users of `ssh` expect.

use std::path::{Path, PathBuf};
use std::sync::mpsc;

use super::{Failure, terminal};
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
    #[arg(long, value_name = "FILE")]
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
        (connected, _) => Ok(connected?),
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
            Known::OtherTypes(places) => self.on_new(key, &places),
            Known::Unknown => self.on_new(key, &[]),
        }
    }

    /// A key that nothing is known of. `other_types` are lines for the host by which it cannot
    /// prove itself to us: then somebody may be in between, and only a person may say yes.
    fn on_new(&self, key: &PublicKey, other_types: &[Place]) -> Result<(), Failure> {
        if self.accept_new && other_types.is_empty() {
            self.remember(key);
            return Ok(());
        }
        if !terminal::is_there() || self.accept_new {
            return Err(self.explain_unknown(key, other_types));
        }
        if !self.ask(key, other_types) {
            return Err(Failure::new("the host key was not accepted"));
        }
        self.remember(key);
        Ok(())
    }

    fn ask(&self, key: &PublicKey, other_types: &[Place]) -> bool {
        let fingerprint = fingerprint(key);
        let name = self.name();
        let known = match other_types.is_empty() {
            true => String::new(),
            false => format!(
                "It is known by keys of other types, which cannot be checked: {}.\n",
                list(other_types)
            ),
        };
        let mut question = format!(
            "{name} is not a known host, so nothing vouches for it.\n{known}\
             Its ED25519 key has the fingerprint {fingerprint}\n\
             Go on and remember this key (yes/no/[fingerprint])? "
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
            Ok(()) => eprintln!(
                "Added {name} to the known hosts in {}: {}",
                self.file.display(),
                fingerprint(key)
            ),
            Err(error) => eprintln!("warning: cannot remember {name}: {error}"),
        }
    }

    fn explain_unknown(&self, key: &PublicKey, other_types: &[Place]) -> Failure {
        let (name, file) = (self.name(), self.file.display());
        let fingerprint = fingerprint(key);
        if other_types.is_empty() {
            return Failure::new(format!("{name} is not in {file}; its key is {fingerprint}"))
                .hint("compare the fingerprint, then add --accept-new to remember it");
        }
        Failure::new(format!(
            "{name} is known only by keys of other types than ssh-ed25519 ({}); \
             the key that it shows is {fingerprint}",
            list(other_types)
        ))
        .hint(format!(
            "compare the fingerprint, then say yes on a terminal, or add the line to {file}: \
             minissh scan -p {} {}",
            self.port, self.host
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
