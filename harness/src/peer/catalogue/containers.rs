//! From berths to peers: one image and one container for each pair of folder and suite, shared by
//! all peers that are in it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::Berth;
use crate::peer::command::{CommandPeer, Door};
use crate::peer::container::{Engine, Image, Inside};
use crate::peer::manifest::Driver;
use crate::peer::openssh::ContainerOpenSsh;
use crate::peer::place::Place;
use crate::peer::{NotDone, Origin, Peer};

/// The first of the ports that servers in a container listen on.
const PORTS_FROM: u16 = 2200;
/// How long making a folder may take.
const FOLDER_MAX: Duration = Duration::from_secs(60);

/// A peer's id and what became of it.
type Tried = (String, Result<Arc<dyn Peer>, NotDone>);

/// Builds, starts and checks everything, side by side.
pub(super) fn start_all(
    engine: &Arc<Engine>,
    berths: &[Berth<'_>],
    progress: &(dyn Fn(&str) + Sync),
) -> Vec<Tried> {
    let mut tried = Vec::new();
    let mut ready = Vec::new();
    for group in groups(berths) {
        match Image::new(group[0].image, group[0].suite, group[0].base) {
            Ok(image) => ready.push((group, image)),
            Err(broken) => tried.extend(all_failed(&group, &broken.into())),
        }
    }
    let images: Vec<Image> = ready.iter().map(|(_, image)| image.clone()).collect();
    let built = Image::build_all(engine, &images, progress);
    std::thread::scope(|scope| {
        let starts: Vec<_> = ready
            .iter()
            .zip(built)
            .map(|((group, image), built)| {
                scope.spawn(move || match built {
                    Ok(()) => start(engine, group, image),
                    Err(broken) => all_failed(group, &broken.into()),
                })
            })
            .collect();
        for start in starts {
            tried.extend(start.join().expect("starting a container does not panic"));
        }
    });
    tried
}

/// The berths that share a container; none is empty. An OpenSSH has one for itself.
fn groups<'a>(berths: &'a [Berth<'a>]) -> Vec<Vec<&'a Berth<'a>>> {
    let mut groups: Vec<Vec<&Berth<'_>>> = Vec::new();
    for berth in berths {
        let kind = |berth: &Berth<'a>| (berth.image, berth.suite, berth.manifest.driver);
        let shared = groups
            .iter_mut()
            .find(|group| kind(group[0]) == kind(berth) && kind(berth).2 == Driver::Command);
        match shared {
            Some(group) => group.push(berth),
            None => groups.push(vec![berth]),
        }
    }
    groups
}

fn all_failed(group: &[&Berth<'_>], why: &NotDone) -> Vec<Tried> {
    let failed = |berth: &&Berth<'_>| (berth.id(), Err(why.clone()));
    group.iter().map(failed).collect()
}

/// Starts the container of a group, and its peers in it.
fn start(engine: &Arc<Engine>, group: &[&Berth<'_>], image: &Image) -> Vec<Tried> {
    match group {
        [berth] if berth.manifest.driver == Driver::Openssh => {
            let id = berth.id();
            let peer = ContainerOpenSsh::start(engine, &id, berth.suite, image.name_and_tag());
            let peer = peer.map(|peer| Arc::new(peer) as Arc<dyn Peer>);
            vec![(id, peer.map_err(NotDone::from))]
        }
        _ => start_commands(engine, group, image),
    }
}

fn start_commands(engine: &Arc<Engine>, group: &[&Berth<'_>], image: &Image) -> Vec<Tried> {
    let inside = Inside::start(engine, image.name_and_tag(), &[]).and_then(|inside| {
        let script = format!("mkdir -p {}", inside.folder());
        inside.run(&script, b"", FOLDER_MAX).map(|_| inside)
    });
    let inside = match inside {
        Ok(inside) => Arc::new(inside),
        Err(broken) => return all_failed(group, &broken.into()),
    };
    std::thread::scope(|scope| {
        let tries: Vec<_> = (PORTS_FROM..)
            .zip(group)
            .map(|(port, berth)| {
                let inside = Arc::clone(&inside);
                scope.spawn(move || try_out(berth, port, inside))
            })
            .collect();
        let join = |tried: std::thread::ScopedJoinHandle<'_, Tried>| {
            tried.join().expect("trying a peer out does not panic")
        };
        tries.into_iter().map(join).collect()
    })
}

fn try_out(berth: &Berth<'_>, port: u16, inside: Arc<Inside>) -> Tried {
    let id = berth.id();
    let door = Door::Fixed(SocketAddr::new(inside.address(), port));
    let origin = Origin::Container(berth.suite.to_owned());
    let peer = CommandPeer::try_out(berth.manifest, &id, origin, inside, door);
    (id, peer.map(|peer| Arc::new(peer) as Arc<dyn Peer>))
}
