//! The keys that are pressed, read on a thread of their own: reading a terminal blocks.

use std::io::stdin;
use std::thread;

use ratatui::termion::event::Key;
use ratatui::termion::input::TermRead as _;
use tokio::sync::mpsc::{self, Receiver};

/// How many keys wait at most; somebody who holds a key down is faster than the screen.
const WAITING: usize = 16;

/// The keys from now on; none any more once the terminal has gone. The thread ends with the process: nothing wakes it while it
/// waits for a key.
pub(super) fn start() -> Receiver<Key> {
    let (sender, receiver) = mpsc::channel(WAITING);
    thread::spawn(move || {
        for key in stdin().keys() {
            let Ok(key) = key else { return };
            if sender.blocking_send(key).is_err() {
                return;
            }
        }
    });
    receiver
}
