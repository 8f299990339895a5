//! What Cargo says that a build has read: it writes that for make beside what it makes.

use std::collections::BTreeSet;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use posemesh_files::open_regular;

/// The largest file that is read, in bytes.
const MAX_BYTES: u64 = 4 << 20;

/// The files that a component was made of, with the manifests of their packages, if it is Cargo's. What the build has made by
/// itself is not among them. Blocks.
pub(super) fn files_of(component: &Path) -> BTreeSet<PathBuf> {
    // TARGET/wasm32-wasip2/PROFILE/NAME.wasm
    let Some(target) = component.ancestors().nth(3) else { return BTreeSet::new() };
    let Ok(text) = read(&component.with_extension("d")) else { return BTreeSet::new() };
    let mut files: BTreeSet<PathBuf> =
        text.lines().flat_map(named).filter(|file| file.is_absolute() && !file.starts_with(target)).collect();
    let manifest = |file: &PathBuf| {
        file.ancestors().skip(1).map(|folder| folder.join("Cargo.toml")).find(|manifest| manifest.is_file())
    };
    let manifests: Vec<PathBuf> = files.iter().filter_map(manifest).collect();
    files.extend(manifests);
    files
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    open_regular(path)?.take(MAX_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

/// What stands behind the colon of one line, where spaces in names are escaped.
fn named(line: &str) -> Vec<PathBuf> {
    let Some((_, files)) = line.split_once(": ") else { return Vec::new() };
    let (mut all, mut name, mut letters) = (Vec::new(), String::new(), files.chars());
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => name.push(letters.next().unwrap_or('\\')),
            ' ' => all.push(std::mem::take(&mut name)),
            _ => name.push(letter),
        }
    }
    all.push(name);
    all.into_iter().filter(|name| !name.is_empty()).map(PathBuf::from).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_cargo_has_read_is_told_with_the_manifests_and_without_what_it_has_made() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        for folder in ["project/target/wasm32-wasip2/watch", "my library/src"] {
            fs::create_dir_all(at(folder)).unwrap();
        }
        fs::write(at("my library/Cargo.toml"), "").unwrap();
        let component = at("project/target/wasm32-wasip2/watch/x.wasm");
        let top = dir.path().display();
        let line = format!(
            "{}: {top}/my\\ library/src/lib.rs {top}/project/src/lib.rs {top}/project/target/made.rs relative.rs\n",
            component.display()
        );
        fs::write(component.with_extension("d"), line).unwrap();
        let expected = ["my library/Cargo.toml", "my library/src/lib.rs", "project/src/lib.rs"];
        assert_eq!(files_of(&component), expected.iter().map(|path| at(path)).collect());
        assert!(files_of(&at("project/nothing.wasm")).is_empty());
    }
}
