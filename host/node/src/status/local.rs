//! The same routes on the node's Unix socket.

use std::time::Duration;

use posemesh_text::one_line;
use tokio::net::UnixListener;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::server::router;
use super::sources::StatusSources;
use crate::control::ControlSocket;
use crate::http_server::{self, ServerLimits};

/// How often it is looked whether the socket is still there.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);
/// How much of a path is logged, in bytes.
const SHOWN_BYTES: usize = 400;

/// Serves on a socket until `stop` fires. One whose file was taken away is made again.
pub(crate) async fn serve_local(
    (mut socket, mut listener): (ControlSocket, UnixListener),
    sources: StatusSources,
    stop: CancellationToken,
) {
    loop {
        serve_while_there(&socket, listener, sources.clone(), &stop).await;
        if stop.is_cancelled() {
            return socket.remove().await;
        }
        let path = socket.path().to_owned();
        tracing::warn!(
            path = one_line(path.display(), SHOWN_BYTES),
            "the control socket is gone; it is made again"
        );
        (socket, listener) = loop {
            // Its folder is made again, too, by whoever looks after WORK_DIR.
            match ControlSocket::bind(path.clone()).await {
                Ok(bound) => break bound,
                Err(error) => tracing::debug!(%error, "not yet"),
            }
            if stop.run_until_cancelled(sleep(LOOK_INTERVAL)).await.is_none() {
                return;
            }
        };
    }
}

async fn serve_while_there(
    socket: &ControlSocket,
    listener: UnixListener,
    sources: StatusSources,
    stop: &CancellationToken,
) {
    let end = stop.child_token();
    let watch = async {
        while end.run_until_cancelled(sleep(LOOK_INTERVAL)).await.is_some() {
            if !socket.is_there().await {
                end.cancel();
            }
        }
    };
    let serve = http_server::serve(
        listener,
        router(sources, None),
        "the control socket",
        ServerLimits::default(),
        end.clone(),
    );
    tokio::join!(serve, watch);
}
