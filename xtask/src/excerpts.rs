//! What the guide shows as code is code that CI builds and tests: each block below a line `<!-- from FILE -->` is an excerpt of
//! that file, where `...` stands for lines that are left out.

use std::path::Path;

/// Where the excerpts stand.
const DOCUMENT: &str = "docs/guide.md";
/// How the line before one begins and ends.
const FROM: (&str, &str) = ("<!-- from ", " -->");

/// A block of code, the file that it comes from, and the number of the line that says so.
struct Excerpt<'a> {
    line: usize,
    file: &'a str,
    text: Vec<&'a str>,
}

/// The excerpts of a document.
fn excerpts(document: &str) -> Vec<Excerpt<'_>> {
    let mut found = Vec::new();
    let mut lines = (1..).zip(document.lines());
    while let Some((line, text)) = lines.next() {
        let Some(file) = text.strip_prefix(FROM.0).and_then(|text| text.strip_suffix(FROM.1)) else {
            continue;
        };
        let block = lines.by_ref().map(|(_, text)| text).skip(1).take_while(|text| *text != "```");
        found.push(Excerpt { line, file, text: block.collect() });
    }
    found
}

/// Whether the lines stand in the source, one after the other but for what `...` leaves out.
fn stands_in(excerpt: &[&str], source: &str) -> bool {
    let source: Vec<&str> = source.lines().collect();
    let mut rest = source.as_slice();
    excerpt.split(|line| *line == "...").filter(|piece| !piece.is_empty()).all(|piece| {
        let found = rest.windows(piece.len()).position(|window| window == piece);
        let after = found.and_then(|at| rest.get(at + piece.len()..));
        rest = after.unwrap_or_default();
        after.is_some()
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_the_guide_shows_stands_in_the_files_that_it_names() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let document = std::fs::read_to_string(root.join(DOCUMENT)).unwrap();
        let excerpts = excerpts(&document);
        assert!(excerpts.len() > 15, "{} excerpts", excerpts.len());
        let stale: Vec<String> = excerpts
            .iter()
            .filter(|excerpt| {
                let source = std::fs::read_to_string(root.join(excerpt.file));
                !source.is_ok_and(|source| stands_in(&excerpt.text, &source))
            })
            .map(|excerpt| format!("{DOCUMENT}:{}: this is not in {}", excerpt.line, excerpt.file))
            .collect();
        assert!(stale.is_empty(), "{}", stale.join("\n"));
    }

    #[test]
    fn an_excerpt_is_found_in_its_order_and_without_what_is_left_out() {
        let source = "a\n  b\nc\nd\n";
        for (excerpt, want) in [
            (&["a", "  b"][..], true),
            (&["a", "...", "d"], true),
            (&["a", "b"], false),
            (&["d", "...", "a"], false),
            (&["a", "c"], false),
            (&["e"], false),
        ] {
            assert_eq!(stands_in(excerpt, source), want, "{excerpt:?}");
        }
        let document = "x\n<!-- from a/b.rs -->\n```rust\na\n...\nc\n```\n";
        let all = excerpts(document);
        assert_eq!(
            all.iter().map(|one| (one.line, one.file, one.text.len())).collect::<Vec<_>>(),
            [(2, "a/b.rs", 3)]
        );
    }
}
