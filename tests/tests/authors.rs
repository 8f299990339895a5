//! What an author of a runner gets from the program alone: the contract, and a project. What such a project builds to is
//! tried by `cargo xtask test-plugins`, which has the toolchains.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use posemesh_tests::{node_binary, root};

fn plugin(args: &[&str], dir: &Path) -> Output {
    Command::new(node_binary()).arg("plugin").args(args).current_dir(dir).output().expect("the program runs")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn the_contract_is_written_without_a_clone_and_never_over_anything_else() {
    let dir = tempfile::tempdir().expect("a folder");
    let output = plugin(&["wit", "--out", "made/wit"], dir.path());
    assert!(output.status.success(), "{}", stderr(&output));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.starts_with("posemesh:runner@0.2.0, 5 files"), "{said}");
    let ours = root().join("wit");
    let mut names: Vec<String> = fs::read_dir(dir.path().join("made/wit"))
        .expect("the folder")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert_eq!(names, ["control.wit", "inputs.wit", "outputs.wit", "types.wit", "world.wit"]);
    for name in &names {
        let written = fs::read(dir.path().join("made/wit").join(name)).expect("a file");
        assert!(written == fs::read(ours.join(name)).expect("our file"), "{name} differs");
    }

    let mine = dir.path().join("made/wit/types.wit");
    fs::write(&mine, "mine").expect("written");
    let output = plugin(&["wit", "--out", "made/wit"], dir.path());
    assert!(
        !output.status.success() && stderr(&output).contains("exists and differs"),
        "{}",
        stderr(&output)
    );
    assert_eq!(fs::read_to_string(&mine).expect("mine"), "mine");
    let output = plugin(&["wit", "--out", "made/wit", "--force"], dir.path());
    assert!(output.status.success(), "{}", stderr(&output));
    assert_ne!(fs::read_to_string(&mine).expect("ours"), "mine");
}

#[test]
fn a_project_has_its_name_everywhere_and_is_written_into_an_empty_folder_alone() {
    let dir = tempfile::tempdir().expect("a folder");
    let output = plugin(&["new", "count-words", "--lang", "rust"], dir.path());
    assert!(output.status.success(), "{}", stderr(&output));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("count_words.wasm cases"), "the next steps name the component: {said}");
    let project = dir.path().join("count-words");
    let read =
        |path: &str| fs::read_to_string(project.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    assert!(read("Cargo.toml").contains("name = \"count-words\""));
    assert!(
        read("src/lib.rs").contains("impl Runner for CountWords")
            && read("src/lib.rs").contains("/example/count-words/v1")
    );
    assert!(read("posemesh-runner/wit/world.wit").contains("package posemesh:runner@"));
    for path in ["Cargo.lock", "README.md", ".gitignore", "src/lib.rs", "cases/heights/task.json"] {
        let text = read(path);
        for left in ["my-runner", "my_runner", "MyRunner"] {
            assert!(!text.contains(left), "{path} says {left}");
        }
    }

    let output = plugin(&["new", "count-words", "--lang", "python", "--dir", "py"], dir.path());
    assert!(output.status.success(), "{}", stderr(&output));
    let app = fs::read_to_string(dir.path().join("py/app.py")).expect("the runner");
    assert!(app.contains("@runner(\"/example/count-words/v1\", name=\"count-words\""), "{app}");
    assert!(dir.path().join("py/posemesh_runner/entry.py").is_file());
    assert!(dir.path().join("py/wit/world.wit").is_file());

    let output = plugin(&["new", "count-words", "--lang", "js", "--dir", "js"], dir.path());
    assert!(output.status.success(), "{}", stderr(&output));
    let package = fs::read_to_string(dir.path().join("js/package.json")).expect("the package");
    assert!(
        package.contains("\"name\": \"count-words\"") && package.contains("count_words.wasm"),
        "{package}"
    );
    assert!(dir.path().join("js/posemesh-runner/index.js").is_file());

    let output = plugin(&["new", "count-words", "--lang", "ts", "--dir", "ts"], dir.path());
    assert!(output.status.success(), "{}", stderr(&output));
    let app = fs::read_to_string(dir.path().join("ts/src/app.ts")).expect("the runner");
    assert!(app.contains("capabilities: ['/example/count-words/v1']"), "{app}");
    assert!(dir.path().join("ts/posemesh-runner/index.d.ts").is_file());

    let output = plugin(&["new", "count-words", "--lang", "c", "--dir", "c"], dir.path());
    assert!(output.status.success(), "{}", stderr(&output));
    let makefile = fs::read_to_string(dir.path().join("c/Makefile")).expect("the Makefile");
    assert!(makefile.contains("NAME := count_words\n"), "{makefile}");
    let output = plugin(&["new", "count-words", "--lang", "go", "--dir", "go"], dir.path());
    assert!(output.status.success(), "{}", stderr(&output));
    let module = fs::read_to_string(dir.path().join("go/go.mod")).expect("the module");
    assert!(module.starts_with("module count-words\n"), "{module}");
    assert!(dir.path().join("go/posemesh/runner.go").is_file());
    let adapter = fs::read(dir.path().join("c/posemesh/wasi_snapshot_preview1.reactor.wasm"));
    assert!(adapter.expect("the adapter").starts_with(b"\0asm"), "no WebAssembly");

    let output = plugin(&["new", "count-words", "--lang", "rust"], dir.path());
    assert!(!output.status.success() && stderr(&output).contains("is not empty"), "{}", stderr(&output));
    let output = plugin(&["new", "Count", "--lang", "rust"], dir.path());
    assert!(
        !output.status.success() && stderr(&output).contains("such as count-words"),
        "{}",
        stderr(&output)
    );
}
