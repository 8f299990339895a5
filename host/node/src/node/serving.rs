//! What goes on beside the worker for as long as a node runs: its sockets are served, and it is registered.

use std::time::Duration;

use posemesh_net::retry::uniform;
use posemesh_text::one_line;
use tokio::net::UnixListener;
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::control::{ControlError, ControlSocket, SocketPlace};
use crate::registration::RegistrationStatus;
use crate::registration::legacy::LegacyServer;
use crate::registration::membership::MembershipTask;
use crate::status::{StatusServer, StatusSources, serve_local};
use crate::workdir::WorkDirs;

/// How much of a path is recorded.
const SHOWN_BYTES: usize = 400;

/// Registers and logs in after a random wait of at most `splay`.
pub(super) async fn register_after(splay: Duration, membership: MembershipTask, stop: CancellationToken) {
    let wait = uniform(Duration::ZERO, splay);
    if !wait.is_zero() {
        tracing::info!(
            wait_ms = wait.as_millis() as u64,
            "waiting before the registration (START_SPLAY_SECS)"
        );
        stop.run_until_cancelled(sleep(wait)).await;
    }
    membership.run(stop).await;
}

/// The node's Unix socket. One at a place that somebody chose has to be there; without its own a node can do its work.
pub(super) async fn control_socket(
    place: &SocketPlace,
    work_dirs: &WorkDirs,
) -> Result<Option<(ControlSocket, UnixListener)>, ControlError> {
    let (path, is_chosen) = match place {
        SocketPlace::Off => return Ok(None),
        SocketPlace::Own => (work_dirs.control_socket(), false),
        SocketPlace::At(path) => (path.clone(), true),
    };
    match ControlSocket::bind(path).await {
        Ok(bound) => {
            tracing::info!(
                path = one_line(bound.0.path().display(), SHOWN_BYTES),
                "the control socket listens"
            );
            Ok(Some(bound))
        }
        Err(error) if is_chosen => Err(error),
        Err(error) => {
            tracing::warn!("{error}; commands on this machine need STATUS_ADDR and the ADMIN_TOKEN");
            Ok(None)
        }
    }
}

pub(super) async fn serve_control(
    control: Option<(ControlSocket, UnixListener)>,
    sources: StatusSources,
    stop: CancellationToken,
) {
    if let Some(control) = control {
        serve_local(control, sources, stop).await;
    }
}

pub(super) async fn serve_status(
    server: Option<StatusServer>,
    sources: StatusSources,
    stop: CancellationToken,
) {
    if let Some(server) = server {
        server.serve(sources, stop).await;
    }
}

pub(super) async fn serve_legacy(server: Option<LegacyServer>, stop: CancellationToken) {
    if let Some(server) = server {
        server.run(stop).await;
    }
}

/// Tells the worker whether the node is registered.
pub(super) async fn follow_registration(
    mut status: watch::Receiver<RegistrationStatus>,
    registered: &watch::Sender<bool>,
    stop: CancellationToken,
) {
    loop {
        registered.send_replace(*status.borrow_and_update() == RegistrationStatus::Registered);
        tokio::select! {
            () = stop.cancelled() => return,
            changed = status.changed() => if changed.is_err() { return },
        }
    }
}
