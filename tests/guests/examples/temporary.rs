//! Uses `/tmp` and the working directory as programs expect them; with `fill` in `meta` it writes without end into `/tmp`.
use guests::{failed, outputs, plain};
use std::fs;
use std::io::Write;

fn check(what: &str, holds: bool) -> Result<(), guests::Error> {
    if holds { Ok(()) } else { Err(guests::Error::Failed(what.to_owned())) }
}

fn ordinary() -> Result<(), guests::Error> {
    // What runtimes ask for; the standard library of Rust has no answer of its own here.
    let tmp = std::path::PathBuf::from(std::env::var("TMPDIR").map_err(failed)?);
    check("TMPDIR is /tmp", tmp == std::path::Path::new("/tmp"))?;
    check("PWD is /work", std::env::var("PWD").as_deref() == Ok("/work"))?;
    let begins = wasip2::cli::environment::initial_cwd();
    check("the working directory is /work", begins.as_deref() == Some("/work"))?;
    check("/tmp is empty at first", fs::read_dir(&tmp).map_err(failed)?.count() == 0)?;
    fs::write(tmp.join("half"), "made in /tmp").map_err(failed)?;
    outputs::put_file("tmp.txt", "/tmp/half", &plain())?;
    fs::write("relative.txt", "made in the working directory").map_err(failed)?;
    let read = fs::read_to_string("/work/relative.txt").map_err(failed)?;
    check("what has no path lies in /work", read == "made in the working directory")?;
    outputs::put_file("relative.txt", "relative.txt", &plain())?;
    // As programs do that write whole or not at all.
    fs::rename("/tmp/half", "/work/whole").map_err(failed)?;
    fs::create_dir("/tmp/folder").map_err(failed)?;
    fs::hard_link("/work/whole", "/tmp/folder/again").map_err(failed)?;
    check("/tmp does not show in /work", !fs::exists("/work/folder").map_err(failed)?)?;
    check("no path leads out of /tmp", fs::read_dir("/tmp/../inputs").is_err())?;
    fs::remove_dir_all("/tmp/folder").map_err(failed)
}

guests::runner!("temporary", |task: guests::Task| {
    if !task.meta.contains("fill") {
        return ordinary();
    }
    fs::write("/work/some", vec![0; 4 << 20]).map_err(failed)?;
    let mut file = fs::File::create("/tmp/big").map_err(failed)?;
    let block = vec![0u8; 1 << 20];
    loop {
        file.write_all(&block).map_err(failed)?;
    }
});
