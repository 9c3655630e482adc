//! From the command line to a plan: what is asked for, what is there, and what comes of it.

use std::collections::hash_map::RandomState;
use std::fmt::Display;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::sync::mpsc::Sender;

use super::args::{RunArgs, TIMEOUT_SECS};
use super::{Exit, Stop, places};
use crate::peer::PeerInfo;
use crate::peer::catalogue::{self, Discovery, Missing, Part};
use crate::peer::minissh::Minissh;
use crate::report::summary;
use crate::requirement::Catalogue;
use crate::run::SCRIPTED;
use crate::run::event::{Event, LeftOut};
use crate::run::plan::{Plan, Terms, plan};
use crate::run::play::Cast;
use crate::run::selection::{Filter, Selection};
use crate::scenario::{Scenario, load_dir};

/// Why containers are left out when somebody said so.
const SWITCHED_OFF: &str = "switched off with --no-containers";

/// What is on disk and was asked for, before anything is started.
pub(super) struct Request {
    pub(super) catalogue: Catalogue,
    scenarios: Vec<Arc<Scenario>>,
    selection: Selection,
    terms: Terms,
}

impl Request {
    /// Reads the files and checks that the filters can select something, so that no image is
    /// built for a slip of the keyboard.
    pub(super) fn read(args: &RunArgs) -> Result<Self, Stop> {
        if args.no_containers && args.require.has(Part::Containers) {
            let what = "containers are required and switched off at the same time";
            return Err(Stop::new(Exit::CommandLine, what)
                .hint("drop --no-containers, or `containers` from --require"));
        }
        let unreadable = |error: &dyn Display| Stop::new(Exit::DoesNotParse, error.to_string());
        let catalogue = Catalogue::load(&places::requirements()).map_err(|e| unreadable(&e))?;
        let folder = args.scenarios.clone().unwrap_or_else(places::scenarios);
        let scenarios = load_dir(&folder, &catalogue).map_err(|errors| {
            let what = format!("the scenarios below {} do not parse", folder.display());
            Stop::new(Exit::DoesNotParse, format!("{what}\n\n{errors}"))
        })?;
        let selection = Selection {
            names: args.names.clone(),
            peers: args.peer.clone(),
            pairings: args.pairing.clone(),
        };
        let terms = Terms {
            seed: args.seed.unwrap_or_else(new_seed),
            rerun_args: rerun_args(args),
        };
        let request = Self {
            catalogue,
            scenarios,
            selection,
            terms,
        };
        request.check_names()?;
        request.check_peers()?;
        Ok(request)
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
        let ids = catalogue::ids();
        let ids: Vec<&str> = ids.iter().map(String::as_str).chain([SCRIPTED]).collect();
        for filter in &self.selection.peers {
            if !ids.iter().any(|id| filter.selects(id, &ids)) {
                return Err(nothing("peer", &[filter.text()], &ids));
            }
        }
        Ok(())
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
            let skipped = summary::left_out(&plan.left_out);
            let what = format!("nothing of what was selected can run here\n{skipped}");
            return Err(Stop::new(
                Exit::NothingSelected,
                anstream::adapter::strip_str(&what).to_string(),
            ));
        }
        Ok((plan, Cast::new(found.peers)))
    }

    fn discover(&self, args: &RunArgs, events: &Sender<Event>) -> Discovery {
        let ids = catalogue::ids();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let in_container = |id: &str| {
            catalogue::SUITES
                .iter()
                .any(|suite| catalogue::container_id(suite) == id)
        };
        let wanted = |id: &str| {
            self.selection.wants_peer(id, &ids) && !(args.no_containers && in_container(id))
        };
        let progress = |what: &str| drop(events.send(Event::Preparing(what.to_owned())));
        let mut found = catalogue::discover(&wanted, &progress);
        // It is linked in and needs nothing, so it is not looked for.
        found.peers.insert(0, Arc::new(Minissh::default()));
        found
    }
}

/// What a case needs on its command line beside its own name to run again as it ran.
fn rerun_args(args: &RunArgs) -> Vec<String> {
    let mut words = Vec::new();
    if let Some(folder) = &args.scenarios {
        words.extend(["--scenarios".to_owned(), folder.display().to_string()]);
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
fn nothing(kind: &str, filters: &[&str], known: &[&str]) -> Stop {
    let quoted: Vec<String> = filters.iter().map(|filter| format!("`{filter}`")).collect();
    let stop = if filters.is_empty() {
        Stop::new(Exit::NothingSelected, format!("there is no {kind}"))
    } else {
        Stop::new(
            Exit::NothingSelected,
            format!("no {kind} is called {}", quoted.join(" or ")),
        )
    };
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
