//! What becomes of commands whose output nobody reads, or whose output finds no room.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use posemesh_tests::{by_hand, node_binary, plugin, plugins_with};

/// Every command that prints and ends by itself, with its exit code.
fn commands(dir: &Path) -> Vec<(Vec<String>, i32)> {
    let noop = dir.join("noop.wasm").display().to_string();
    let empty = dir.join("empty").display().to_string();
    let out = dir.join("out").display().to_string();
    let cases = posemesh_tests::root().join("plugins/noop/cases").display().to_string();
    let missing = dir.join("missing.wasm").display().to_string();
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    vec![
        (words(&["--help"]), 0),
        (words(&["--version"]), 0),
        (words(&["help", "plugin"]), 0),
        (words(&["plugin", "run", "--help"]), 0),
        (words(&["completions", "bash"]), 0),
        (words(&["completions", "zsh"]), 0),
        (words(&["config", "check"]), 0),
        (words(&["config", "markdown"]), 0),
        (words(&["doctor", "--env-file", "nowhere"]), 1),
        (words(&["key", "generate"]), 0),
        (words(&["key", "address"]), 0),
        (words(&["plugin", "list", &dir.display().to_string()]), 0),
        (words(&["plugin", "list", &empty]), 0),
        (words(&["plugin", "show", &noop]), 0),
        (words(&["plugin", "test", &noop, &cases]), 0),
        (words(&["plugin", "run", &noop, "--meta", r#"{"sleep_ms": 1}"#, "--out", &out]), 0),
        // These print to standard error only.
        (words(&["no-such-command"]), 2),
        (words(&["plugin", "show", &missing]), 1),
        (words(&["plugin", "list", "--status-addr", "127.0.0.1:1"]), 1),
    ]
}

fn run(args: &[String], dir: &Path, stdout: Stdio, stderr: Stdio) -> Output {
    Command::new(node_binary())
        .args(args)
        .env_clear()
        .env("REG_SECRET", "a secret")
        .env("SECP256K1_PRIVHEX", "01".repeat(32))
        .env("PLUGINS_DIR", dir)
        .env("HOME", dir)
        .env("TMPDIR", dir)
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(stderr)
        .output()
        .expect("the node runs")
}

/// The end of a pipe that nobody reads.
fn unread() -> Stdio {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    writer.into()
}

fn full() -> Stdio {
    OpenOptions::new().write(true).open("/dev/full").expect("a full disk").into()
}

fn runner_folder() -> tempfile::TempDir {
    let dir = plugins_with(&[plugin("noop")]);
    std::fs::create_dir(dir.path().join("empty")).expect("a folder");
    dir
}

#[test]
fn commands_whose_output_is_not_read_end_quietly() {
    let dir = runner_folder();
    for (args, code) in commands(dir.path()) {
        let ended = run(&args, dir.path(), unread(), Stdio::piped());
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(code), "{args:?}: {said}");
        assert!(!said.contains("panicked") && !said.contains("roken pipe"), "{args:?}: {said}");
        let ended = run(&args, dir.path(), unread(), unread());
        assert_eq!(ended.status.code(), Some(code), "{args:?} without standard error");
    }
}

#[test]
fn commands_whose_output_finds_no_room_end_with_an_error() {
    let dir = runner_folder();
    for (args, code) in commands(dir.path()) {
        let ended = run(&args, dir.path(), full(), Stdio::piped());
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(!said.contains("panicked"), "{args:?}: {said}");
        // A run without artifacts prints to standard error only.
        if code == 0 && !args.iter().any(|word| word == "--out") {
            assert_eq!(ended.status.code(), Some(1), "{args:?}: {said}");
            assert!(said.contains("error: writing to standard output: No space left"), "{args:?}: {said}");
        } else {
            assert_eq!(ended.status.code(), Some(code), "{args:?}: {said}");
        }
        // Nobody can be told then, but the exit code still says it.
        let ended = run(&args, dir.path(), full(), full());
        let both = if args.iter().any(|word| word == "--out") { code } else { code.max(1) };
        assert_eq!(ended.status.code(), Some(both), "{args:?} with both full");
    }
}

#[test]
fn commands_without_descriptors_do_not_panic() {
    let dir = runner_folder();
    for (args, code) in commands(dir.path()) {
        let mut shell = vec!["-c".to_owned(), "exec \"$0\" \"$@\" >&- 2>&-".to_owned()];
        shell.push(node_binary().display().to_string());
        shell.extend(args.clone());
        let ended = Command::new("/bin/sh")
            .args(&shell)
            .env("REG_SECRET", "a secret")
            .env("SECP256K1_PRIVHEX", "01".repeat(32))
            .env("PLUGINS_DIR", dir.path())
            .env("HOME", dir.path())
            .current_dir(dir.path())
            .status()
            .expect("a shell");
        assert_eq!(ended.code(), Some(code), "{args:?}");
    }
}

#[test]
fn env_file_values_reach_the_node_as_they_were_given() {
    let dir = runner_folder();
    let mut file = std::fs::File::create(dir.path().join(".env")).expect("a file");
    writeln!(file, "\u{feff}# settings\r\nCLIENT_ID=a$HOMEb#c\r\nexport NODE_VERSION = '1.2.3' \r")
        .expect("written");
    let ended = run(&["config".to_owned(), "check".to_owned()], dir.path(), Stdio::piped(), Stdio::piped());
    let said = String::from_utf8_lossy(&ended.stdout);
    let (_, of_file) = said.split_once("# env file .env\n").expect("what comes from the file");
    assert!(of_file.contains("CLIENT_ID=a$HOMEb#c\n"), "{said}");
    assert!(of_file.contains("NODE_VERSION=1.2.3\n"), "{said}");
}

/// What a terminal would obey, and a line that looks like one of ours.
const EVIL: &str = "\u{1b}[2J\n\u{9b}1mforged";

/// A runner with this summary that says it when it fails.
fn evil_runner(summary: &str) -> Vec<u8> {
    let reason = format!("a reason{EVIL}");
    let bytes: String = reason.bytes().map(|byte| format!("\\{byte:02x}")).collect();
    let run = format!(
        "(i32.store8 (i32.const 512) (i32.const 1)) (i32.store8 (i32.const 516) (i32.const 2))
         (i32.store (i32.const 520) (i32.const 4096)) (i32.store (i32.const 524) (i32.const {}))",
        reason.len()
    );
    let data = format!("(data (memory $main) (i32.const 4096) \"{bytes}\")");
    let text = by_hand::text("evil", &by_hand::Parts { fields: &data, run: &run, ..Default::default() });
    let hex = |text: &str| text.bytes().map(|byte| format!("\\{byte:02x}")).collect::<String>();
    let usual = "by hand, for a test";
    assert_eq!(summary.len(), usual.len(), "the description has room for as much");
    let text = text.replace(&hex(usual), &hex(summary));
    wat::parse_str(&text).expect("a component")
}

#[test]
fn what_a_runner_says_reaches_the_terminal_escaped() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = |name: &str| dir.path().join(name).display().to_string();
    std::fs::write(path("evil.wasm"), evil_runner("fails by its evil!!")).expect("written");
    std::fs::write(path("worse.wasm"), evil_runner(&format!("{EVIL}    "))).expect("written");
    std::fs::create_dir_all(path("cases/one/expected")).expect("a folder");
    std::fs::write(path("cases/one/task.json"), r#"{"meta": null, "inputs_cids": []}"#).expect("written");
    let expected = r#"{"kind": "runner_error", "reason_contains": ["another reason"]}"#;
    std::fs::write(path("cases/one/expected/failure.json"), expected).expect("written");
    for (args, code, said) in [
        (vec!["plugin", "show", &path("evil.wasm")], 0, "fails by its evil"),
        (vec!["plugin", "show", &path("worse.wasm")], 1, "forged"),
        (vec!["plugin", "list", &path("")], 1, "forged"),
        (vec!["plugin", "run", &path("evil.wasm"), "--out", &path("out")], 1, "a reason"),
        (vec!["plugin", "test", &path("evil.wasm"), &path("cases")], 1, "a reason"),
        (vec!["plugin", "show", &path("no\u{1b}[2Jforged.wasm")], 1, "forged"),
    ] {
        let args: Vec<String> = args.into_iter().map(str::to_owned).collect();
        let ended = run(&args, dir.path(), Stdio::piped(), Stdio::piped());
        let text =
            format!("{}{}", String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
        assert_eq!(ended.status.code(), Some(code), "{args:?}: {text:?}");
        assert!(text.contains(said), "{args:?}: {text:?}");
        assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{args:?}: {text:?}");
        assert!(text.lines().all(|line| !line.starts_with("forged")), "{args:?}: {text:?}");
    }
}

#[test]
fn the_manual_has_a_page_for_every_command() {
    let dir = tempfile::tempdir().expect("a folder");
    let status =
        Command::new(node_binary()).args(["manual", "--out"]).arg(dir.path()).output().expect("it runs");
    assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stderr));
    for page in
        ["posemesh-node.1", "posemesh-node-run.1", "posemesh-node-plugin-list.1", "posemesh-node-drain.1"]
    {
        let text =
            std::fs::read_to_string(dir.path().join(page)).unwrap_or_else(|error| panic!("{page}: {error}"));
        assert!(text.contains(".TH posemesh-node") && text.contains(".SH NAME"), "{page}: {text}");
    }
}
