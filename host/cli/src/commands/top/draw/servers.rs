//! DDS, DMS and domain servers: whether they answer, and how the requests of the last minutes went.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::super::theme::Theme;
use crate::amounts::span;
use crate::overview::{Overview, Server};

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, node: &Overview, theme: Theme) {
    let frame_of = theme.block("Servers");
    let inner = frame_of.inner(area);
    frame.render_widget(frame_of, area);
    frame.render_widget(Paragraph::new(lines(node, theme)), inner);
}

fn lines(node: &Overview, theme: Theme) -> Vec<Line<'static>> {
    let (dds, dms) = (&node.dds, &node.dms);
    let mut lines = Vec::new();
    let registered = if dds.registered { theme.good() } else { theme.bad() };
    lines.push(line("DDS", &dds.through, &dds.registration, registered, theme));
    let (answered, style) = match (dms.answered_secs_ago, &dms.error) {
        (None, _) => ("no answer yet".to_owned(), theme.bad()),
        (Some(ago), None) => (format!("answered {} ago", span(ago)), theme.good()),
        (Some(ago), Some(_)) => (format!("answered {} ago, then failed", span(ago)), theme.bad()),
    };
    let poll = dms.last_poll.as_deref().filter(|_| dms.error.is_none());
    let poll = poll.map_or_else(String::new, |poll| format!(", {}", poll.replace('_', " ")));
    lines.push(line("DMS", &dms.through, &(answered + &poll), style, theme));
    let (token, style) = match dds.token_valid_secs {
        Some(left) => (format!("valid for {}", span(left)), theme.good()),
        None => ("none".to_owned(), theme.bad()),
    };
    lines.push(line("token", "", &token, style, theme));
    let errors = dds.error.iter().chain(&dds.token_error).chain(&dms.error);
    lines.extend(errors.map(|error| Line::styled(format!("       {error}"), theme.bad())));
    lines.extend(node.servers.iter().filter(|server| &*server.kind == "domain_server").map(|server| {
        let (requests, style) = requests(server, theme);
        line("data", &server.through, &requests, style, theme)
    }));
    for server in &node.servers {
        if let Some(off) = server.clock_off() {
            lines.push(line("clock", &server.through, &off, theme.warn(), theme));
        }
    }
    for server in node.servers.iter().filter(|server| server.failed > 0) {
        let (requests, style) = requests(server, theme);
        if &*server.kind != "domain_server" {
            lines.push(line("failed", &server.through, &requests, style, theme));
        }
        if let Some(error) = &server.error {
            lines.push(Line::styled(format!("       {error}"), theme.bad()));
        }
    }
    lines
}

fn requests(server: &Server, theme: Theme) -> (String, Style) {
    match server.failed {
        0 => (format!("{} requests, none failed", server.requests), theme.good()),
        failed => (format!("{failed} of {} failed", server.requests), theme.bad()),
    }
}

fn line(name: &str, host: &str, what: &str, style: Style, theme: Theme) -> Line<'static> {
    // How it is comes first: the rest of a long line is cut off.
    Line::from(vec![
        Span::styled(format!("{name:<7}"), theme.dim()),
        Span::styled(what.to_owned(), style),
        Span::styled(format!("  {host}"), theme.dim()),
    ])
}
