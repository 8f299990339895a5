#![allow(clippy::unwrap_used)]

use std::os::unix::fs::PermissionsExt as _;

use tokio::net::UnixStream;

use super::*;

#[tokio::test]
async fn a_socket_is_this_users_alone_and_goes_with_its_node() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("control.sock");
    let (socket, listener) = ControlSocket::bind(path.clone()).await.unwrap();
    assert_eq!(path.symlink_metadata().unwrap().permissions().mode() & 0o777, 0o600);
    UnixStream::connect(&path).await.unwrap();
    assert!(socket.is_there().await);
    drop(listener);
    socket.remove().await;
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left");
}

#[tokio::test]
async fn a_path_with_a_living_node_is_taken_and_one_of_a_dead_node_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("control.sock");
    let (first, listener) = ControlSocket::bind(path.clone()).await.unwrap();
    let taken = ControlSocket::bind(path.clone()).await.unwrap_err().to_string();
    assert!(taken.contains("another node listens there"), "{taken}");
    // As a killed process leaves it.
    drop(listener);
    let (second, _listener) = ControlSocket::bind(path.clone()).await.unwrap();
    assert!(!first.is_there().await && second.is_there().await);
    first.remove().await;
    assert!(second.is_there().await, "the first one does not take away the second one's");
    let other = dir.path().join("file");
    std::fs::write(&other, "precious").unwrap();
    let refused = ControlSocket::bind(other.clone()).await.unwrap_err().to_string();
    assert!(refused.contains("something else than a socket"), "{refused}");
    assert_eq!(std::fs::read(other).unwrap(), b"precious");
}

#[tokio::test]
async fn a_path_that_is_longer_than_an_address_is_reached_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("n".repeat(120)).join("m".repeat(120));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(NAME);
    let (socket, _listener) = ControlSocket::bind(path.clone()).await.unwrap();
    assert_eq!(socket.path(), path);
    let address = ShortAddress::of(&path).unwrap();
    UnixStream::connect(address.path()).await.unwrap();
    let long = folder.join("x".repeat(200));
    assert!(ShortAddress::of(&long).unwrap_err().to_string().contains("too long"));
}

#[tokio::test]
async fn the_sockets_of_all_processes_below_a_folder_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let mut held = Vec::new();
    for name in ["node-1-a", "node-2-b", "other"] {
        std::fs::create_dir(dir.path().join(name)).unwrap();
        if name != "other" {
            held.push(ControlSocket::bind(dir.path().join(name).join(NAME)).await.unwrap());
        }
    }
    std::fs::write(dir.path().join("other").join(NAME), "no socket").unwrap();
    let mut found = sockets_below(dir.path());
    found.sort();
    assert_eq!(found, [dir.path().join("node-1-a").join(NAME), dir.path().join("node-2-b").join(NAME)]);
    assert!(sockets_below(&dir.path().join("nowhere")).is_empty());
}
