//! Images made from `docker/`: named by what they are made of, so that each is built once.

use std::collections::HashMap;
use std::process::Command;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use super::Engine;
use crate::peer::{Broken, process};

/// Makes base images where no registry answers; linked in so that the program runs from any folder.
const MAKE_BASE: &str = include_str!("../../../../docker/make-base");
/// How long that may take for several suites at once, on a slow mirror.
const MAKE_BASE_MAX: Duration = Duration::from_secs(30 * 60);

/// The files of a folder of `docker/`: name and content.
type Files = &'static [(&'static str, &'static str)];

/// The folders of `docker/`, with what is in them: peers, and a reader of captures for tests.
const FOLDERS: &[(&str, &str, Files)] = &[
    (
        "openssh",
        include_str!("../../../../docker/openssh/Dockerfile"),
        &[(
            "sshd_config",
            include_str!("../../../../docker/openssh/sshd_config"),
        )],
    ),
    (
        "openssh-old",
        include_str!("../../../../docker/openssh-old/Dockerfile"),
        &[(
            "sshd_config",
            include_str!("../../../../docker/openssh/sshd_config"),
        )],
    ),
    (
        "others",
        include_str!("../../../../docker/others/Dockerfile"),
        &[],
    ),
    (
        "libssh",
        include_str!("../../../../docker/libssh/Dockerfile"),
        &[
            (
                "client.c",
                include_str!("../../../../docker/libssh/client.c"),
            ),
            (
                "server.c",
                include_str!("../../../../docker/libssh/server.c"),
            ),
        ],
    ),
    (
        "tshark",
        include_str!("../../../../docker/tshark/Dockerfile"),
        &[],
    ),
];

/// A folder of `docker/` for one release of a distribution.
#[derive(Debug, Clone)]
pub struct Image {
    name: String,
    tag: String,
    suite: String,
    /// What it is made from, if not from the suite of Debian.
    base: Option<String>,
    dockerfile: &'static str,
    files: Files,
}

impl Image {
    /// The image that a folder of `docker/` makes of a suite: of Debian, unless a `base` is given.
    ///
    /// # Errors
    /// [`Broken`] when there is no such folder.
    pub fn new(folder: &str, suite: &str, base: Option<&str>) -> Result<Self, Broken> {
        let found = FOLDERS.iter().find(|(name, _, _)| *name == folder);
        let Some(&(name, dockerfile, files)) = found else {
            let names: Vec<&str> = FOLDERS.iter().map(|(name, _, _)| *name).collect();
            return Err(Broken::new(format!("there is no image `{folder}`"))
                .hint(format!("there are {}", names.join(", "))));
        };
        let mut hash = Sha256::new();
        for text in [dockerfile]
            .into_iter()
            .chain(files.iter().flat_map(|&(name, text)| [name, text]))
        {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        }
        let hash = hash.finalize();
        let hash = hash
            .iter()
            .take(6)
            .fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        Ok(Self {
            name: format!("sshdrill-{name}"),
            tag: format!("{suite}-{hash}"),
            suite: suite.to_owned(),
            base: base.map(str::to_owned),
            dockerfile,
            files,
        })
    }

    /// Name and tag, as the engine knows it.
    #[must_use]
    pub fn name_and_tag(&self) -> (&str, &str) {
        (&self.name, &self.tag)
    }

    /// Builds what is missing of `images`, side by side, each once for all runs to come. Says so by
    /// `progress` only when there is something to build.
    ///
    /// The result has one entry for each image.
    ///
    /// # Panics
    /// When the engine's client does.
    pub fn build_all(
        engine: &Engine,
        images: &[Self],
        progress: &(dyn Fn(&str) + Sync),
    ) -> Vec<Result<(), Broken>> {
        let missing: Vec<&Self> = images
            .iter()
            .filter(|image| !image.is_here(engine))
            .collect();
        let mut suites: Vec<&str> = missing
            .iter()
            .filter(|image| image.base.is_none())
            .map(|image| image.suite.as_str())
            .collect();
        suites.sort_unstable();
        suites.dedup();
        // Only a hint for later: with a registry the build itself can do without.
        let bases = make_bases(engine, &suites, progress).err();
        std::thread::scope(|scope| {
            let builds: Vec<_> = images
                .iter()
                .map(|image| scope.spawn(|| image.build(engine, bases.as_ref(), progress)))
                .collect();
            builds
                .into_iter()
                .map(|build| build.join().expect("building does not panic"))
                .collect()
        })
    }

    /// Whether it was built already.
    #[must_use]
    pub fn is_here(&self, engine: &Engine) -> bool {
        engine.has_image(&format!("{}:{}", self.name, self.tag))
    }

    fn build(
        &self,
        engine: &Engine,
        bases: Option<&Broken>,
        progress: &(dyn Fn(&str) + Sync),
    ) -> Result<(), Broken> {
        if self.is_here(engine) {
            return Ok(());
        }
        let started = Instant::now();
        progress(&format!("building {}:{}", self.name, self.tag));
        let files: Vec<(&str, &str)> = [("Dockerfile", self.dockerfile)]
            .into_iter()
            .chain(self.files.iter().copied())
            .collect();
        let base = self.base.as_deref().map(|base| ("BASE", base));
        let arguments: HashMap<&str, &str> =
            [("SUITE", &*self.suite)].into_iter().chain(base).collect();
        engine
            .build(self.name_and_tag(), &files, &arguments)
            .map_err(|broken| self.not_built(engine, bases, broken))?;
        let took = started.elapsed().as_secs();
        progress(&format!("built {}:{} in {took} s", self.name, self.tag));
        Ok(())
    }

    /// The engine's words for a missing base image speak of a registry, so the cause is looked for.
    fn not_built(&self, engine: &Engine, bases: Option<&Broken>, broken: Broken) -> Broken {
        let base = self.base.clone().unwrap_or_else(|| base(&self.suite));
        match bases {
            Some(bases) if !engine.has_image(&base) => Broken {
                what: format!("no base image {base}: {}", bases.what),
                hint: bases.hint.clone(),
            },
            _ => broken.hint(format!("all of its output: {}", self.by_hand())),
        }
    }

    /// The command that builds it.
    fn by_hand(&self) -> String {
        let folder = self.name.trim_start_matches("sshdrill-");
        let base = self.base.as_ref();
        let base = base.map_or_else(String::new, |base| format!("--build-arg BASE={base} "));
        let suite = &self.suite;
        format!("docker build --build-arg SUITE={suite} {base}docker/{folder}")
    }
}

fn base(suite: &str) -> String {
    format!("debian:{suite}-slim")
}

/// Has `docker/make-base` pull or make the base images of `suites` that are not here.
fn make_bases(
    engine: &Engine,
    suites: &[&str],
    progress: &(dyn Fn(&str) + Sync),
) -> Result<(), Broken> {
    let missing: Vec<&str> = suites
        .iter()
        .copied()
        .filter(|suite| !engine.has_image(&base(suite)))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(" ");
    progress(&format!(
        "fetching or making the Debian base images of {names}; takes minutes, once"
    ));
    let mut command = Command::new("bash");
    command.args(["-c", MAKE_BASE, "make-base"]).args(&missing);
    let ran = process::run(&mut command, b"", MAKE_BASE_MAX)
        .map_err(|e| Broken::while_doing("cannot run bash", e))?;
    for line in String::from_utf8_lossy(&ran.stdout).lines() {
        progress(line);
    }
    if ran.code == Some(0) {
        return Ok(());
    }
    let said = |prefix: &str| {
        let line = ran
            .stderr
            .lines()
            .find_map(|line| line.strip_prefix(prefix));
        line.map(str::to_owned)
    };
    Err(Broken {
        what: said("error: ").unwrap_or_else(|| ran.stderr.trim().to_owned()),
        hint: said("hint: ").or_else(|| Some(format!("docker/make-base {names}"))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_built_by_hand_from_the_same_base() {
        let by_hand = |folder, suite, base| {
            let image = Image::new(folder, suite, base).expect("there is such a folder");
            image.by_hand()
        };
        assert_eq!(
            by_hand("openssh", "sid", None),
            "docker build --build-arg SUITE=sid docker/openssh"
        );
        assert_eq!(
            by_hand("openssh-old", "trusty", Some("ubuntu:14.04")),
            "docker build --build-arg SUITE=trusty --build-arg BASE=ubuntu:14.04 docker/openssh-old"
        );
    }
}
