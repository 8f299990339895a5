//! `top`: the running node on the whole terminal, from the data that its page shows.

mod app;
mod draw;
mod keys;
mod poll;
mod screen;
#[cfg(test)]
mod tests;
mod theme;

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};

use crate::node_api::NodeApiArgs;
use app::{App, Next};
use poll::Poll;
use screen::Screen;
use theme::Theme;

/// How often what has passed since the last answer is drawn anew.
const TICK: Duration = Duration::from_secs(1);
/// What shells add to the number of a signal that ended a program.
const SIGNALLED: u8 = 128;

#[derive(Debug, Args)]
pub(crate) struct TopArgs {
    #[command(flatten)]
    node: NodeApiArgs,
}

/// Shows the node until `q`, or a signal.
///
/// # Errors
/// When there is no terminal, no node answers at first, or the terminal takes no more.
pub(crate) async fn run(args: TopArgs) -> Result<ExitCode> {
    check_terminal()?;
    let theme = Theme::of_environment();
    // Before the screen is taken: why a node does not answer is told on the screen that stays.
    let mut poll = Poll::new(args.node);
    let mut app = App::new(poll.ask().await?);
    let mut answers = poll.start();
    let mut resized = signal(SignalKind::window_change()).context("catching SIGWINCH")?;
    let mut ends = Ends::new().context("catching signals")?;
    let mut screen = Screen::open()?;
    let mut keys = keys::start();
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        screen.draw(|frame| draw::draw(frame, &mut app, theme))?;
        tokio::select! {
            key = keys.recv() => match key.map(|key| app.press(key)) {
                Some(Next::Go) => {}
                // No more keys: the terminal has gone.
                Some(Next::Quit) | None => return Ok(ExitCode::SUCCESS),
            },
            Some(answer) = answers.recv() => app.take(answer),
            Some(()) = resized.recv() => {}
            number = ends.recv() => return Ok(ExitCode::from(SIGNALLED + number)),
            _ = tick.tick() => {}
        }
    }
}

/// # Errors
/// When there is nobody to look, or to press keys.
fn check_terminal() -> Result<()> {
    const INSTEAD: &str = "`posemesh-node status` prints the same once, `status --json` for programs";
    if !std::io::stdout().is_terminal() {
        bail!("top needs a terminal, and standard output is none; {INSTEAD}");
    }
    if !std::io::stdin().is_terminal() {
        bail!("top reads keys, and standard input is no terminal; {INSTEAD}");
    }
    if std::env::var_os("TERM").is_some_and(|term| term == "dumb") {
        bail!("top moves the cursor, which a terminal with TERM=dumb can't; {INSTEAD}");
    }
    Ok(())
}

/// The signals that end the program, with their numbers.
struct Ends([(u8, Signal); 3]);

impl Ends {
    fn new() -> std::io::Result<Self> {
        let end = |kind: SignalKind, number| Ok::<_, std::io::Error>((number, signal(kind)?));
        Ok(Self([
            end(SignalKind::terminate(), 15)?,
            end(SignalKind::interrupt(), 2)?,
            end(SignalKind::hangup(), 1)?,
        ]))
    }

    /// Waits for one of them; its number.
    async fn recv(&mut self) -> u8 {
        let [(term, terminate), (int, interrupt), (hup, hangup)] = &mut self.0;
        tokio::select! {
            _ = terminate.recv() => *term,
            _ = interrupt.recv() => *int,
            _ = hangup.recv() => *hup,
        }
    }
}
