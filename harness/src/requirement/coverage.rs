//! Which clauses are shown by what: scenarios, tests of the engine, or a reason why by nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use super::{Binds, Catalogue, Clause, Level};

/// Every clause with what shows it.
#[derive(Debug)]
pub struct Coverage<'a> {
    rows: Vec<Row<'a>>,
}

/// One clause with what shows it.
#[derive(Debug)]
pub struct Row<'a> {
    /// What is asked.
    pub clause: &'a Clause,
    /// The scenario files that cite it, in the order of their names.
    pub scenarios: BTreeSet<String>,
}

impl Row<'_> {
    /// Whether anything speaks for the clause, be it only the reason why nothing can.
    #[must_use]
    pub fn is_covered(&self) -> bool {
        let Clause {
            exception,
            tested_by,
            ..
        } = self.clause;
        !self.scenarios.is_empty() || !tested_by.is_empty() || exception.is_some()
    }

    /// Whether it has to be covered: others may stay without.
    #[must_use]
    pub fn is_binding(&self) -> bool {
        self.clause.level >= Level::Must
    }
}

impl<'a> Coverage<'a> {
    /// Joins the clauses with the scenarios, given as name and cited clauses. Of a name that was
    /// expanded (`area/name@parameter=value`) only the file counts.
    pub fn of<'s>(
        catalogue: &'a Catalogue,
        scenarios: impl IntoIterator<Item = (&'s str, &'s [String])>,
    ) -> Self {
        let mut citing: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        for (name, cites) in scenarios {
            let file = name.split('@').next().unwrap_or(name);
            for id in cites {
                citing.entry(id).or_default().insert(file.to_owned());
            }
        }
        let row = |clause: &'a Clause| Row {
            clause,
            scenarios: citing.get(clause.id.as_str()).cloned().unwrap_or_default(),
        };
        Self {
            rows: catalogue.iter().map(row).collect(),
        }
    }

    /// Every clause, by id.
    #[must_use]
    pub fn rows(&self) -> &[Row<'a>] {
        &self.rows
    }

    /// Binding clauses that nothing speaks for.
    pub fn gaps(&self) -> impl Iterator<Item = &Row<'a>> {
        self.rows
            .iter()
            .filter(|row| row.is_binding() && !row.is_covered())
    }

    /// Tests that clauses name and that are not in the sources below `root`, each with its clause.
    #[must_use]
    pub fn missing_tests(&self, root: &Path) -> Vec<(&'a str, &'a str)> {
        let named = self.rows.iter().flat_map(|row| {
            let tests = row.clause.tested_by.iter();
            tests.map(|test| (row.clause.id.as_str(), test.as_str()))
        });
        named.filter(|(_, test)| !exists(root, test)).collect()
    }
}

/// Whether the file has a function of that name.
fn exists(root: &Path, test: &str) -> bool {
    let Some((file, function)) = test.split_once("::") else {
        return false;
    };
    let function = format!("fn {function}(");
    std::fs::read_to_string(root.join(file)).is_ok_and(|text| text.contains(&function))
}

impl fmt::Display for Coverage<'_> {
    /// The table, and below it the counts.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in &self.rows {
            let Clause {
                id, level, role, ..
            } = row.clause;
            writeln!(f, "{id}  {} {}", level.word(), role.word())?;
            for scenario in &row.scenarios {
                writeln!(f, "    {scenario}")?;
            }
            for test in &row.clause.tested_by {
                writeln!(f, "    {test}")?;
            }
            if let Some(reason) = &row.clause.exception {
                writeln!(f, "    no scenario: {reason}")?;
            }
            if !row.is_covered() {
                writeln!(f, "    nothing")?;
            }
        }
        let count = |has: fn(&Row<'_>) -> bool| self.rows.iter().filter(|row| has(row)).count();
        write!(
            f,
            "\n{} clauses: {} with scenarios, {} with tests of the engine, {} with a reason why not, {} with nothing\n",
            self.rows.len(),
            count(|row| !row.scenarios.is_empty()),
            count(|row| !row.clause.tested_by.is_empty()),
            count(|row| row.clause.exception.is_some()),
            count(|row| !row.is_covered()),
        )
    }
}

impl Level {
    /// As the catalogue writes it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::May => "may",
            Self::Should => "should",
            Self::Must => "must",
            Self::Security => "security",
        }
    }
}

impl Binds {
    /// As the catalogue writes it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
            Self::Both => "both",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO_CLAUSES: &str = r#"
        document = "RFC 1"
        [[clause]]
        id = "rfc1-1/be"
        section = "1"
        level = "must"
        role = "both"
        says = "Be."
        consequence = "None."
        [[clause]]
        id = "rfc1-2/do"
        section = "2"
        level = "may"
        role = "client"
        says = "Do."
        consequence = "None."
        tested-by = ["no/such/file.rs::test"]
    "#;

    #[test]
    fn a_binding_clause_that_nothing_cites_is_a_gap() {
        let mut catalogue = Catalogue::default();
        let path = Path::new("rfc1.toml");
        catalogue.add_file(path, TWO_CLAUSES).expect("well-formed");

        let nothing = Coverage::of(&catalogue, []);
        let gaps: Vec<&str> = nothing.gaps().map(|row| row.clause.id.as_str()).collect();
        assert_eq!(gaps, ["rfc1-1/be"]);
        assert_eq!(
            nothing.missing_tests(Path::new("/")),
            [("rfc1-2/do", "no/such/file.rs::test")]
        );

        let cites = ["rfc1-1/be".to_owned()];
        let scenarios = [("area/be@how=one", &cites[..]), ("area/be@how=two", &cites)];
        let covered = Coverage::of(&catalogue, scenarios);
        assert_eq!(covered.gaps().count(), 0);
        insta::assert_snapshot!(covered, @r"
        rfc1-1/be  must both
            area/be
        rfc1-2/do  may client
            no/such/file.rs::test

        2 clauses: 1 with scenarios, 1 with tests of the engine, 0 with a reason why not, 0 with nothing
        ");
    }
}
