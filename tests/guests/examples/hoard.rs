//! Fills its directory in the way that `meta` names: each is another name for the same thing.
use std::fs::{self, File, OpenOptions};
use std::io::{Seek as _, SeekFrom, Write as _};

use guests::failed;
use wasip2::filesystem::preopens::get_directories;
use wasip2::filesystem::types::{DescriptorFlags, OpenFlags, PathFlags};

const MIB: usize = 1 << 20;

fn sparse() -> std::io::Result<()> {
    File::create("/work/sparse")?.set_len(1 << 30)
}

fn hole() -> std::io::Result<()> {
    let mut file = File::create("/work/hole")?;
    file.seek(SeekFrom::Start(1 << 30))?;
    file.write_all(b"x")
}

fn append() -> std::io::Result<()> {
    File::create("/work/append")?;
    for _ in 0..300 {
        OpenOptions::new().append(true).open("/work/append")?.write_all(&vec![0; MIB])?;
    }
    Ok(())
}

fn copies() -> std::io::Result<()> {
    fs::write("/work/one", vec![0; MIB])?;
    (0..300).try_for_each(|n| fs::copy("/work/one", format!("/work/{n}")).map(drop))
}

/// Moves each file away under a name that was taken.
fn renames() -> std::io::Result<()> {
    for n in 0..300 {
        fs::write("/work/new", vec![0; MIB])?;
        fs::rename("/work/new", format!("/work/{n}"))?;
    }
    Ok(())
}

/// By the call of WASI 0.2 that is no stream, into a file that was removed, over and over.
fn writes() -> std::io::Result<()> {
    let dirs = get_directories();
    let work = dirs.iter().find(|(_, name)| name == "/work").map(|(work, _)| work);
    let work = work.ok_or(std::io::ErrorKind::NotFound)?;
    let other = |error: wasip2::filesystem::types::ErrorCode| std::io::Error::other(error.name());
    let mut open = Vec::new();
    for _ in 0..300 {
        let flags = DescriptorFlags::WRITE;
        let file = work.open_at(PathFlags::empty(), "gone", OpenFlags::CREATE, flags).map_err(other)?;
        work.unlink_file_at("gone").map_err(other)?;
        file.write(&vec![0; MIB], 0).map_err(other)?;
        open.push(file);
    }
    Ok(())
}

fn symlinks() -> std::io::Result<()> {
    let target = "t/".repeat(2000);
    let dirs = get_directories();
    let work = dirs.iter().find(|(_, name)| name == "/work").map(|(work, _)| work);
    let work = work.ok_or(std::io::ErrorKind::NotFound)?;
    for n in 0..9000 {
        work.symlink_at(&target, &n.to_string()).map_err(|error| std::io::Error::other(error.name()))?;
    }
    Ok(())
}

fn hard_links() -> std::io::Result<()> {
    fs::write("/work/one", "x")?;
    (0..50_000).try_for_each(|n| fs::hard_link("/work/one", format!("/work/{n}")))
}

fn folders() -> std::io::Result<()> {
    (0..50_000).try_for_each(|n| fs::create_dir(format!("/work/{n}")))
}

/// Makes and removes one folder for as long as there is a place to make it in.
fn while_it_is_there() -> std::io::Result<()> {
    loop {
        match fs::create_dir("/work/one") {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(error),
            _ => drop(fs::remove_dir("/work/one")),
        }
    }
}

/// Never has more than it may: what it removes, cuts short or writes over makes room again.
fn tidy() -> std::io::Result<()> {
    for _ in 0..5 {
        fs::write("/work/one", vec![0; 6 * MIB])?;
        fs::write("/work/one", vec![1; 6 * MIB])?;
        fs::rename("/work/one", "/work/other")?;
        File::options().write(true).open("/work/other")?.set_len(10)?;
        let mut gone = File::create("/work/gone")?;
        fs::remove_file("/work/gone")?;
        gone.write_all(&vec![0; 6 * MIB])?;
        gone.rewind()?;
        gone.write_all(&vec![1; 6 * MIB])?;
    }
    for n in 0..6000 {
        fs::create_dir(format!("/work/{n}"))?;
        fs::remove_dir(format!("/work/{n}"))?;
    }
    Ok(())
}

guests::runner!("hoard", |task: guests::Task| {
    let fill = match task.meta.trim_matches('"') {
        "sparse" => sparse,
        "hole" => hole,
        "append" => append,
        "copies" => copies,
        "renames" => renames,
        "writes" => writes,
        "symlinks" => symlinks,
        "hard_links" => hard_links,
        "folders" => folders,
        "tidy" => tidy,
        "while_it_is_there" => while_it_is_there,
        other => return Err(failed(other)),
    };
    fill().map_err(failed)
});
