//! Files that hold what is expected. `UPDATE_GOLDEN=1` writes them anew.

use std::fs;
use std::path::Path;

/// # Panics
/// If the file, named from the root of the repository, does not hold `text`.
#[allow(clippy::panic)]
pub(crate) fn assert_same(file: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(file);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let written = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&path, text));
        written.unwrap_or_else(|error| panic!("write {file}: {error}"));
    }
    let expected = fs::read_to_string(&path).unwrap_or_else(|error| panic!("read {file}: {error}"));
    assert!(
        expected == text,
        "{file} holds something else (UPDATE_GOLDEN=1 writes it anew); it is now:\n{text}"
    );
}
