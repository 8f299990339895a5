//! Frames: what they show of nodes that are well and not, on screens of any size. `UPDATE_GOLDEN=1` writes them anew.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier};
use ratatui::termion::event::Key;

use super::app::{App, Next};
use super::draw::draw;
use super::theme::Theme;
use crate::testing::{golden, sample, svg};

fn frame(app: &mut App, width: u16, height: u16, has_colours: bool) -> Buffer {
    let Ok(mut terminal) = Terminal::new(TestBackend::new(width, height));
    let Ok(_) = terminal.draw(|frame| draw(frame, app, Theme::new(has_colours)));
    terminal.backend().buffer().clone()
}

fn text(buffer: &Buffer) -> String {
    let line = |y| {
        let cells = (buffer.area.left()..buffer.area.right()).filter_map(|x| buffer.cell((x, y)));
        let line: String = cells.map(|cell| cell.symbol()).collect();
        format!("{}\n", line.trim_end())
    };
    (buffer.area.top()..buffer.area.bottom()).map(line).collect()
}

fn press(app: &mut App, keys: &[Key]) {
    for key in keys {
        assert_eq!(app.press(*key), Next::Go, "{key:?}");
    }
}

#[test]
fn frames_show_nodes_as_they_are() {
    for (width, height) in [(80, 24), (120, 40)] {
        for (name, node) in sample::all() {
            let mut app = App::new(node);
            let shown = text(&frame(&mut app, width, height, true));
            golden::assert_same(&format!("tests/golden/top/{name}_{width}x{height}.txt"), &shown);
        }
    }
}

#[test]
fn the_pictures_in_the_documents_are_current() {
    let mut app = App::new(sample::ready());
    golden::assert_same("docs/screenshots/top.svg", &svg::of(&frame(&mut app, 120, 40, true)));
    golden::assert_same("docs/screenshots/top-80x24.svg", &svg::of(&frame(&mut app, 80, 24, true)));
}

#[test]
fn keys_move_through_the_lists_and_the_chosen_line_is_told_in_full() {
    let mut app = App::new(sample::ready());
    press(&mut app, &[Key::Char('\t'), Key::Char('\t'), Key::Down, Key::Char('\n')]);
    let shown = text(&frame(&mut app, 80, 24, true));
    golden::assert_same("tests/golden/top/details_80x24.txt", &shown);
    press(&mut app, &[Key::Esc, Key::Char('?')]);
    golden::assert_same("tests/golden/top/help_80x24.txt", &text(&frame(&mut app, 80, 24, true)));
    press(&mut app, &[Key::Char('?'), Key::BackTab, Key::End, Key::Char('\n')]);
    let shown = text(&frame(&mut app, 120, 40, true));
    golden::assert_same("tests/golden/top/runner_120x40.txt", &shown);
    for quit in [Key::Char('q'), Key::Ctrl('c')] {
        assert_eq!(app.press(quit), Next::Quit);
    }
}

#[test]
fn the_chosen_task_stays_chosen_when_others_come_before_it() {
    let mut app = App::new(sample::ready());
    press(&mut app, &[Key::Down]);
    let chosen = |app: &App| {
        app.chosen(app.pane).and_then(|at| app.tasks_now().get(at).map(|task| task.id.to_string()))
    };
    let before = chosen(&app);
    let mut next = sample::ready();
    next.tasks.rotate_right(1);
    if let Some(first) = next.tasks.first_mut() {
        first.state = sample::ready().tasks.first().map(|task| task.state.clone()).unwrap_or_default();
    }
    app.take(Ok(next));
    assert!(before.is_some());
    assert_eq!(chosen(&app), before);
    press(&mut app, &[Key::Char('s')]);
    assert!(app.tasks_now().is_sorted_by(|one, other| one.took_ms >= other.took_ms), "oldest first");
    press(&mut app, &[Key::Char('s')]);
    let memory: Vec<_> = app.tasks_now().iter().filter_map(|task| task.limit("memory_bytes")).collect();
    assert!(memory.is_sorted_by(|one, other| one >= other), "most memory first: {memory:?}");
}

#[test]
fn what_is_frozen_stays_and_a_node_that_is_silent_is_told() {
    let mut app = App::new(sample::ready());
    press(&mut app, &[Key::Char('p')]);
    app.take(Ok(sample::empty()));
    let shown = text(&frame(&mut app, 80, 24, true));
    assert!(shown.contains("FROZEN") && shown.contains(" READY "), "{shown}");
    press(&mut app, &[Key::Char('p')]);
    app.take(Err("no node answers at the control socket\u{1b}[2J".to_owned()));
    let shown = text(&frame(&mut app, 80, 24, true));
    assert!(shown.contains(r"✗ no answer: no node answers at the control socket\u{1b}[2J"), "{shown}");
    app.take(Ok(sample::empty()));
    let shown = text(&frame(&mut app, 80, 24, true));
    assert!(!shown.contains("no answer: ") && shown.contains("NOT READY"), "{shown}");
}

#[test]
fn nothing_of_strangers_reaches_the_terminal_as_more_than_text() {
    let mut app = App::new(sample::not_ready());
    for keys in [&[Key::Char('\t')][..], &[Key::Char('\n')], &[Key::Esc, Key::Char('\t'), Key::Char('\n')]] {
        press(&mut app, keys);
        for (width, height) in [(80, 24), (120, 40)] {
            let shown = text(&frame(&mut app, width, height, true)).replace('\n', "");
            assert!(posemesh_text::is_plain(&shown), "{shown:?}");
        }
    }
}

#[test]
fn every_size_can_be_drawn_and_without_colours_there_are_none() {
    for node in [sample::ready, sample::not_ready, sample::empty] {
        let mut app = App::new(node());
        for popup in [Key::Null, Key::Char('\n'), Key::Char('?')] {
            press(&mut app, &[popup]);
            for width in (1..200).step_by(29) {
                for height in (1..70).step_by(11) {
                    let buffer = frame(&mut app, width, height, false);
                    let coloured = buffer
                        .content()
                        .iter()
                        .find(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset);
                    assert!(coloured.is_none(), "{width}x{height}: {coloured:?}");
                }
            }
        }
    }
    let buffer = frame(&mut App::new(sample::not_ready()), 80, 24, false);
    let state = buffer.cell((1, 0)).map(|cell| cell.modifier).unwrap_or_default();
    assert!(state.contains(Modifier::REVERSED | Modifier::BOLD), "the state stands out: {state:?}");
}
