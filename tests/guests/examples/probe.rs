//! Looks for an environment, arguments, network and leftovers of other tasks; fails with what it finds.
// WASI's own interface rather than `std::net`: no C library stands between, and Debian's has no sockets.
use wasip2::sockets::instance_network::instance_network;
use wasip2::sockets::ip_name_lookup::resolve_addresses;
use wasip2::sockets::network::{IpAddressFamily, IpSocketAddress, Ipv4SocketAddress};
use wasip2::sockets::{tcp_create_socket::create_tcp_socket, udp_create_socket::create_udp_socket};

guests::runner!("probe", |_| {
    let mut found: Vec<String> = std::env::vars()
        // These every runner has: they say where its own folders are.
        .filter(|(name, value)| !matches!((&**name, &**value), ("PWD", "/work") | ("TMPDIR", "/tmp")))
        .map(|(name, _)| format!("variable {name}"))
        .collect();
    found.extend(std::env::args().map(|arg| format!("argument {arg}")));
    let network = instance_network();
    let address = |port| IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address: (127, 0, 0, 1) });
    // The first half of each is where the host decides.
    if let Ok(socket) = create_tcp_socket(IpAddressFamily::Ipv4) {
        if socket.start_bind(&network, address(0)).is_ok() {
            found.push("tcp bind".into());
        }
    }
    if let Ok(socket) = create_tcp_socket(IpAddressFamily::Ipv4) {
        if socket.start_connect(&network, address(80)).is_ok() {
            found.push("tcp connect".into());
        }
    }
    if let Ok(socket) = create_udp_socket(IpAddressFamily::Ipv4) {
        if socket.start_bind(&network, address(0)).is_ok() {
            found.push("udp".into());
        }
    }
    if resolve_addresses(&network, "localhost").is_ok() {
        found.push("names".into());
    }
    let mut listed: Vec<_> = std::fs::read_dir("/work")
        .map_err(guests::failed)?
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .collect();
    listed.retain(|name| name != "inputs");
    found.extend(listed.into_iter().map(|name| format!("file {name}")));
    std::fs::write("/work/left-over", "of this task").map_err(guests::failed)?;
    // A fresh instance's static is what the component says, never what a task left there.
    static mut LEFT: u32 = 0;
    let left = unsafe { core::ptr::replace(&raw mut LEFT, 1) };
    if left != 0 {
        found.push("memory of an earlier task".into());
    }
    if found.is_empty() { Ok(()) } else { Err(guests::Error::Failed(found.join("; "))) }
});
