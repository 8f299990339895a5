//! What `top` shows, and what keys change of it. Nothing is drawn here.

use std::cmp::Reverse;
use std::time::Duration;

use posemesh_text::one_line;
use ratatui::termion::event::Key;
use ratatui::widgets::TableState;
use tokio::time::Instant;

use super::poll::Answer;
use crate::overview::{Overview, Task};

/// How much of an error is shown, in bytes.
const ERROR_BYTES: usize = 500;
/// By how many lines a page is turned.
const PAGE: usize = 10;

/// What is to be done after a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Go,
    Quit,
}

/// The lists that can be scrolled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pane {
    Now,
    Runners,
    Last,
}

impl Pane {
    pub(super) const ALL: [Self; 3] = [Self::Now, Self::Runners, Self::Last];

    fn next(self) -> Self {
        match self {
            Self::Now => Self::Runners,
            Self::Runners => Self::Last,
            Self::Last => Self::Now,
        }
    }
}

/// In which order tasks that are worked on stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Newest,
    Oldest,
    Memory,
}

impl Order {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Newest => "newest first",
            Self::Oldest => "oldest first",
            Self::Memory => "most memory first",
        }
    }

    fn next(self) -> Self {
        match self {
            Self::Newest => Self::Oldest,
            Self::Oldest => Self::Memory,
            Self::Memory => Self::Newest,
        }
    }
}

/// What covers the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Popup {
    Help,
    /// All of the chosen line.
    Details,
}

/// Everything that a frame depends on.
pub(super) struct App {
    /// What is shown; the last answer unless that is frozen.
    pub(super) node: Overview,
    /// When it was answered.
    answered: Instant,
    /// Why the last request was not answered.
    pub(super) error: Option<String>,
    pub(super) frozen: bool,
    pub(super) order: Order,
    pub(super) pane: Pane,
    pub(super) popup: Option<Popup>,
    now: TableState,
    runners: TableState,
    last: TableState,
}

impl App {
    pub(super) fn new(node: Overview) -> Self {
        let mut app = Self {
            node: Overview::default(),
            answered: Instant::now(),
            error: None,
            frozen: false,
            order: Order::Newest,
            pane: Pane::Now,
            popup: None,
            now: TableState::new(),
            runners: TableState::new(),
            last: TableState::new(),
        };
        app.take(Ok(node));
        app
    }

    /// Shows what the node has answered.
    pub(super) fn take(&mut self, answer: Answer) {
        match answer {
            Ok(_) if self.frozen => self.error = None,
            Ok(node) => {
                let chosen = Pane::ALL.map(|pane| (pane, self.key_of_chosen(pane)));
                self.node = node;
                self.answered = Instant::now();
                self.error = None;
                for (pane, key) in chosen {
                    self.choose_again(pane, key.as_deref());
                }
            }
            Err(error) => self.error = Some(one_line(error, ERROR_BYTES)),
        }
    }

    /// How long ago what is shown was answered.
    pub(super) fn age(&self) -> Duration {
        self.answered.elapsed()
    }

    /// The tasks that are worked on, in the order that is wanted.
    pub(super) fn tasks_now(&self) -> Vec<&Task> {
        let mut tasks: Vec<&Task> = self.node.tasks.iter().filter(|task| task.is_worked_on()).collect();
        match self.order {
            Order::Newest => {}
            Order::Oldest => tasks.sort_by_key(|task| Reverse(task.took_ms)),
            Order::Memory => {
                tasks.sort_by_key(|task| Reverse(task.limit("memory_bytes").map_or(0, |(used, _)| used)));
            }
        }
        tasks
    }

    /// The tasks that have ended, the last one first.
    pub(super) fn last_tasks(&self) -> Vec<&Task> {
        self.node.tasks.iter().filter(|task| !task.is_worked_on()).collect()
    }

    /// How many lines a pane has.
    pub(super) fn lines(&self, pane: Pane) -> usize {
        match pane {
            Pane::Now => self.tasks_now().len(),
            Pane::Runners => self.node.plugins.len(),
            Pane::Last => self.last_tasks().len(),
        }
    }

    /// Which line of a pane is chosen, and how far it is scrolled.
    pub(super) fn table(&mut self, pane: Pane) -> &mut TableState {
        match pane {
            Pane::Now => &mut self.now,
            Pane::Runners => &mut self.runners,
            Pane::Last => &mut self.last,
        }
    }

    /// The number of the chosen line of a pane.
    pub(super) fn chosen(&self, pane: Pane) -> Option<usize> {
        match pane {
            Pane::Now => self.now.selected(),
            Pane::Runners => self.runners.selected(),
            Pane::Last => self.last.selected(),
        }
    }

    /// Does what a key stands for.
    pub(super) fn press(&mut self, key: Key) -> Next {
        match key {
            Key::Char('q' | 'Q') | Key::Ctrl('c' | 'd') => return Next::Quit,
            Key::Esc if self.popup.is_some() => self.popup = None,
            Key::Char('?' | 'h') | Key::F(1) => self.toggle(Popup::Help),
            Key::Char('\n' | '\r') if self.popup.is_some() => self.popup = None,
            Key::Char('\n' | '\r') if self.lines(self.pane) > 0 => self.toggle(Popup::Details),
            Key::Char('p' | 'P' | ' ') => self.frozen = !self.frozen,
            Key::Char('s' | 'S') => self.order = self.order.next(),
            Key::Char('\t') | Key::Right => self.pane = self.pane.next(),
            Key::BackTab | Key::Left => self.pane = self.pane.next().next(),
            Key::Down | Key::Char('j') => self.go(|at| at.saturating_add(1)),
            Key::Up | Key::Char('k') => self.go(|at| at.saturating_sub(1)),
            Key::PageDown => self.go(|at| at.saturating_add(PAGE)),
            Key::PageUp => self.go(|at| at.saturating_sub(PAGE)),
            Key::Home | Key::Char('g') => self.go(|_| 0),
            Key::End | Key::Char('G') => self.go(|_| usize::MAX),
            _ => {}
        }
        Next::Go
    }

    fn toggle(&mut self, popup: Popup) {
        self.popup = (self.popup != Some(popup)).then_some(popup);
    }

    fn go(&mut self, to: impl FnOnce(usize) -> usize) {
        let lines = self.lines(self.pane);
        let at = self.chosen(self.pane).unwrap_or_default();
        let to = (lines > 0).then(|| to(at).min(lines - 1));
        self.table(self.pane).select(to);
    }

    /// What the chosen line of a pane is known by in the next answer.
    fn key_of_chosen(&self, pane: Pane) -> Option<String> {
        self.keys(pane).into_iter().nth(self.chosen(pane)?)
    }

    fn keys(&self, pane: Pane) -> Vec<String> {
        let of_tasks = |tasks: Vec<&Task>| tasks.into_iter().map(|task| task.id.to_string()).collect();
        match pane {
            Pane::Now => of_tasks(self.tasks_now()),
            Pane::Runners => self.node.plugins.iter().map(|runner| runner.name.to_string()).collect(),
            Pane::Last => of_tasks(self.last_tasks()),
        }
    }

    /// Chooses the line with this key; the first one stays chosen, whichever it is, so that what is new is seen.
    fn choose_again(&mut self, pane: Pane, key: Option<&str>) {
        let keys = self.keys(pane);
        let at = self.chosen(pane).unwrap_or_default();
        let same = keys.iter().position(|one| Some(one.as_str()) == key).filter(|_| at > 0);
        let to = same.unwrap_or(at).min(keys.len().saturating_sub(1));
        self.table(pane).select((!keys.is_empty()).then_some(to));
    }
}
