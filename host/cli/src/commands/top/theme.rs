//! Colours by their meaning. They are the terminal's own sixteen, which fit its background.

use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Span;
use ratatui::widgets::{Block, BorderType};

/// How things look.
#[derive(Debug, Clone, Copy)]
pub(super) struct Theme {
    has_colours: bool,
}

impl Theme {
    /// Without colours if NO_COLOR is set to anything (no-color.org).
    pub(super) fn of_environment() -> Self {
        Self::new(std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()))
    }

    pub(super) fn new(has_colours: bool) -> Self {
        Self { has_colours }
    }

    fn in_colour(self, colour: Color) -> Style {
        if self.has_colours { Style::new().fg(colour) } else { Style::new() }
    }

    pub(super) fn good(self) -> Style {
        self.in_colour(Color::Green)
    }

    pub(super) fn warn(self) -> Style {
        self.in_colour(Color::Yellow)
    }

    /// Bold, so that it stands out without colours too.
    pub(super) fn bad(self) -> Style {
        self.in_colour(Color::Red).add_modifier(Modifier::BOLD)
    }

    /// Bars and plots.
    pub(super) fn bar(self) -> Style {
        self.in_colour(Color::Blue)
    }

    /// What names something else, and frames.
    pub(super) fn dim(self) -> Style {
        if self.has_colours {
            Style::new().fg(Color::DarkGray)
        } else {
            Style::new().add_modifier(Modifier::DIM)
        }
    }

    /// Titles, and the frame of the pane that the keys move.
    pub(super) fn accent(self) -> Style {
        self.in_colour(Color::Cyan).add_modifier(Modifier::BOLD)
    }

    /// The frame around a part of the screen, with its name.
    pub(super) fn block(self, title: &str) -> Block<'_> {
        Block::bordered()
            .border_type(BorderType::Rounded)
            .border_style(self.dim())
            .title(Span::styled(format!(" {title} "), self.accent()))
    }

    /// The line that is chosen.
    pub(super) fn chosen(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// A node's state, as a word of `/api/status`.
    pub(super) fn state(self, state: &str) -> Style {
        match state {
            "ready" => self.good(),
            "not_ready" => self.bad(),
            _ => self.warn(),
        }
    }

    /// How a task ended.
    pub(super) fn outcome(self, outcome: &str) -> Style {
        match outcome {
            "completed" => self.good(),
            "cancelled" => self.dim(),
            _ => self.bad(),
        }
    }
}
