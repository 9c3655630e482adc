//! A blocking face on the container engine's interface: start, run inside, ask, clean.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use testcontainers::bollard::Docker;
use testcontainers::bollard::errors::Error as EngineError;
use testcontainers::bollard::query_parameters::{
    ListContainersOptions, ListImagesOptions, RemoveContainerOptions, RemoveImageOptions,
};
use testcontainers::runners::SyncRunner;
use testcontainers::{Container, CopyTargetOptions, GenericImage, ImageExt};
use tokio::runtime::Runtime;

use super::shell::Shell;
use super::{LABEL, is_going_on, run_label};
use crate::peer::Broken;
use crate::peer::process::Ran;
use crate::wording;

/// Where an engine is unless `DOCKER_HOST` says otherwise.
const USUAL_PLACE: &str = "unix:///var/run/docker.sock";
/// How long an engine that works takes to say so.
const ANSWER_MAX: Duration = Duration::from_secs(60);
/// What we allow beyond a command's own limit before we take the engine for dead.
const ENGINE_SLACK: Duration = Duration::from_secs(60);

/// A container engine that answers.
pub struct Engine {
    pub(super) docker: Docker,
    pub(super) runtime: Runtime,
}

/// Why no engine can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoEngine {
    /// There is one, and it may not be used.
    NoPermission(String),
    /// None answers.
    NotThere(String),
}

/// Whether this process has asked for a container.
static HAS_STARTED: AtomicBool = AtomicBool::new(false);

/// A running container; removed when dropped, at the latest by [`remove_own`].
pub struct Running(Container<GenericImage>);

impl Running {
    /// Its id, short.
    #[must_use]
    pub fn id(&self) -> &str {
        let id = self.0.id();
        id.get(..12).unwrap_or(id)
    }
}

impl Engine {
    /// Finds the engine by `DOCKER_HOST` or at its usual place, and waits for its answer.
    ///
    /// # Errors
    /// [`NoEngine`] when there is none for us.
    pub fn connect() -> Result<Self, NoEngine> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("container-engine")
            .enable_all()
            .build()
            .map_err(|e| why_not(&e))?;
        let answer = runtime.block_on(async {
            let docker = testcontainers::core::client::docker_client_instance().await;
            let docker = docker.map_err(|e| why_not(&e))?;
            match tokio::time::timeout(ANSWER_MAX, docker.ping()).await {
                Ok(Ok(_)) => Ok(docker),
                Ok(Err(e)) => Err(why_not(&e)),
                Err(_) => Err(NoEngine::NotThere(format!(
                    "no answer within {}",
                    wording::time(ANSWER_MAX)
                ))),
            }
        });
        Ok(Self {
            docker: answer?,
            runtime,
        })
    }

    /// Whether an image of this name is here.
    pub(super) fn has_image(&self, name: &str) -> bool {
        self.runtime
            .block_on(self.docker.inspect_image(name))
            .is_ok()
    }

    /// Starts a container with `files` (path, mode, content) in it.
    ///
    /// # Errors
    /// [`Broken`] with the engine's words.
    pub fn start(
        &self,
        (name, tag): (&str, &str),
        files: &[(&str, u32, &str)],
    ) -> Result<Running, Broken> {
        let mut request = GenericImage::new(name, tag)
            .with_label(LABEL, run_label())
            .with_startup_timeout(Duration::from_secs(180));
        for (path, mode, content) in files {
            let target = CopyTargetOptions::new(*path).with_mode(*mode);
            request = request.with_copy_to(target, content.as_bytes().to_vec());
        }
        HAS_STARTED.store(true, Ordering::Relaxed);
        let started = request.start();
        started
            .map(Running)
            .map_err(|e| broken(&format!("cannot start {name}:{tag}"), &e))
    }

    /// The container's address, and this machine's as the container sees it.
    ///
    /// # Errors
    /// [`Broken`] when the container is in no network that has both.
    pub fn addresses(&self, container: &Running) -> Result<(IpAddr, IpAddr), Broken> {
        let inspect = self.docker.inspect_container(container.0.id(), None);
        let found = self.runtime.block_on(inspect);
        let found = found.map_err(|e| broken("cannot inspect a container", &e))?;
        let networks = found
            .network_settings
            .and_then(|s| s.networks)
            .unwrap_or_default();
        let both = |network: &testcontainers::bollard::models::EndpointSettings| {
            let address = network.ip_address.as_ref()?.parse().ok()?;
            Some((address, network.gateway.as_ref()?.parse().ok()?))
        };
        networks.values().find_map(both).ok_or_else(|| {
            let id = container.id();
            Broken::new(format!("container {id} is in no network with a gateway"))
                .hint("the engine's default network must be a bridge")
        })
    }

    /// Whether the container has not ended.
    pub fn is_running(&self, container: &Running) -> bool {
        container.0.is_running().unwrap_or(false)
    }

    /// Has `shell`, or without one a new one of the container's, run a script; see [`Shell::run`].
    /// Gives the shell back.
    ///
    /// # Errors
    /// [`Broken`] when the engine cannot run it.
    pub(super) fn run(
        &self,
        container: &Running,
        shell: Option<Shell>,
        (script, stdin): (&str, &[u8]),
        limit: Duration,
    ) -> Result<(Ran, Shell), Broken> {
        let failed = |e: &dyn StdError| broken("cannot run a command in a container", e);
        let run = async {
            let mut shell = match shell {
                Some(shell) => shell,
                None => Shell::start(&self.docker, container.0.id())
                    .await
                    .map_err(|e| failed(&e))?,
            };
            let ran = shell.run(script, stdin, limit).await;
            ran.map(|ran| (ran, shell)).map_err(|e| failed(&e))
        };
        // The timer must be made where the runtime is, hence inside the block.
        let ran = async { tokio::time::timeout(limit + ENGINE_SLACK, run).await };
        let ran = self.runtime.block_on(ran);
        ran.map_err(|e| broken("the container engine hangs", &e))?
    }
}

/// What [`clean`] removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cleaned {
    /// Containers of runs that are over.
    pub containers: usize,
    /// Images made from `docker/`; the base images stay.
    pub images: usize,
}

/// Removes all containers that runs left on the engine, except those of runs that still go on on
/// this machine, and on demand the images that the suite made.
///
/// # Errors
/// [`Broken`] when there is no engine, or when it refuses.
pub fn clean(images_too: bool) -> Result<Cleaned, Broken> {
    let engine = Engine::connect().map_err(Broken::from)?;
    let cleaned = engine.runtime.block_on(async {
        let docker = &engine.docker;
        let containers = remove_containers(docker, |run| !is_going_on(run)).await?;
        let images = if images_too {
            remove_images(docker).await?
        } else {
            0
        };
        Ok(Cleaned { containers, images })
    });
    cleaned.map_err(|e: EngineError| broken("cannot clean up", &e))
}

/// Removes the containers of this process, whoever still holds them: a case that was left behind
/// at its deadline does until the end. Asks no engine when there cannot be any.
///
/// # Errors
/// [`Broken`] when the engine does not answer any more, or when it refuses.
pub fn remove_own() -> Result<(), Broken> {
    if !HAS_STARTED.load(Ordering::Relaxed) {
        return Ok(());
    }
    let engine = Engine::connect().map_err(Broken::from)?;
    let own = run_label();
    let removed = remove_containers(&engine.docker, |run| run == own);
    let removed = engine.runtime.block_on(removed);
    removed.map(|_| ()).map_err(|e| {
        broken("cannot remove the containers of this run", &e).hint("`sshdrill clean` tries again")
    })
}

/// Removes the containers of the runs that `is_over` says yes to, and counts them.
async fn remove_containers(
    docker: &Docker,
    is_over: impl Fn(&str) -> bool,
) -> Result<usize, EngineError> {
    let listed = ListContainersOptions {
        all: true,
        filters: Some(HashMap::from([(
            "label".to_owned(),
            vec![LABEL.to_owned()],
        )])),
        ..ListContainersOptions::default()
    };
    let mut removed = 0;
    for container in docker.list_containers(Some(listed)).await? {
        let run = container
            .labels
            .and_then(|mut labels| labels.remove(LABEL))
            .unwrap_or_default();
        let Some(id) = container.id.filter(|_| is_over(&run)) else {
            continue;
        };
        let force = RemoveContainerOptions {
            force: true,
            v: true,
            ..Default::default()
        };
        match docker.remove_container(&id, Some(force)).await {
            Ok(()) => removed += 1,
            Err(e) if is_gone(&e) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(removed)
}

async fn remove_images(docker: &Docker) -> Result<usize, EngineError> {
    let listed = ListImagesOptions {
        filters: Some(HashMap::from([(
            "label".to_owned(),
            vec![format!("{LABEL}=image")],
        )])),
        ..ListImagesOptions::default()
    };
    let mut removed = 0;
    for image in docker.list_images(Some(listed)).await? {
        let force = RemoveImageOptions {
            force: true,
            ..Default::default()
        };
        match docker.remove_image(&image.id, Some(force), None).await {
            Ok(_) => removed += 1,
            Err(e) if is_gone(&e) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(removed)
}

/// Removed by somebody else meanwhile, or being removed: both are what we want.
fn is_gone(e: &EngineError) -> bool {
    matches!(
        e,
        EngineError::DockerResponseServerError {
            status_code: 404 | 409,
            ..
        }
    )
}

/// Tells a socket that refuses us from one that is not there, in the operating system's words: those
/// of the layers above it name the layers.
fn why_not(e: &(dyn StdError + 'static)) -> NoEngine {
    let causes = std::iter::successors(Some(e), |&error| error.source());
    let denied = |error: &(dyn StdError + 'static)| {
        let io = error.downcast_ref::<std::io::Error>();
        io.is_some_and(|io| io.kind() == std::io::ErrorKind::PermissionDenied)
    };
    let place = std::env::var("DOCKER_HOST").unwrap_or_else(|_| USUAL_PLACE.to_owned());
    let last = causes
        .clone()
        .last()
        .map(ToString::to_string)
        .unwrap_or_default();
    let words = format!("tried {place}: {last}");
    if causes.into_iter().any(denied) {
        NoEngine::NoPermission(words)
    } else {
        NoEngine::NotThere(words)
    }
}

impl From<NoEngine> for Broken {
    fn from(no: NoEngine) -> Self {
        let (why, hint) = match no {
            NoEngine::NoPermission(words) => {
                (words, "add yourself to the `docker` group and log in again")
            }
            NoEngine::NotThere(words) => (
                words,
                "install and start a container engine (Debian: docker.io), or set DOCKER_HOST",
            ),
        };
        Self::new(format!("cannot reach a container engine: {why}")).hint(hint)
    }
}

pub(super) fn broken(what: &str, e: &dyn StdError) -> Broken {
    let mut words = format!("{what}: {e}");
    let mut cause = e.source();
    while let Some(error) = cause {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    Broken::new(words)
}
