//! The sandbox process: this program, started with a hidden command. It serves one generation of one runner, whose code,
//! folder and granted directories it gets from the node, and has nothing else.
//!
//! The order matters: what the code needs is opened, the kernel's locks are closed, and only then may a guest's first
//! instruction run.

mod engines;
mod http;
mod inputs;
mod link;
mod mapped;
mod outbox;
mod outputs;
mod reports;
mod serve;
mod slots;

use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::ExitCode;
use std::sync::Arc;

use crate::folders::OpenFolder;
use crate::instance::process_memory;
use crate::sandbox::channel::receive_blocking;
use crate::sandbox::confine;
use crate::sandbox::guest::engines::LoadedCode;
use crate::sandbox::guest::outbox::Outbox;
use crate::sandbox::guest::serve::Server;
use crate::sandbox::wire::{COMMAND, MAX_FROM_NODE as MAX_FRAME, NotReady, Setup, ToGuest, ToNode};

/// Does the work of a sandbox process, if this process was started as one.
pub(crate) fn run_if_asked(arguments: &[String]) -> Option<ExitCode> {
    let [command, node] = arguments else { return None };
    if command != COMMAND {
        return None;
    }
    let node = node.parse().ok()?;
    Some(match serve(node) {
        Ok(()) => ExitCode::SUCCESS,
        Err(what) => {
            // The node keeps the last lines of this.
            let _ = writeln!(io::stderr(), "{what}");
            ExitCode::FAILURE
        }
    })
}

fn serve(node: u32) -> Result<(), String> {
    confine::begin(node).map_err(|error| format!("beginning the sandbox: {error}"))?;
    // Standard input is the channel.
    let channel =
        io::stdin().as_fd().try_clone_to_owned().map_err(|error| format!("the channel: {error}"))?;
    let channel = Arc::new(channel);
    let outbox = Outbox::new(channel.clone());
    let first = receive_blocking(&channel, MAX_FRAME).map_err(|error| format!("the channel: {error}"))?;
    // Closed before a word was said: the node has thought better of it.
    let Some(mut first) = first else { return Ok(()) };
    let Ok(ToGuest::Setup(setup)) = first.parse() else { return Err("the first frame is none".to_owned()) };
    match set_up(&setup, std::mem::take(&mut first.descriptors)) {
        Ok((server, missing)) => {
            outbox.send(&ToNode::Ready { missing });
            server.map_or(Ok(()), |server| server.serve(&channel, MAX_FRAME, outbox))
        }
        Err(why) => {
            outbox.send(&ToNode::NotReady(why));
            Ok(())
        }
    }
}

/// Loads the code and closes the locks; what is not held, in words.
fn set_up(setup: &Setup, descriptors: Vec<OwnedFd>) -> Result<(Option<Server>, Vec<String>), NotReady> {
    let machine = |what: String| NotReady::Machine(what);
    let mut descriptors = descriptors.into_iter();
    let folder = descriptors.next().ok_or_else(|| machine("the first frame has no folder".to_owned()))?;
    if setup.probe {
        return Ok((None, confine::lock(&folder, &[])));
    }
    let code = descriptors.next().ok_or_else(|| machine("the first frame has no code".to_owned()))?;
    let granted: Vec<OwnedFd> = descriptors.collect();
    let loaded = LoadedCode::map(&code, setup.poolable)?;
    drop(code);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| machine(format!("starting the runtime: {error}")))?;

    process_memory::watch();
    let missing = confine::lock(&folder, &granted);
    if setup.require && !missing.is_empty() {
        return Err(machine(missing.join("; ")));
    }
    // A stranger's names are looked at behind the locks.
    let engines = loaded.link()?;
    // Those that were handed over, whatever has become of their paths since.
    let names = setup.directories.iter().cloned();
    let folders = names.zip(granted).map(|(name, folder)| OpenFolder { name, folder }).collect();
    let server = Server { runtime, engines, label: setup.label.clone(), folders };
    Ok((Some(server), missing))
}
