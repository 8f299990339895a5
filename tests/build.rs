//! Writes a constant for each test guest, and the macro `foreach_guest!`, from the files in
//! `guests/examples`. They are built by `cargo xtask test`, not here: a build script would hide minutes of
//! work behind one line, and needs a target that not every machine has.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

const EXAMPLES: &str = "guests/examples";

fn main() {
    println!("cargo::rerun-if-changed={EXAMPLES}");
    let names = guest_names(Path::new(EXAMPLES));
    let mut code = String::new();
    for name in &names {
        let (constant, word) = (name.to_uppercase(), name.replace('_', "-"));
        writeln!(
            code,
            "/// `tests/{EXAMPLES}/{name}.rs`.\n\
             pub const {constant}: Guest = \
             Guest {{ name: \"{name}\", capability: \"/posemesh/test/{word}/v1\" }};"
        )
        .expect("a string takes everything");
    }
    writeln!(
        code,
        "/// Calls a macro with the name of every guest, separated by spaces.\n\
         #[macro_export]\n\
         macro_rules! foreach_guest {{ ($callback:ident) => {{ $callback! {{ {} }} }} }}",
        names.join(" ")
    )
    .expect("a string takes everything");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    fs::write(out.join("guests.rs"), code).expect("the output folder is writable");
}

fn guest_names(examples: &Path) -> Vec<String> {
    let entries = fs::read_dir(examples).expect("the folder of guests");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let sources = paths.filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    let mut names: Vec<String> = sources
        .map(|path| path.file_stem().and_then(|stem| stem.to_str()).expect("a name in UTF-8").to_owned())
        .collect();
    names.sort();
    names
}
