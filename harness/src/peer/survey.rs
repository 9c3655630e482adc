//! What this machine has of all that a run can use, found without starting anything that stays.

use super::Broken;
use super::catalogue::Roster;
use super::container::{Engine, Image};
use super::manifest::Manifest;
use super::openssh::LocalOpenSsh;
use super::{Capabilities, Peer};

/// One thing that a run can use.
#[derive(Debug, Clone)]
pub struct Finding {
    /// What it is.
    pub what: &'static str,
    /// What was found, or why not and how to get it.
    pub found: Result<String, Broken>,
    /// What a run gains by it.
    pub adds: String,
}

/// Looks for everything.
#[must_use]
pub fn survey() -> Vec<Finding> {
    let mut findings = vec![Finding {
        what: "minissh",
        found: Ok(format!("{}, in this program", env!("CARGO_PKG_VERSION"))),
        adds: String::new(),
    }];
    findings.extend(local_openssh());
    findings.extend(containers());
    findings
}

fn local_openssh() -> Vec<Finding> {
    let peer = match LocalOpenSsh::find() {
        Ok(Some(peer)) => Ok(peer),
        Ok(None) => Err(Broken::new("neither ssh nor sshd is on PATH")),
        Err(why) => Err(Broken::new(why.to_string())),
    };
    let part = |what, package: &str, adds: &str, has: fn(&Capabilities) -> bool| {
        let missing = || {
            Broken::new("not found on PATH or where distributions put it")
                .hint(format!("apt-get install {package}, or your system's like"))
        };
        let found = match &peer {
            Ok(peer) if has(&peer.info().capabilities) => Ok(peer.info().version.clone()),
            Ok(_) => Err(missing()),
            Err(broken) => Err(Broken {
                hint: missing().hint,
                ..broken.clone()
            }),
        };
        Finding {
            what,
            found,
            adds: adds.to_owned(),
        }
    };
    let mut findings = vec![
        part(
            "ssh",
            "openssh-client",
            "the cases for clients with the OpenSSH of this machine",
            |can| can.client,
        ),
        part(
            "sshd",
            "openssh-server",
            "the cases for servers with the OpenSSH of this machine",
            |can| can.server,
        ),
    ];
    if peer.is_ok_and(|peer| {
        let can = &peer.info().capabilities;
        can.server && !can.server_password
    }) {
        findings.push(Finding {
            what: "sshd's passwords",
            found: Err(Broken::new("its password cannot be checked by this user")
                .hint("run as root where mount namespaces are allowed")),
            adds: "the cases with passwords for the sshd of this machine".to_owned(),
        });
    }
    findings
}

fn containers() -> Vec<Finding> {
    let adds = format!(
        "in containers: {}",
        Roster::default().containers().join(", ")
    );
    let engine = match Engine::connect() {
        Ok(engine) => engine,
        Err(no) => {
            return vec![Finding {
                what: "container engine",
                found: Err(no.into()),
                adds,
            }];
        }
    };
    let images: Vec<(String, bool)> = images(&engine);
    let built = images.iter().filter(|(_, is_here)| *is_here).count();
    let missing: Vec<&str> = images
        .iter()
        .filter(|(_, is_here)| !is_here)
        .map(|(name, _)| name.as_str())
        .collect();
    let found = if missing.is_empty() {
        Ok(format!("all {built} of a usual run are built"))
    } else {
        let all = images.len();
        let what = format!(
            "{built} of {all} are built; not yet: {}",
            missing.join(", ")
        );
        Err(Broken::new(what).hint("the first run builds them, in some minutes and once"))
    };
    vec![
        Finding {
            what: "container engine",
            found: Ok("answers".to_owned()),
            adds: adds.clone(),
        },
        Finding {
            what: "images",
            found,
            adds: "a first run that begins at once".to_owned(),
        },
    ]
}

/// The images of a usual run, and whether each is here.
fn images(engine: &Engine) -> Vec<(String, bool)> {
    let mut images = Vec::new();
    for manifest in Manifest::known() {
        if let Some(container) = &manifest.container {
            for suite in &container.usual {
                let base = container.bases.get(suite).map(String::as_str);
                let Ok(image) = Image::new(&container.image, suite, base) else {
                    continue;
                };
                let name = format!("{} of {suite}", container.image);
                images.push((name, image.is_here(engine)));
            }
        }
    }
    images.sort();
    images.dedup();
    images
}
