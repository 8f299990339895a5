//! What the documents for operators give to be typed can be typed: the commands of `cargo xtask` and the files of the repository that
//! the blocks name are there, and what a block takes from the target directory was built before.

/// The documents.
const DOCUMENTS: [&str; 3] = ["docs/deploy.md", "docs/scaling.md", "docs/operating.md"];
/// What is taken from the target directory, and the commands of which one has to come first.
const BUILT: [(&str, &[&str]); 3] = [
    ("target/plugins", &["cargo xtask plugins"]),
    ("target/release/", &["cargo xtask release"]),
    ("target/packages/", &["cargo xtask package "]),
];

/// The lines of the blocks for a shell, with their numbers.
fn shell_lines(document: &str) -> Vec<(usize, &str)> {
    let mut inside = false;
    let mut lines = Vec::new();
    for (number, line) in (1..).zip(document.lines()) {
        match line {
            "```sh" => inside = true,
            "```" => inside = false,
            _ if inside => lines.push((number, line)),
            _ => {}
        }
    }
    lines
}

/// The words of a line that begin with this, up to what ends them in a shell.
fn words<'a>(line: &'a str, start: &'a str) -> impl Iterator<Item = &'a str> {
    let words = line.split(|char: char| char.is_whitespace() || "\"'`;,|()".contains(char));
    words.filter(move |word| word.starts_with(start))
}

/// What can't be typed, in words. `is_task` knows the commands of `cargo xtask`, `exists` the files of the repository.
fn faults(
    document: &str,
    is_task: impl Fn(&str) -> bool,
    exists: impl Fn(&str) -> bool,
) -> Vec<(usize, String)> {
    let mut faults = Vec::new();
    for (number, line) in shell_lines(document) {
        for rest in line.split("cargo xtask ").skip(1) {
            let end = rest.find(|char: char| !char.is_ascii_lowercase() && char != '-').unwrap_or(rest.len());
            let task = rest.get(..end).unwrap_or_default();
            if !is_task(task) {
                faults.push((number, format!("there is no `cargo xtask {task}`")));
            }
        }
        for path in words(line, "deploy/").filter(|path| !exists(path)) {
            faults.push((number, format!("there is no {path}")));
        }
        for (what, commands) in BUILT.iter().filter(|(what, _)| line.contains(what)) {
            let before = document.lines().take(number);
            if !before.into_iter().any(|line| commands.iter().any(|command| line.contains(command))) {
                faults.push((number, format!("nothing has made {what} before")));
            }
        }
    }
    faults
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;

    use clap::CommandFactory as _;

    use super::*;
    use crate::Args;

    #[test]
    fn what_the_documents_for_operators_give_to_be_typed_is_there() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let command = Args::command();
        for document in DOCUMENTS {
            let text = std::fs::read_to_string(root.join(document)).unwrap();
            assert!(!shell_lines(&text).is_empty(), "{document} gives nothing to be typed");
            let faults = faults(
                &text,
                |task| command.find_subcommand(task).is_some(),
                |path| root.join(path).exists(),
            );
            assert_eq!(faults, [], "{document}");
        }
    }

    #[test]
    fn a_command_a_file_and_a_runner_that_are_not_there_are_found() {
        let document = "```sh\ncargo xtask no-such\ninstall deploy/a deploy/b /usr\n```\n\n`cargo xtask plugins`\n\n\
                        ```sh\ncp target/plugins/*.wasm /x\ncp target/release/x /x\n```\n";
        let found = faults(document, |task| task == "plugins", |path| path == "deploy/a");
        let found: Vec<_> = found.iter().map(|(line, fault)| (*line, fault.as_str())).collect();
        assert_eq!(
            found,
            [
                (2, "there is no `cargo xtask no-such`"),
                (3, "there is no deploy/b"),
                (10, "nothing has made target/release/ before"),
            ]
        );
    }
}
