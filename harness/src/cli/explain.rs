//! `sshdrill explain`.

use std::fmt::Write as _;
use std::sync::Arc;

use super::args::ExplainArgs;
use super::prepare::{anywhere, program};
use super::{Exit, Stop, prepare};
use crate::peer::PeerInfo;
use crate::peer::catalogue::Roster;
use crate::requirement::Catalogue;
use crate::run::event::subjects;
use crate::run::plan::{Again, Plan, Terms, plan, shell_quoted};
use crate::run::selection::Selection;
use crate::scenario::{Need, Scenario, StepKind};
use crate::verdict::capture::Side;

/// Says what a scenario asks, what happens in it, why it matters, and which peers it is for.
pub(super) fn explain(args: &ExplainArgs) -> Result<Exit, Stop> {
    let (catalogue, scenarios) = prepare::files(args.scenarios.scenarios.as_deref())?;
    let names: Vec<&str> = scenarios.iter().map(|s| s.name.as_str()).collect();
    let mut found = scenarios
        .iter()
        .filter(|scenario| args.name.selects(&scenario.name, &names));
    let Some(scenario) = found.next() else {
        return Err(prepare::nothing("scenario", &[args.name.text()], &names));
    };
    let others = found.count();
    let mut text = explained(scenario, &catalogue);
    text.push_str(&peers(scenario, &Roster::default().declared()));
    let folder = args.scenarios.scenarios.as_deref();
    let folder = folder.map(|path| format!(" --scenarios {}", shell_quoted(&anywhere(path))));
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "\nrun it      {} run {}{}",
        program(),
        scenario.name,
        folder.unwrap_or_default()
    );
    if others > 0 {
        let _ = writeln!(
            text,
            "\nand {others} more of that name; this is the first of them"
        );
    }
    anstream::print!("{text}");
    Ok(Exit::AsExpected)
}

fn explained(scenario: &Scenario, catalogue: &Catalogue) -> String {
    let mut text = format!("{}\n{}\n\n", scenario.name, scenario.title);
    let mut item = |name: &str, what: &str| {
        let _ = writeln!(text, "{name:<12} {what}");
    };
    item("tests", scenario.subject.in_words());
    for need in &scenario.needs {
        item("needs", &format!("{need:?}"));
    }
    for clause in scenario.cites.iter().filter_map(|id| catalogue.get(id)) {
        item("requirement", &format!("{clause} ({})", clause.id));
    }
    item("level", &format!("{:?}", scenario.level).to_lowercase());
    item("why", &scenario.consequence);
    item("file", &scenario.path.display().to_string());
    text.push('\n');

    let mut depth = 0_usize;
    for step in &scenario.steps {
        if step.kind == StepKind::End {
            depth = depth.saturating_sub(1);
            continue;
        }
        let indent = "  ".repeat(depth);
        let _ = writeln!(text, "{:>4}  {indent}{}", step.line, step.in_words());
        depth += usize::from(matches!(step.kind, StepKind::Repeat(_)));
    }
    text
}

/// Whom the scenario can be run with, in which role, and what the others lack; from what is declared
/// of them, so that nothing is started for it.
fn peers(scenario: &Arc<Scenario>, peers: &[PeerInfo]) -> String {
    let terms = Terms {
        seed: 0,
        again: Again::default(),
    };
    let Plan {
        cases, left_out, ..
    } = plan(
        std::slice::from_ref(scenario),
        peers,
        &Selection::default(),
        &terms,
    );
    let (mut servers, mut clients) = (Vec::new(), Vec::new());
    for case in &cases {
        for (side, id) in subjects(&case.pairing.client, &case.pairing.server) {
            match side {
                Side::Server => servers.push(id),
                Side::Client => clients.push(id),
            }
        }
    }
    let mut text = "\n".to_owned();
    for (role, ids) in [("servers", servers), ("clients", clients)] {
        if !ids.is_empty() {
            let _ = writeln!(text, "{role:<12} {}", ids.join(", "));
        }
    }
    for each in &left_out {
        let _ = writeln!(text, "{:<12} {}", "not for", each.why);
    }
    for (need, asked) in [
        (Need::StrictKex, "offers strict key exchange"),
        (Need::PrefersCurve25519, "prefers curve25519"),
    ] {
        if scenario.needs.contains(&need) {
            let _ = writeln!(
                text,
                "{:<12} each whether it {asked}, once it runs",
                "asked"
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake;
    use crate::peer::Capabilities;
    use crate::scenario::Subject;

    #[test]
    fn every_peer_is_told_with_its_role_or_with_what_it_lacks() {
        let scenario = |subject, needs: &[Need]| {
            Arc::new(Scenario {
                subject,
                needs: needs.to_vec(),
                ..fake::scenario("a/b")
            })
        };
        let silent = Capabilities {
            client: false,
            server_password: false,
            ..Capabilities::ALL
        };
        let all = [
            fake::info("minissh", Capabilities::ALL),
            fake::info("openssh-*", Capabilities::ALL),
            fake::info("silent-*", silent),
        ];
        let told = |subject, needs: &[Need]| peers(&scenario(subject, needs), &all);
        insta::assert_snapshot!(told(Subject::Either, &[Need::Password]), @"

        servers      minissh, openssh-*
        clients      minissh, openssh-*
        not for      the server of silent-* (silent-* 1.0) cannot use a password here
        ");
        insta::assert_snapshot!(told(Subject::Pair, &[Need::StrictKex]), @"

        servers      minissh, openssh-*, silent-*
        clients      openssh-*
        asked        each whether it offers strict key exchange, once it runs
        ");
    }

    /// None of the peers that come with this program is forgotten.
    #[test]
    fn what_is_declared_has_every_peer() {
        let declared = Roster::default().declared();
        for id in Roster::default().ids(true) {
            let is_it = |peer: &PeerInfo| {
                let family = peer.id.strip_suffix('*');
                peer.id == id || family.is_some_and(|family| id.starts_with(family))
            };
            let is_local = id == crate::peer::catalogue::LOCAL_OPENSSH;
            assert!(is_local || declared.iter().any(is_it), "{id}");
        }
    }
}
