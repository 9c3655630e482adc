//! From the command line to a plan: what is asked for, what is there, and what comes of it.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use super::args::{RunArgs, TIMEOUT_SECS};
use super::{Exit, Stop, places};
use crate::peer::catalogue::{Discovery, Missing, Part, Roster};
use crate::peer::manifest::{Manifest, ManifestError};
use crate::peer::minissh::Minissh;
use crate::peer::solo::{Answer, Solo};
use crate::peer::{Peer, PeerInfo};
use crate::report::summary;
use crate::requirement::Catalogue;
use crate::run::SCRIPTED;
use crate::run::event::{Event, LeftOut};
use crate::run::expect::Expectations;
use crate::run::pair::answers;
use crate::run::plan::{Again, Plan, Terms, plan, shell_quoted};
use crate::run::play::Cast;
use crate::run::selection::{Filter, Selection};
use crate::scenario::{Scenario, load_dir};

/// Why containers are left out when somebody said so.
const SWITCHED_OFF: &str = "switched off with --no-containers";

/// The catalogue of requirements, and the scenarios of a folder or of this repository.
pub(super) fn files(folder: Option<&Path>) -> Result<(Catalogue, Vec<Arc<Scenario>>), Stop> {
    let catalogue = Catalogue::load(&places::requirements())
        .map_err(|error| Stop::new(Exit::DoesNotParse, error.to_string()))?;
    let folder = folder.map_or_else(places::scenarios, Path::to_owned);
    std::fs::read_dir(&folder).map_err(|error| Stop::unreadable(&folder, &error))?;
    let scenarios = load_dir(&folder, &catalogue).map_err(|errors| {
        let what = format!("the scenarios below {} do not parse", folder.display());
        Stop::new(Exit::DoesNotParse, format!("{what}\n\n{errors}"))
    })?;
    if scenarios.is_empty() {
        let what = format!("there is no scenario below {}", folder.display());
        return Err(Stop::new(Exit::NothingSelected, what).hint("their files end in .scn"));
    }
    Ok((catalogue, scenarios))
}

/// What is on disk and was asked for, before anything is started.
pub(super) struct Request {
    pub(super) catalogue: Catalogue,
    scenarios: Vec<Arc<Scenario>>,
    selection: Selection,
    roster: Roster,
    /// The one peer of a run that looks for no others.
    given: Option<Arc<dyn Peer>>,
    expectations: Arc<Expectations>,
    terms: Terms,
}

impl Request {
    /// Reads the files and checks that the filters can select something, so that no image is
    /// built and nobody is waited for because of a slip of the keyboard.
    pub(super) fn read(args: &RunArgs) -> Result<Self, Stop> {
        if args.no_containers && args.require.has(Part::Containers) {
            let what = "containers are required and switched off at the same time";
            return Err(Stop::new(Exit::CommandLine, what)
                .hint("drop --no-containers, or `containers` from --require"));
        }
        let (catalogue, scenarios) = files(args.scenarios.as_deref())?;
        let folder = args.expected.clone().unwrap_or_else(places::expected);
        let expectations = Expectations::load(&folder).map_err(|error| {
            Stop::new(Exit::DoesNotParse, error.to_string())
                .hint("fixtures/expected/README.md says what is in such a file")
        })?;
        let selection = Selection {
            names: args.names.clone(),
            peers: args.peer.clone(),
            pairings: args.pairing.clone(),
            every_pair: args.every_pair,
        };
        let terms = Terms {
            seed: args.seed.unwrap_or_else(new_seed),
            again: Again {
                program: program(),
                live: args.live.clone(),
                args: rerun_args(args),
            },
        };
        let request = Self {
            catalogue,
            scenarios,
            selection,
            roster: roster(args)?,
            given: None,
            expectations: Arc::new(expectations),
            terms,
        };
        request.check_names()?;
        request.check_scenarios_of_expectations(args)?;
        // The one that is up already has no id that could be wrong.
        if args.live.is_none() {
            request.check_peers()?;
            request.check_pairings()?;
        }
        Ok(request)
    }

    /// The seed of the whole run.
    pub(super) fn seed(&self) -> u64 {
        self.terms.seed
    }

    /// The same with this one peer, and with nobody else.
    pub(super) fn with(self, peer: Arc<dyn Peer>) -> Self {
        Self {
            given: Some(peer),
            ..self
        }
    }

    fn check_names(&self) -> Result<(), Stop> {
        let names: Vec<&str> = self.scenarios.iter().map(|s| s.name.as_str()).collect();
        if names
            .iter()
            .any(|name| self.selection.wants_scenario(name, &names))
        {
            return Ok(());
        }
        let filters = self.selection.names.iter().map(Filter::text);
        Err(nothing("scenario", &filters.collect::<Vec<_>>(), &names))
    }

    fn check_peers(&self) -> Result<(), Stop> {
        let ids = self.roster.ids(true);
        let ids: Vec<&str> = ids.iter().map(String::as_str).chain([SCRIPTED]).collect();
        for filter in &self.selection.peers {
            if !ids.iter().any(|id| filter.selects(id, &ids)) {
                return Err(nothing("peer", &[filter.text()], &ids));
            }
        }
        Ok(())
    }

    /// Each side must be somebody.
    fn check_pairings(&self) -> Result<(), Stop> {
        let ids = self.roster.ids(true);
        let ids: Vec<&str> = ids.iter().map(String::as_str).chain([SCRIPTED]).collect();
        for pairing in &self.selection.pairings {
            let sides = pairing.sides();
            let unknown = |side: &&Filter| !ids.iter().any(|id| side.is_whole(id));
            if let Some(side) = sides.into_iter().find(unknown) {
                return Err(nothing("peer", &[side.text()], &ids));
            }
        }
        Ok(())
    }

    /// What is known of the peers.
    pub(super) fn expectations(&self) -> Arc<Expectations> {
        Arc::clone(&self.expectations)
    }

    /// Every expectation must be about some scenario, also where few of them are run.
    fn check_scenarios_of_expectations(&self, args: &RunArgs) -> Result<(), Stop> {
        // What is known here is about the scenarios of this repository.
        if args.scenarios.is_some() && args.expected.is_none() {
            return Ok(());
        }
        let names: Vec<&str> = self.scenarios.iter().map(|s| s.name.as_str()).collect();
        let lost = self.expectations.of_no_scenario(&names);
        let told = lost.iter().map(|(glob, path)| {
            let meant = nearest(&[*glob], &names);
            let meant = meant.map_or_else(String::new, |name| format!("; did you mean `{name}`?"));
            format!(
                "`{glob}` in {}: no scenario is called so{meant}",
                path.display()
            )
        });
        stale(&told.collect::<Vec<_>>())
    }

    /// In a run that narrows nothing, every expectation about a peer that is here must be of use.
    fn check_expectations(
        &self,
        args: &RunArgs,
        plan: &Plan,
        infos: &[PeerInfo],
    ) -> Result<(), Stop> {
        let is_whole =
            self.given.is_none() && args.scenarios.is_none() && self.selection.is_whole();
        if !is_whole {
            return Ok(());
        }
        let found = self.expectations.stale(&plan.cases, infos);
        let told = found
            .iter()
            .map(|each| format!("{}: {}", each.what, each.why));
        stale(&told.collect::<Vec<_>>())
    }

    /// Starts what is wanted and can be, and makes the plan.
    pub(super) fn prepare(
        &self,
        args: &RunArgs,
        events: &Sender<Event>,
    ) -> Result<(Plan, Cast), Stop> {
        let found = self.discover(args, events);
        let unmet = args.require.unmet(&found.missing);
        if !unmet.is_empty() {
            return Err(required(&unmet));
        }
        let infos: Vec<PeerInfo> = found.peers.iter().map(|peer| peer.info().clone()).collect();
        let mut plan = plan(&self.scenarios, &infos, &self.selection, &self.terms);
        self.check_expectations(args, &plan, &infos)?;
        plan.left_out
            .splice(0..0, found.missing.into_iter().map(left_out));
        if args.no_containers {
            let what = "containers".to_owned();
            plan.left_out.insert(
                0,
                LeftOut {
                    what,
                    why: SWITCHED_OFF.to_owned(),
                    hint: None,
                },
            );
        }
        if plan.cases.is_empty() {
            let skipped = summary::left_out(&plan.left_out, usize::MAX);
            let what = format!("nothing of what was selected can run here\n{skipped}");
            return Err(Stop::new(
                Exit::NothingSelected,
                anstream::adapter::strip_str(&what).to_string(),
            ));
        }
        if let Some(shard) = args.shard {
            plan.keep(shard);
        }
        Ok((plan, Cast::new(found.peers)))
    }

    /// What commands give when all is right.
    fn answers(&self) -> Vec<Answer> {
        self.scenarios.iter().flat_map(|one| answers(one)).collect()
    }

    fn discover(&self, args: &RunArgs, events: &Sender<Event>) -> Discovery {
        if let Some(peer) = &self.given {
            return Discovery {
                peers: vec![Arc::clone(peer)],
                ..Discovery::default()
            };
        }
        let (usual, all) = (self.roster.ids(args.all_peers), self.roster.ids(true));
        let usual: Vec<&str> = usual.iter().map(String::as_str).collect();
        let is_on = |id: &str| usual.contains(&id) || self.selection.asks_for_peer(id, &usual);
        // Whom it could meet, of those that are here at all.
        let others: Vec<&str> = all
            .iter()
            .map(String::as_str)
            .filter(|id| is_on(id))
            .collect();
        let wanted = |id: &str| {
            let is_off = args.no_containers && self.roster.is_in_container(id);
            is_on(id) && !is_off && self.selection.wants_peer(id, &others)
        };
        let progress = |what: &str| drop(events.send(Event::Preparing(what.to_owned())));
        let mut found = self.roster.discover(&wanted, &progress);
        // It is linked in and needs nothing, so it is not looked for.
        let ours: Arc<dyn Peer> = match args.recording {
            None => Arc::new(Minissh::default()),
            // When a runtime sends what is never the same twice.
            Some(_) => Arc::new(Solo::new(self.answers())),
        };
        found.peers.insert(0, ours);
        found
    }
}

/// The peers that there could be: ours, and those of the command line.
fn roster(args: &RunArgs) -> Result<Roster, Stop> {
    let read = |path: &PathBuf| {
        let unusable = |e: ManifestError| {
            Stop::new(Exit::DoesNotParse, e.to_string())
                .hint("harness/PEERS.md says what is in a manifest")
        };
        Manifest::read(path).map_err(unusable)
    };
    let named = args
        .peer_manifest
        .iter()
        .map(read)
        .collect::<Result<_, _>>()?;
    Roster::with(named, args.openssh_dir.clone()).map_err(|id| {
        let what = format!("two peers are called `{id}`");
        Stop::new(Exit::DoesNotParse, what).hint(
            "`name` in a manifest, or the name of the folder of --openssh-dir, must be one of its own",
        )
    })
}

/// How this program is called again from any folder: by cargo, by its name or by its path.
pub(super) fn program() -> String {
    if std::env::var_os("CARGO").is_some() {
        return "cargo drill".to_owned();
    }
    let name = std::env::args().next();
    let name = name.unwrap_or_else(|| "sshdrill".to_owned());
    match name.contains('/') {
        true => shell_quoted(&anywhere(Path::new(&name))),
        false => name,
    }
}

/// A path that is right in any folder.
pub(super) fn anywhere(path: &Path) -> String {
    let absolute = std::path::absolute(path);
    absolute.as_deref().unwrap_or(path).display().to_string()
}

/// What a case needs on its command line beside its own name to run again as it ran.
fn rerun_args(args: &RunArgs) -> Vec<String> {
    let mut words = Vec::new();
    if let Some(folder) = &args.scenarios {
        words.extend(["--scenarios".to_owned(), anywhere(folder)]);
    }
    for manifest in &args.peer_manifest {
        words.extend(["--peer-manifest".to_owned(), anywhere(manifest)]);
    }
    for folder in &args.openssh_dir {
        words.extend(["--openssh-dir".to_owned(), anywhere(folder)]);
    }
    if let Some(folder) = &args.reports.out {
        words.extend(["--out".to_owned(), anywhere(folder)]);
    }
    if args.timeout != TIMEOUT_SECS {
        words.extend(["--timeout".to_owned(), args.timeout.to_string()]);
    }
    words
}

/// The standard library seeds each of its hashers from the system; nothing more is needed here.
fn new_seed() -> u64 {
    RandomState::new().build_hasher().finish()
}

fn left_out(missing: Missing) -> LeftOut {
    LeftOut {
        what: missing.what,
        why: missing.why,
        hint: missing.hint,
    }
}

/// No `kind` is selected by the filters; points to the nearest there is.
pub(super) fn nothing(kind: &str, filters: &[&str], known: &[&str]) -> Stop {
    let quoted: Vec<String> = filters.iter().map(|filter| format!("`{filter}`")).collect();
    let stop = Stop::new(
        Exit::NothingSelected,
        format!("no {kind} is called {}", quoted.join(" or ")),
    );
    match (nearest(filters, known), kind) {
        (Some(name), "scenario") => stop.hint(format!(
            "did you mean `{name}`? `sshdrill run --list` shows all"
        )),
        (None, "scenario") => stop.hint("`sshdrill run --list` shows all there are"),
        (Some(name), _) => stop.hint(format!(
            "did you mean `{name}`? There are {}",
            known.join(", ")
        )),
        (None, _) => stop.hint(format!("there are {}", known.join(", "))),
    }
}

/// Expectations that are of no use, each with the reason, end the run before its first case.
fn stale(told: &[String]) -> Result<(), Stop> {
    if told.is_empty() {
        return Ok(());
    }
    let what = format!("an expectation is stale\n{}", told.join("\n"));
    Err(Stop::new(Exit::NotAsExpected, what)
        .hint("take it out, or correct its scenario, role or versions"))
}

/// The known name that a slip of the keyboard would make into one of the filters.
fn nearest<'a>(filters: &[&str], known: &[&'a str]) -> Option<&'a str> {
    /// How alike two names must be, of 1; below this a suggestion is a guess.
    const ALIKE_MIN: f64 = 0.7;

    let likeness = |name: &str| {
        let each = filters
            .iter()
            .map(|filter| strsim::normalized_damerau_levenshtein(filter, name));
        each.fold(0.0, f64::max)
    };
    let best = known
        .iter()
        .max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    (likeness(best) >= ALIKE_MIN).then_some(best)
}

fn required(unmet: &[&Missing]) -> Stop {
    let reasons: Vec<String> = unmet
        .iter()
        .map(|missing| format!("{}: {}", missing.what, missing.why))
        .collect();
    let hints: Vec<&str> = unmet
        .iter()
        .filter_map(|missing| missing.hint.as_deref())
        .collect();
    let stop = Stop::new(
        Exit::Environment,
        format!("something required is missing\n{}", reasons.join("\n")),
    );
    if hints.is_empty() {
        stop
    } else {
        stop.hint(hints.join("\n"))
    }
}
