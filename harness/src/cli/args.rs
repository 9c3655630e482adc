//! The one table of commands and flags.

use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use super::places;
use super::record::Recording;
use crate::peer::catalogue::Required;
use crate::report::files::Keep;
use crate::report::{Reports, Wanted};
use crate::requirement::Catalogue;
use crate::run::selection::{Filter, PairingFilter};
use crate::run::shard::Shard;

/// How long one case may take unless `--timeout` says otherwise.
pub(super) const TIMEOUT_SECS: u64 = 60;

const EXAMPLES: &str = "\
Examples:
  sshdrill run                                  everything that can run here
  sshdrill run --list                           what that would be
  sshdrill run interop/exec-output              one scenario, with every peer
  sshdrill run 'auth/*' --peer openssh-sid      some scenarios, with one peer
  sshdrill run --pairing minissh:openssh-local  in one direction only
  sshdrill run --every-pair interop             with pairs of which neither is ours
  sshdrill run --require openssh,containers --junit out.xml
  sshdrill run --peer-manifest mine.toml --peer mine
  sshdrill explain kex/handshake                what a scenario asks, step by step
  sshdrill coverage                             which clause is shown by which scenario
  sshdrill run --shard 2/3                      the second of three parts, for three machines
  sshdrill run kex --repeat 50 --fail-fast      until something is flaky
  sshdrill mutants                              which scenario notices which mistake
  sshdrill probe 192.0.2.1:22 --user me         a server that is up already
  sshdrill lure 2222                            whatever client comes
  sshdrill doctor                               what this machine lacks for more
  sshdrill clean                                what earlier runs left behind

Exit codes:
  0 all as expected     1 a verdict was not      2 command line
  3 a file does not parse    4 nothing was selected
  5 the environment is broken, or something required is missing
  130 a signal stopped it: the reports are written, what did not end counts as skipped";

const REPLAY_EXAMPLES: &str = "\
Examples:
  sshdrill replay target/drill/auth/password/scripted-to-openssh-sid
  sshdrill replay fixtures/transcripts              all that is there
  sshdrill replay --packets some.transcript

Exit codes: 0 everything as recorded, 1 other bytes of ours or another verdict";

const RECORD_EXAMPLES: &str = "\
Examples:
  sshdrill record                                   again what fixtures/transcripts has
  sshdrill record 'strict-kex/*' --peer openssh     these cases, too
  sshdrill record auth/password --into my-transcripts";

const BISECT_EXAMPLES: &str = "\
Examples:
  sshdrill bisect auth/password --dirs openssh-6.5 openssh-7.4 openssh-9.8
  sshdrill bisect 'ext-info/*' --pairing scripted:openssh --linear --dirs builds/*

Builds are given from the oldest to the newest; each has bin/ssh or sbin/sshd, as `make install` has
them. Without --linear, the verdict is taken to change once.

Exit codes: 0 a change was found, 1 none was";

const REPORT_EXAMPLES: &str = "\
Examples:
  sshdrill run --json run.json
  sshdrill report run.json --html report.html
  sshdrill report run.json --markdown $GITHUB_STEP_SUMMARY --junit out.xml";

const MERGE_EXAMPLES: &str = "\
Examples:
  sshdrill run --shard 1/2 --seed 7 --json 1.json        on one machine
  sshdrill run --shard 2/2 --seed 7 --json 2.json        on another
  sshdrill merge 1.json 2.json -o run.json

The exit code is that of the whole run; 130 when cases of it were not run, and 2 when shards are
missing, doubled, or of another seed.";

const DIFF_EXAMPLES: &str = "\
Examples:
  sshdrill diff yesterday.json today.json

Exit codes: 1 when the verdict of a case is worse than it was, else 0.";

const PROBE_EXAMPLES: &str = "\
Examples:
  sshdrill probe 127.0.0.1:22                              what needs no login
  sshdrill probe host.example:22 --user me --identity ~/.ssh/id_ed25519
  SSHDRILL_PASSWORD=... sshdrill probe 192.0.2.1:22 --user me --junit out.xml
  sshdrill probe 127.0.0.1:22 'kex/*' --list               what that would be

The server sees many connections, refused logins among them, and may lock this machine out
(OpenSSH 9.8 and later: PerSourcePenalties no).

No case leaves files unless --captures asks for them: who has a capture can read the password in it.";

const LURE_EXAMPLES: &str = "\
Examples:
  sshdrill lure 2222                      prints how OpenSSH and PuTTY come, and waits
  sshdrill lure 2222 'kex/*' --json out.json
  sshdrill lure 2222 --listen 0.0.0.0     for a client on another machine
  sshdrill lure 2222 --out cases          what did not pass leaves its packets there";

/// Runs SSH scenarios against SSH implementations and gives verdicts.
#[derive(Debug, Parser)]
#[command(name = "sshdrill", version, after_help = EXAMPLES)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run scenarios with every peer that is here.
    #[command(after_help = EXAMPLES)]
    Run(RunArgs),
    /// Play recorded cases again, without their peers.
    #[command(after_help = REPLAY_EXAMPLES)]
    Replay(ReplayArgs),
    /// Run cases and keep them for replays.
    #[command(after_help = RECORD_EXAMPLES)]
    Record(RecordArgs),
    /// Find the first build of OpenSSH in which a case ends otherwise than before.
    #[command(after_help = BISECT_EXAMPLES)]
    Bisect(BisectArgs),
    /// Read every scenario, and say everything that is wrong.
    Check(ScenariosArgs),
    /// Say what a scenario asks, what happens in it, and why it matters.
    #[command(after_help = "Example: sshdrill explain kex/leading-zero-of-shared-secret")]
    Explain(ExplainArgs),
    /// Lay scenario files out as they should be.
    #[command(
        after_help = "Examples: sshdrill fmt; sshdrill fmt --check; sshdrill fmt my/case.scn"
    )]
    Fmt(FmtArgs),
    /// Show which clauses are shown by what.
    Coverage(ScenariosArgs),
    /// Show which scenarios notice which of the subjects that are wrong on purpose.
    Mutants(MutantsArgs),
    /// Render the JSON report of a run in other forms.
    #[command(after_help = REPORT_EXAMPLES)]
    Report(RenderArgs),
    /// Join the JSON reports of shards into one.
    #[command(after_help = MERGE_EXAMPLES)]
    Merge(MergeArgs),
    /// Say what changed from one JSON report to another.
    #[command(after_help = DIFF_EXAMPLES)]
    Diff(DiffArgs),
    /// Run the cases for servers with a server that is up already.
    #[command(after_help = PROBE_EXAMPLES)]
    Probe(ProbeArgs),
    /// Wait for a client, and run the cases for clients, one with each of its connections.
    #[command(after_help = LURE_EXAMPLES)]
    Lure(LureArgs),
    /// Say what this machine has for a run, and what each missing thing would add.
    Doctor,
    /// Propose entries for fixtures/expected, from the JSON report of a run.
    Learn(LearnArgs),
    /// Remove containers that earlier runs left behind.
    Clean(CleanArgs),
    /// Print a script that completes commands and options in a shell.
    #[command(after_help = "Example: source <(sshdrill completions bash)")]
    Completions(CompletionsArgs),
}

#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// The shell.
    pub(super) shell: clap_complete::Shell,
}

#[derive(Debug, Clone, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of its own on the command line"
)]
pub(super) struct RunArgs {
    /// Scenarios to run: a whole name, a part of one, or a glob [default: all].
    #[arg(value_name = "FILTER")]
    pub(super) names: Vec<Filter>,

    /// Only cases in which this peer takes part (a whole id, a part of one, or a glob).
    #[arg(long, value_name = "ID")]
    pub(super) peer: Vec<Filter>,

    /// Only this client with this server (whole ids or globs).
    #[arg(long, value_name = "CLIENT:SERVER")]
    pub(super) pairing: Vec<PairingFilter>,

    /// Also pair the clients of others with the servers of others. Usually one side of a pair is ours,
    /// as else there is no packet log and no capture; --pairing that names two others does it for these.
    #[arg(long)]
    pub(super) every_pair: bool,

    /// Say what would run, and run nothing; with --json, to programs too.
    #[arg(long)]
    pub(super) list: bool,

    #[command(flatten)]
    pub(super) reports: ReportArgs,

    /// What must be here (openssh, containers); a missing one is an error, but for peers that nobody
    /// has run yet.
    #[arg(long, value_name = "LIST", env = Required::VARIABLE, default_value = "", hide_default_value = true)]
    pub(super) require: Required,

    /// Seed of all randomness of our side, decimal or 0x hex [default: a new one].
    #[arg(long, value_name = "N", value_parser = parse_seed)]
    pub(super) seed: Option<u64>,

    /// Cases to run at a time [default: some for each processor, as they mostly wait].
    #[arg(long, value_name = "N")]
    pub(super) jobs: Option<NonZeroUsize>,

    /// Begin no case any more once one ended neither as it should nor as is known of it.
    #[arg(long)]
    pub(super) fail_fast: bool,

    /// Run the cases in a random order, which the seed decides.
    #[arg(long)]
    pub(super) shuffle: bool,

    /// Only this part of all cases, such as 2/3; which one a case is in never changes. Parts that shall
    /// be merged need the same --seed.
    #[arg(long, value_name = "I/N")]
    pub(super) shard: Option<Shard>,

    /// Run every case so often, with the same seed; its worst verdict counts.
    #[arg(long, value_name = "N", default_value = "1", hide_default_value = true)]
    pub(super) repeat: NonZeroUsize,

    /// Run a case that fails unexpectedly again, up to N times, after others; if it then ends as
    /// expected, that counts, and the case is told of as flaky.
    #[arg(
        long,
        value_name = "N",
        default_value = "0",
        hide_default_value = true,
        conflicts_with = "repeat"
    )]
    pub(super) retries: usize,

    /// How long one case may take, in whole seconds.
    #[arg(long, value_name = "SECS", default_value_t = TIMEOUT_SECS, value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) timeout: u64,

    /// Folder of the scenario files [default: the one of this repository].
    #[arg(long, value_name = "DIR")]
    pub(super) scenarios: Option<PathBuf>,

    /// A peer of yours, by its manifest; harness/PEERS.md says how one is written.
    #[arg(long, value_name = "FILE")]
    pub(super) peer_manifest: Vec<PathBuf>,

    /// OpenSSH in a folder that holds bin/ssh and sbin/sshd, of any version from 6.5; what it needs
    /// beside them is looked for in libexec and lib. Its id is `openssh-` and the folder's name.
    #[arg(long, value_name = "DIR")]
    pub(super) openssh_dir: Vec<PathBuf>,

    /// Also the peers that a run usually leaves out for its length (see --list); some of them by
    /// --peer with an id or a glob, such as 'dropbear-*'.
    #[arg(long)]
    pub(super) all_peers: bool,

    /// Folder of what is known of peers [default: fixtures/expected of this repository].
    #[arg(long, value_name = "DIR")]
    pub(super) expected: Option<PathBuf>,

    /// Leave out the peers that run in containers.
    #[arg(long)]
    pub(super) no_containers: bool,

    /// The words that begin the command of a run with a live peer, for those who repeat a case.
    #[arg(skip)]
    pub(super) live: Option<Vec<String>>,

    /// What is recorded, by `sshdrill record`.
    #[arg(skip)]
    pub(super) recording: Option<Recording>,
}

#[derive(Debug, Args)]
pub(super) struct ScenariosArgs {
    /// Folder of the scenario files [default: the one of this repository].
    #[arg(long, value_name = "DIR")]
    pub(super) scenarios: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// The scenario: a whole name, a part of one, or a glob.
    #[arg(value_name = "NAME")]
    pub(super) name: Filter,

    #[command(flatten)]
    pub(super) scenarios: ScenariosArgs,
}

#[derive(Debug, Args)]
pub(super) struct FmtArgs {
    /// Files and folders [default: the scenarios of this repository].
    #[arg(value_name = "PATH")]
    pub(super) paths: Vec<PathBuf>,

    /// Change nothing; fail if something would be changed.
    #[arg(long)]
    pub(super) check: bool,
}

/// What is told of a run, and where; the same for every command that runs cases.
#[derive(Debug, Clone, Args)]
pub(super) struct ReportArgs {
    #[expect(clippy::doc_markdown, reason = "the text is also the help of the flag")]
    /// Write a JUnit report.
    #[arg(long, value_name = "FILE", help_heading = "Reports")]
    pub(super) junit: Option<PathBuf>,

    /// Write a JSON report, from which `report` makes all others.
    #[arg(long, value_name = "FILE", help_heading = "Reports")]
    pub(super) json: Option<PathBuf>,

    /// Write the results as one page for browsers.
    #[arg(long, value_name = "FILE", help_heading = "Reports")]
    pub(super) html: Option<PathBuf>,

    /// Write a Markdown report, such as for the summary of a CI job.
    #[arg(long, value_name = "FILE", help_heading = "Reports")]
    pub(super) markdown: Option<PathBuf>,

    /// Folder for the files of each case [default: drill in the target folder].
    #[arg(long, value_name = "DIR", help_heading = "Reports")]
    pub(super) out: Option<PathBuf>,

    /// Which cases get files: packets, ladder, logs, and a capture for Wireshark with the keys in it,
    /// and so with the passwords that were sent [default: failed; of `probe`: none].
    #[arg(long, value_name = "WHICH", help_heading = "Reports")]
    pub(super) captures: Option<Keep>,

    /// A line for every case, and what the program itself logs.
    #[arg(short, long, help_heading = "Reports")]
    pub(super) verbose: bool,
}

impl ReportArgs {
    /// The reports of a run that begins now.
    pub(super) fn begin(&self, catalogue: &Catalogue) -> Reports {
        let out = self.out.clone().unwrap_or_else(places::out);
        let wanted = Wanted {
            junit: self.junit.clone(),
            json: self.json.clone(),
            html: self.html.clone(),
            markdown: self.markdown.clone(),
        };
        let captures = self.captures.unwrap_or_default();
        Reports::new(catalogue, &out, captures, wanted, self.verbose)
    }
}

#[derive(Debug, Args)]
pub(super) struct ReplayArgs {
    /// Transcripts, or folders with some: that of a case, or a collection.
    #[arg(value_name = "PATH", required = true)]
    pub(super) paths: Vec<PathBuf>,

    /// Print the packets of each.
    #[arg(long)]
    pub(super) packets: bool,

    /// Folder of the scenario files [default: the one of this repository].
    #[arg(long, value_name = "DIR")]
    pub(super) scenarios: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct RecordArgs {
    #[command(flatten)]
    pub(super) run: RunArgs,

    /// Folder of the transcripts [default: fixtures/transcripts].
    #[arg(long, value_name = "DIR")]
    pub(super) into: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct MutantsArgs {
    /// Only these scenarios: whole names, parts of names, or globs.
    #[arg(value_name = "NAME")]
    pub(super) names: Vec<Filter>,

    /// Every scenario with every mutant, and not only until each was noticed.
    #[arg(long)]
    pub(super) all: bool,

    #[command(flatten)]
    pub(super) scenarios: ScenariosArgs,
}

#[derive(Debug, Args)]
pub(super) struct BisectArgs {
    /// Scenarios: whole names, parts of names, or globs.
    #[arg(value_name = "SCENARIO", required = true)]
    pub(super) names: Vec<Filter>,

    /// Folders of the builds, from the oldest to the newest.
    #[arg(long, value_name = "DIR", required = true, num_args = 2..)]
    pub(super) dirs: Vec<PathBuf>,

    /// Which implementation the builds are of.
    #[arg(long, value_name = "ID", default_value = "openssh", value_parser = ["openssh"])]
    pub(super) peer: String,

    /// Only this client with this server; each build is called openssh.
    #[arg(long, value_name = "CLIENT:SERVER")]
    pub(super) pairing: Vec<PairingFilter>,

    /// Look at one build after the other, and take nothing for granted.
    #[arg(long)]
    pub(super) linear: bool,

    /// Seed of all randomness of our side, decimal or 0x hex [default: 1].
    #[arg(long, value_name = "N", value_parser = parse_seed)]
    pub(super) seed: Option<u64>,

    /// How long one case may take, in whole seconds.
    #[arg(long, value_name = "SECS", default_value_t = TIMEOUT_SECS, value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) timeout: u64,

    /// Folder of the scenario files [default: the one of this repository].
    #[arg(long, value_name = "DIR")]
    pub(super) scenarios: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct RenderArgs {
    /// The JSON report.
    #[arg(value_name = "RUN.json")]
    pub(super) run: PathBuf,

    #[command(flatten)]
    pub(super) forms: Forms,
}

/// Forms that a run is rendered in; at least one.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub(super) struct Forms {
    /// Write the results as one page for browsers.
    #[arg(long, value_name = "FILE")]
    pub(super) html: Option<PathBuf>,

    /// Write a Markdown report, such as for the summary of a CI job.
    #[arg(long, value_name = "FILE")]
    pub(super) markdown: Option<PathBuf>,

    #[expect(clippy::doc_markdown, reason = "the text is also the help of the flag")]
    /// Write a JUnit report.
    #[arg(long, value_name = "FILE")]
    pub(super) junit: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct MergeArgs {
    /// The JSON reports.
    #[arg(value_name = "RUN.json", required = true)]
    pub(super) runs: Vec<PathBuf>,

    /// Where the joined report goes.
    #[arg(short, long, value_name = "FILE")]
    pub(super) out: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct DiffArgs {
    /// The JSON report of the earlier run.
    #[arg(value_name = "OLD.json")]
    pub(super) old: PathBuf,

    /// That of the later one.
    #[arg(value_name = "NEW.json")]
    pub(super) new: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct ProbeArgs {
    /// Where the server is.
    #[arg(value_name = "HOST:PORT")]
    pub(super) address: String,

    /// Whom to log in as; without, only what needs no login is run.
    #[arg(long, value_name = "NAME")]
    pub(super) user: Option<String>,

    /// With this password; better by the variable `SSHDRILL_PASSWORD`, since a command line can be read
    /// by anybody.
    #[arg(long, requires = "user")]
    pub(super) password: Option<String>,

    /// With the Ed25519 key in this file, which has no passphrase.
    #[arg(long, value_name = "FILE", requires = "user")]
    pub(super) identity: Option<PathBuf>,

    #[command(flatten)]
    pub(super) run: RunArgs,
}

#[derive(Debug, Args)]
pub(super) struct LureArgs {
    /// The port to listen on; 0 takes a free one.
    #[arg(value_name = "PORT")]
    pub(super) port: u16,

    /// The address to listen on [default: 127.0.0.1].
    #[arg(long, value_name = "IP")]
    pub(super) listen: Option<IpAddr>,

    #[command(flatten)]
    pub(super) run: RunArgs,
}

#[derive(Debug, Args)]
pub(super) struct LearnArgs {
    /// A report that `run --json` wrote.
    #[arg(value_name = "REPORT.json")]
    pub(super) report: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct CleanArgs {
    /// Remove the images of the peers, too.
    #[arg(long)]
    pub(super) images: bool,
}

fn parse_seed(text: &str) -> Result<u64, String> {
    let read = match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => text.parse(),
    };
    read.map_err(|_| "it is no number below 2^64, in decimal or after 0x in hex".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_table_of_flags_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn seeds_are_read_as_they_are_printed() {
        assert_eq!(parse_seed("0x2a"), Ok(42));
        assert_eq!(parse_seed("42"), Ok(42));
        assert!(parse_seed("0xgg").is_err());
    }
}
