//! Nests folders without end, from descriptor to descriptor, so that no path is long; with `rename` in `meta`, by
//! moving two towers of folders onto one another.
use wasip2::filesystem::preopens::get_directories;
use wasip2::filesystem::types::{Descriptor, DescriptorFlags, OpenFlags, PathFlags};

fn open(at: &Descriptor, name: &str) -> Result<Descriptor, guests::Error> {
    let flags = DescriptorFlags::READ | DescriptorFlags::MUTATE_DIRECTORY;
    at.open_at(PathFlags::empty(), name, OpenFlags::DIRECTORY, flags).map_err(guests::failed)
}

/// Nests so many folders below `at`; the last one, and how many there are.
fn tower(mut at: Descriptor, name: &str, most: usize) -> Result<Descriptor, guests::Error> {
    for depth in 0..most {
        at.create_directory_at(name)
            .map_err(|error| guests::Error::Failed(format!("stopped at level {depth}: {}", error.name())))?;
        at = open(&at, name)?;
    }
    Ok(at)
}

guests::runner!("nested", |task: guests::Task| {
    let dirs = get_directories();
    let (work, _) = dirs.iter().find(|(_, name)| name == "/work").ok_or(guests::failed("no /work"))?;
    if task.meta.contains("rename") {
        tower(open(work, ".")?, "one", 40)?;
        let last = tower(open(work, ".")?, "other", 40)?;
        work.rename_at("one", &last, "one")
            .map_err(|error| guests::Error::Failed(format!("the move was refused: {}", error.name())))?;
        return Ok(());
    }
    tower(
        open(work, ".")?,
        "a folder with a name of some length, so that paths pass what a system takes",
        14_000,
    )?;
    Ok(())
});
