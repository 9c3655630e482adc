//! Images made from `docker/`: named by what they are made of, so that each is built once.

use std::process::Command;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use testcontainers::GenericBuildableImage;
use testcontainers::core::BuildImageOptions;
use testcontainers::runners::SyncBuilder;

use super::Engine;
use crate::peer::{Broken, process};

/// Makes base images where no registry answers; linked in so that the program runs from any folder.
const MAKE_BASE: &str = include_str!("../../../../docker/make-base");
/// How long that may take for several suites at once, on a slow mirror.
const MAKE_BASE_MAX: Duration = Duration::from_secs(30 * 60);

/// A folder of `docker/` for one Debian suite.
#[derive(Debug, Clone)]
pub struct Image {
    name: String,
    tag: String,
    suite: String,
    dockerfile: &'static str,
    files: &'static [(&'static str, &'static str)],
}

impl Image {
    /// The image that `dockerfile` makes of `files` (name in its folder, content) and `suite`.
    #[must_use]
    pub fn new(
        name: &str,
        suite: &str,
        dockerfile: &'static str,
        files: &'static [(&'static str, &'static str)],
    ) -> Self {
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
        Self {
            name: format!("sshdrill-{name}"),
            tag: format!("{suite}-{hash}"),
            suite: suite.to_owned(),
            dockerfile,
            files,
        }
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
        let suites: Vec<&str> = missing.iter().map(|image| image.suite.as_str()).collect();
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

    fn is_here(&self, engine: &Engine) -> bool {
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
        let context = GenericBuildableImage::new(&self.name, &self.tag)
            .with_dockerfile_string(self.dockerfile);
        let context = self.files.iter().fold(context, |context, (name, text)| {
            context.with_data(*text, format!("./{name}"))
        });
        let options = BuildImageOptions::new().with_build_arg("SUITE", &self.suite);
        let built = context.build_image_with(options);
        let built = built.map_err(|e| self.not_built(engine, bases, &e));
        if built.is_ok() {
            let took = started.elapsed().as_secs();
            progress(&format!("built {}:{} in {took} s", self.name, self.tag));
        }
        built.map(|_| ())
    }

    /// The engine's words for a failed build do not say which command failed or how, and those for
    /// a missing base image speak of a registry; so the cause is looked for.
    fn not_built(
        &self,
        engine: &Engine,
        bases: Option<&Broken>,
        e: &dyn std::error::Error,
    ) -> Broken {
        let base = base(&self.suite);
        match bases {
            Some(bases) if !engine.has_image(&base) => Broken {
                what: format!("no base image {base}: {}", bases.what),
                hint: bases.hint.clone(),
            },
            _ => {
                Broken::new(format!("cannot build {}:{}: {e}", self.name, self.tag)).hint(format!(
                    "see what fails: docker build --build-arg SUITE={} docker/{}",
                    self.suite,
                    self.name.trim_start_matches("sshdrill-"),
                ))
            }
        }
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
