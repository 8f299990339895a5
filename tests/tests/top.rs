//! `top` in a terminal: what it draws, which keys it hears, and that it gives the terminal back as it was.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use posemesh_tests::{NodeProcess, Scene, TIMEOUT, node_binary};
use rustix::fs::{Mode, OFlags, open};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Termios, Winsize, tcgetattr, tcsetwinsize};
use tokio::time::{Instant, sleep};

/// What ends the screen beside the shell's.
const TO_MAIN_SCREEN: &str = "\u{1b}[?1049l";

/// A terminal of 110 columns and 24 lines in which `top` runs.
struct Terminal {
    keyboard: File,
    /// The side that programs hold.
    line: OwnedFd,
    before: Termios,
    shown: Arc<Mutex<Vec<u8>>>,
    top: Child,
}

impl Terminal {
    fn top(addr: &str, variables: &[(&str, &str)]) -> Self {
        let us = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&us).and_then(|()| unlockpt(&us)).expect("a terminal");
        let name = ptsname(&us, Vec::new()).expect("its name");
        let line = open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).expect("its other side");
        tcsetwinsize(&line, size(110, 24)).expect("a size");
        let before = tcgetattr(&line).expect("its modes");
        let side = || Stdio::from(line.try_clone().expect("a descriptor"));
        let mut command = Command::new(node_binary());
        command.args(["top", "--status-addr", addr]).env_clear().env("TERM", "xterm-256color");
        command.envs(variables.iter().copied()).stdin(side()).stdout(side()).stderr(side());
        let top = command.spawn().expect("it starts");
        let keyboard = File::from(us);
        let shown = Arc::new(Mutex::new(Vec::new()));
        let (mut screen, collected) = (keyboard.try_clone().expect("a descriptor"), shown.clone());
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            // An error is the end: nobody holds the other side any more.
            while let Ok(read @ 1..) = screen.read(&mut bytes) {
                collected.lock().expect("nobody panics with it").extend_from_slice(&bytes[..read]);
            }
        });
        Self { keyboard, line, before, shown, top }
    }

    /// Everything that was written so far.
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().expect("nobody panics with it")).into_owned()
    }

    /// Waits until a line of the screen has a text.
    async fn until(&self, text: &str, node: &NodeProcess) {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let lines = screen(&self.text());
            if lines.iter().any(|line| line.contains(text)) {
                return;
            }
            assert!(Instant::now() < deadline, "{text:?} never came:\n{}\n{}", lines.join("\n"), node.log());
            sleep(Duration::from_millis(20)).await;
        }
    }

    fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("it takes keys");
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.top.id().cast_signed()).expect("a process");
        kill_process(pid, signal).expect("it is there");
    }

    /// Waits for its end, after which the terminal has to be as it was.
    async fn ended(mut self) -> (ExitStatus, String) {
        let deadline = Instant::now() + TIMEOUT;
        let status = loop {
            if let Some(status) = self.top.try_wait().expect("a status") {
                break status;
            }
            assert!(Instant::now() < deadline, "it does not end: {:?}", self.text());
            sleep(Duration::from_millis(20)).await;
        };
        let after = tcgetattr(&self.line).expect("its modes");
        assert_eq!(format!("{after:?}"), format!("{:?}", self.before), "the modes are what they were");
        while !self.text().contains(TO_MAIN_SCREEN) {
            assert!(Instant::now() < deadline, "the shell's lines are not back: {:?}", self.text());
            sleep(Duration::from_millis(20)).await;
        }
        let text = self.text();
        assert!(text.contains("\u{1b}[?25h"), "the cursor is not back: {text:?}");
        (status, text)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended long ago.
        let _ = self.top.kill();
        let _ = self.top.wait();
    }
}

fn size(columns: u16, lines: u16) -> Winsize {
    Winsize { ws_col: columns, ws_row: lines, ws_xpixel: 0, ws_ypixel: 0 }
}

/// The lines of a terminal to which this was written: as much of one as is used here.
fn screen(written: &str) -> Vec<String> {
    let mut lines: Vec<Vec<char>> = Vec::new();
    let (mut line, mut column) = (0, 0);
    let mut rest = written.chars();
    while let Some(character) = rest.next() {
        if character != '\u{1b}' {
            if lines.len() <= line {
                lines.resize(line + 1, Vec::new());
            }
            if lines[line].len() <= column {
                lines[line].resize(column + 1, ' ');
            }
            lines[line][column] = character;
            column += 1;
            continue;
        }
        let kind = rest.next();
        assert!(matches!(kind, Some('[') | None), "a sequence that is not known here: {kind:?}");
        let mut parameters = String::new();
        let end = loop {
            match rest.next() {
                Some(end) if end.is_ascii_alphabetic() => break end,
                Some(parameter) => parameters.push(parameter),
                // The rest has not come yet.
                None => return lines.into_iter().map(String::from_iter).collect(),
            }
        };
        match end {
            'H' => {
                let mut numbers =
                    parameters.split(';').map(|number| number.parse::<usize>().expect("a number"));
                let mut next = || numbers.next().expect("a number") - 1;
                (line, column) = (next(), next());
            }
            'J' => lines.clear(),
            _ => {}
        }
    }
    lines.into_iter().map(String::from_iter).collect()
}

async fn node() -> (Scene, NodeProcess, String) {
    let scene = Scene::new().await.set("STATUS_ADDR", "127.0.0.1:0");
    let node = scene.node();
    let addr = node.status_addr().await;
    (scene, node, addr)
}

#[tokio::test]
async fn it_follows_the_node_takes_any_size_and_gives_the_terminal_back() {
    let (scene, node, addr) = node().await;
    let mut terminal = Terminal::top(&addr, &[]);
    terminal.until("Tasks now", &node).await;
    assert_ne!(
        format!("{:?}", tcgetattr(&terminal.line).expect("its modes")),
        format!("{:?}", terminal.before),
        "keys come without a line feed"
    );
    let task = scene.submit_noop(Duration::from_millis(10));
    terminal.press("\t\t");
    terminal.until(&task.to_string()[..8], &node).await;
    assert!(screen(&terminal.text()).len() <= 24, "it has 24 lines");

    tcsetwinsize(&terminal.line, size(120, 40)).expect("a size");
    terminal.signal(Signal::WINCH);
    terminal.until("Time of a task, last hour", &node).await;
    terminal.press("?");
    terminal.until("order of tasks", &node).await;
    assert_eq!(screen(&terminal.text()).len(), 40);
    terminal.press("q");
    let (status, text) = terminal.ended().await;
    assert!(status.success(), "{status}");
    assert!(text.contains("\u{1b}[38;5;"), "there are colours: {text:?}");
}

#[tokio::test]
async fn a_signal_ends_it_and_the_terminal_is_as_before() {
    let (_scene, node, addr) = node().await;
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130), (Signal::HUP, 129)] {
        let terminal = Terminal::top(&addr, &[("NO_COLOR", "1")]);
        terminal.until("Tasks now", &node).await;
        terminal.signal(signal);
        let (status, text) = terminal.ended().await;
        assert_eq!(status.code(), Some(code), "{signal:?}");
        assert!(!text.contains("\u{1b}[38;5;"), "NO_COLOR is set: {text:?}");
    }
}

#[tokio::test]
async fn a_node_that_goes_is_told_and_one_that_comes_back_is_followed() {
    let (scene, mut node, addr) = node().await;
    let scene = scene.set("STATUS_ADDR", &addr);
    let mut terminal = Terminal::top(&addr, &[]);
    terminal.until(&format!("pid {}", node.id()), &node).await;
    assert_eq!(node.terminate().await, 0);
    terminal.until("no answer: no node answers at", &node).await;
    let node = scene.node();
    terminal.until(&format!("pid {}", node.id()), &node).await;
    terminal.press("\u{3}");
    assert!(terminal.ended().await.0.success(), "Ctrl-C is a key");
}

#[tokio::test]
async fn without_a_terminal_or_a_node_it_says_what_to_do_instead() {
    let output = Command::new(node_binary()).arg("top").env_clear().output().expect("an output");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("standard output is none") && said.contains("`status --json`"), "{said}");

    let terminal = Terminal::top("127.0.0.1:1", &[("TERM", "dumb")]);
    let mut terminal = terminal;
    assert_eq!(terminal.top.wait().expect("a status").code(), Some(1));
    terminal = Terminal::top("127.0.0.1:1", &[]);
    assert_eq!(terminal.top.wait().expect("a status").code(), Some(1));
    let deadline = Instant::now() + TIMEOUT;
    while !terminal.text().contains("no node answers at http://127.0.0.1:1/api/") {
        assert!(Instant::now() < deadline, "{:?}", terminal.text());
        sleep(Duration::from_millis(20)).await;
    }
    assert!(
        !terminal.text().contains("\u{1b}"),
        "it is said on the screen that stays: {:?}",
        terminal.text()
    );
}

#[test]
fn a_screen_is_read_wherever_what_has_come_of_it_ends() {
    let whole = "\u{1b}[?25l\u{1b}[2J\u{1b}[1;1Hab\u{1b}[2;3Hc";
    for (end, _) in whole.char_indices() {
        assert!(screen(&whole[..end]).len() <= 2, "{end}");
    }
    assert_eq!(screen(whole), ["ab", "  c"]);
}
