//! The terminal: taken for the whole screen, and given back whatever happens.

use std::io::{self, Stdout, Write as _, stdin, stdout};
use std::panic;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result};
use ratatui::Frame;
use ratatui::Terminal;
use ratatui::backend::TermionBackend;
use ratatui::termion::{cursor, screen};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

/// The terminal's modes before it was taken; none while it is not taken.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

/// The taken terminal; it is given back when this is dropped, and before the message of a panic.
pub(super) struct Screen {
    terminal: Terminal<TermionBackend<Stdout>>,
}

impl Screen {
    /// Takes the terminal: a screen beside the one with the shell's lines, and keys without a line feed.
    ///
    /// # Errors
    /// When the terminal's modes can't be read or set.
    pub(super) fn open() -> Result<Self> {
        let before = tcgetattr(stdin()).context("reading the terminal's modes")?;
        let mut raw = before.clone();
        raw.make_raw();
        let mut taken = BEFORE.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.is_none() {
            let other = panic::take_hook();
            panic::set_hook(Box::new(move |panic| {
                // On the other screen nobody would see it.
                give_back();
                other(panic);
            }));
        }
        *taken = Some(before);
        drop(taken);
        let opened = tcsetattr(stdin(), OptionalActions::Flush, &raw)
            .map_err(io::Error::from)
            .and_then(|()| write!(stdout(), "{}{}", screen::ToAlternateScreen, cursor::Hide))
            .and_then(|()| stdout().flush())
            .and_then(|()| Terminal::new(TermionBackend::new(stdout())));
        match opened {
            Ok(terminal) => Ok(Self { terminal }),
            Err(error) => {
                give_back();
                Err(error).context("taking the terminal")
            }
        }
    }

    /// Draws a frame, of the terminal's size at this moment.
    ///
    /// # Errors
    /// When the terminal takes no more.
    pub(super) fn draw(&mut self, frame: impl FnOnce(&mut Frame<'_>)) -> Result<()> {
        self.terminal.draw(frame).context("writing to the terminal").map(drop)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

/// Gives the terminal back, once. It may have gone: nobody is to be told then.
fn give_back() {
    let Some(before) = BEFORE.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
    let _ = write!(stdout(), "{}{}", cursor::Show, screen::ToMainScreen);
    let _ = stdout().flush();
    let _ = tcsetattr(stdin(), OptionalActions::Flush, &before);
}
