//! What the person asked for: which scenarios, which peers, which pairings.

use std::str::FromStr;

use globset::{Glob, GlobMatcher};

use super::event::Pairing;
use super::{MINISSH, SCRIPTED};
use crate::scenario::file_name;

/// What makes a run narrower, and wider. Empty lists narrow nothing; entries of one list are
/// alternatives; the three lists must all agree.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Which scenarios, by name.
    pub names: Vec<Filter>,
    /// Which peers must take part in a case.
    pub peers: Vec<Filter>,
    /// Which pairings.
    pub pairings: Vec<PairingFilter>,
    /// Also two implementations that are both not ours, without naming them as a pairing.
    pub every_pair: bool,
}

impl Selection {
    /// Whether the scenario of this name is wanted. `all` are the names there are.
    #[must_use]
    pub fn wants_scenario(&self, name: &str, all: &[&str]) -> bool {
        any_or_none(&self.names, |filter| filter.selects(name, all))
    }

    /// Whether a pairing is wanted. `all` are the ids of the peers there are.
    #[must_use]
    pub fn wants_pairing(&self, pairing: &Pairing, all: &[&str]) -> bool {
        let takes_part = |filter: &Filter| {
            filter.selects(&pairing.client, all) || filter.selects(&pairing.server, all)
        };
        any_or_none(&self.peers, takes_part)
            && any_or_none(&self.pairings, |filter| filter.selects(pairing))
            && (pairing.has_ours() || self.every_pair || self.names_foreign(pairing))
    }

    /// Whether a filter means this pairing of two others: it would select none of ours.
    fn names_foreign(&self, pairing: &Pairing) -> bool {
        let mut foreign = self.pairings.iter().filter(|filter| filter.is_foreign());
        foreign.any(|filter| filter.selects(pairing))
    }

    /// Whether nothing is narrowed.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.names.is_empty() && self.peers.is_empty() && self.pairings.is_empty()
    }

    /// Whether a filter asks for this peer although it may not be among the `usual` ones: by its id,
    /// by a glob that is more than a `*`, or by a part of its id that no usual peer has.
    #[must_use]
    pub fn asks_for_peer(&self, id: &str, usual: &[&str]) -> bool {
        let sides = self.pairings.iter().flat_map(|p| [&p.client, &p.server]);
        self.peers.iter().chain(sides).any(|filter| {
            let no_usual_has_it = || !usual.iter().any(|one| filter.selects(one, usual));
            match &filter.glob {
                Some(glob) => filter.text != "*" && glob.is_match(id),
                None => filter.text == id || (id.contains(&filter.text) && no_usual_has_it()),
            }
        })
    }

    /// Whether some pairing with this peer is wanted, so that the others need not be set up.
    #[must_use]
    pub fn wants_peer(&self, id: &str, all: &[&str]) -> bool {
        let pairing = |client: &str, server: &str| Pairing {
            client: client.to_owned(),
            server: server.to_owned(),
        };
        all.iter()
            .chain(&[SCRIPTED])
            .flat_map(|other| [pairing(id, other), pairing(other, id)])
            .any(|pairing| self.wants_pairing(&pairing, all))
    }
}

fn any_or_none<T>(filters: &[T], selects: impl Fn(&T) -> bool) -> bool {
    filters.is_empty() || filters.iter().any(selects)
}

/// A filter over names: a whole name, a glob, or a part of a name.
#[derive(Debug, Clone)]
pub struct Filter {
    text: String,
    glob: Option<GlobMatcher>,
}

impl Filter {
    /// Whether it selects `name`. A filter that is one of `all` whole selects that one alone,
    /// so that `interop/exec` does not also run `interop/exec-stderr`; the name of a file with
    /// parameters selects all of its scenarios.
    #[must_use]
    pub fn selects(&self, name: &str, all: &[&str]) -> bool {
        match &self.glob {
            Some(glob) => glob.is_match(name),
            None if all.contains(&self.text.as_str()) => name == self.text,
            None if all.iter().any(|name| file_name(name) == self.text) => {
                file_name(name) == self.text
            }
            None => name.contains(&self.text),
        }
    }

    /// Whether it selects `name` where no part of a name is enough.
    #[must_use]
    pub fn is_whole(&self, name: &str) -> bool {
        self.selects(name, &[self.text()])
    }

    /// As written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// A filter that cannot be understood.
#[derive(Debug, Clone, thiserror::Error)]
pub enum FilterError {
    /// It looks like a glob and is none.
    #[error("`{text}` is not a glob: {why}")]
    NotAGlob {
        /// As written.
        text: String,
        /// The glob library's words.
        why: String,
    },
    /// It does not name two sides.
    #[error("`{0}` does not name a client and a server; write CLIENT:SERVER")]
    NotAPairing(String),
}

impl FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        let is_glob = text.contains(['*', '?', '[', '{']);
        let compile = || {
            Glob::new(text)
                .map(|glob| glob.compile_matcher())
                .map_err(|error| FilterError::NotAGlob {
                    text: text.to_owned(),
                    why: error.kind().to_string(),
                })
        };
        let glob = is_glob.then(compile).transpose()?;
        Ok(Self {
            text: text.to_owned(),
            glob,
        })
    }
}

/// A filter over pairings in one direction: `minissh:openssh-*`. Each side is a whole id or a glob.
#[derive(Debug, Clone)]
pub struct PairingFilter {
    client: Filter,
    server: Filter,
}

impl PairingFilter {
    /// Whether it selects the pairing.
    #[must_use]
    pub fn selects(&self, pairing: &Pairing) -> bool {
        self.client.is_whole(&pairing.client) && self.server.is_whole(&pairing.server)
    }

    /// Whether it selects nobody of ours.
    #[must_use]
    pub fn is_foreign(&self) -> bool {
        let is_ours = |side: &Filter| side.is_whole(MINISSH) || side.is_whole(SCRIPTED);
        !self.sides().into_iter().any(is_ours)
    }

    /// The client's filter and the server's, each of which is for a whole id.
    #[must_use]
    pub fn sides(&self) -> [&Filter; 2] {
        [&self.client, &self.server]
    }
}

impl FromStr for PairingFilter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        let sides = text.split_once('→').or_else(|| text.split_once(':'));
        match sides {
            Some((client, server)) if !client.is_empty() && !server.is_empty() => Ok(Self {
                client: client.parse()?,
                server: server.parse()?,
            }),
            _ => Err(FilterError::NotAPairing(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 3] = ["interop/exec", "interop/exec-stderr", "strict-kex/ignore"];

    fn selected(filter: &str) -> Vec<&'static str> {
        let filter: Filter = filter.parse().expect("a filter");
        NAMES
            .into_iter()
            .filter(|name| filter.selects(name, &NAMES))
            .collect()
    }

    #[test]
    fn a_whole_name_selects_itself_and_nothing_longer() {
        assert_eq!(selected("interop/exec"), ["interop/exec"]);
    }

    #[test]
    fn the_name_of_a_file_selects_all_of_its_scenarios() {
        let all = ["a/b@x=1", "a/b@x=2", "a/b-c", "a/b-c@x=1"];
        let selected = |filter: &str| {
            let filter: Filter = filter.parse().expect("a filter");
            let wanted = all.into_iter().filter(|name| filter.selects(name, &all));
            wanted.collect::<Vec<_>>()
        };
        assert_eq!(selected("a/b"), ["a/b@x=1", "a/b@x=2"]);
        assert_eq!(selected("a/b@x=2"), ["a/b@x=2"]);
    }

    #[test]
    fn a_part_selects_every_name_that_has_it() {
        assert_eq!(selected("exec"), ["interop/exec", "interop/exec-stderr"]);
        assert_eq!(
            selected("interop/*"),
            ["interop/exec", "interop/exec-stderr"]
        );
    }

    #[test]
    fn a_pairing_filter_has_a_direction() {
        let pairing = |client: &str, server: &str| Pairing {
            client: client.to_owned(),
            server: server.to_owned(),
        };
        for text in ["minissh:openssh-sid", "minissh→openssh-sid", "*:openssh-*"] {
            let filter: PairingFilter = text.parse().expect("a pairing");
            assert!(filter.selects(&pairing("minissh", "openssh-sid")), "{text}");
            assert!(
                !filter.selects(&pairing("openssh-sid", "minissh")),
                "{text}"
            );
        }
        assert!("minissh".parse::<PairingFilter>().is_err());
    }

    #[test]
    fn a_peer_that_is_not_usual_is_asked_for_by_its_id_a_glob_or_a_part_of_its_own() {
        let by_peer = |filter: &str| Selection {
            peers: vec![filter.parse().expect("a filter")],
            ..Selection::default()
        };
        let by_pairing = |filter: &str| Selection {
            pairings: vec![filter.parse().expect("a pairing")],
            ..Selection::default()
        };
        let usual = ["minissh", "openssh-sid"];
        for asks in ["dropbear-sid", "dropbear-*", "*-sid"] {
            let pairing = by_pairing(&format!("scripted:{asks}"));
            for selection in [by_peer(asks), pairing] {
                assert!(selection.asks_for_peer("dropbear-sid", &usual), "{asks}");
            }
        }
        assert!(by_peer("dropbear").asks_for_peer("dropbear-sid", &usual));
        for does_not in ["sid", "*", "openssh-*", "dropbear-bullseye"] {
            let selection = by_peer(does_not);
            assert!(
                !selection.asks_for_peer("dropbear-sid", &usual),
                "{does_not}"
            );
        }
        assert!(!by_pairing("*:minissh").asks_for_peer("dropbear-sid", &usual));
        assert!(!Selection::default().asks_for_peer("dropbear-sid", &usual));
    }

    #[test]
    fn two_others_meet_when_every_pair_is_wanted_or_this_one_is_named() {
        let others = Pairing {
            client: "dropbear-sid".to_owned(),
            server: "openssh-sid".to_owned(),
        };
        let all = ["minissh", "dropbear-sid", "openssh-sid"];
        let by_pairing = |filter: &str| Selection {
            pairings: vec![filter.parse().expect("a pairing")],
            ..Selection::default()
        };
        let every = Selection {
            every_pair: true,
            ..Selection::default()
        };
        assert!(every.wants_pairing(&others, &all));
        assert!(by_pairing("dropbear-*:openssh-*").wants_pairing(&others, &all));
        for does_not in [
            "*:openssh-sid",
            "dropbear-sid:*",
            "dropbear-*:openssh-local",
        ] {
            assert!(
                !by_pairing(does_not).wants_pairing(&others, &all),
                "{does_not}"
            );
        }
        assert!(!Selection::default().wants_pairing(&others, &all));
    }

    #[test]
    fn choosing_a_peer_leaves_the_others_alone_but_choosing_ours_does_not() {
        let all = ["minissh", "openssh-local", "openssh-sid"];
        let only = |peer: &str| Selection {
            peers: vec![peer.parse().expect("a filter")],
            ..Selection::default()
        };
        assert!(!only("openssh-local").wants_peer("openssh-sid", &all));
        assert!(only("openssh-local").wants_peer("minissh", &all));
        assert!(only("minissh").wants_peer("openssh-sid", &all));
    }
}
