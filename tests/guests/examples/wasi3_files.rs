//! Writes or opens too much by the file system of WASI 0.3, in the way that `meta` names.
wit_bindgen::generate!({
    path: "wit-wasi3-files",
    world: "wasi3-files",
    generate_all,
});

use guests::Error;
use wasi::filesystem::preopens::get_directories;
use wasi::filesystem::types::{Descriptor, DescriptorFlags, ErrorCode, OpenFlags, PathFlags};

const MIB: usize = 1 << 20;

fn failed(error: ErrorCode) -> Error {
    Error::Failed(format!("WASI 0.3: {error:?}"))
}

async fn create(work: &Descriptor, name: &str) -> Result<Descriptor, Error> {
    let flags = DescriptorFlags::READ | DescriptorFlags::WRITE;
    work.open_at(PathFlags::empty(), name.into(), OpenFlags::CREATE, flags).await.map_err(failed)
}

/// Into a file without a name, through a stream.
async fn stream(work: &Descriptor, append: bool) -> Result<(), Error> {
    let file = create(work, "gone").await?;
    work.unlink_file_at("gone".into()).await.map_err(failed)?;
    let (mut writer, reader) = wit_stream::new();
    let end = if append { file.append_via_stream(reader) } else { file.write_via_stream(reader, 0) };
    for _ in 0..300 {
        writer.write_all(vec![0; MIB]).await;
    }
    drop(writer);
    end.await.map_err(failed)
}

async fn nested(work: Descriptor) -> Result<(), Error> {
    let mut at = work;
    for depth in 0..14_000 {
        at.create_directory_at("down".into())
            .await
            .map_err(|error| Error::Failed(format!("stopped at level {depth}: {error:?}")))?;
        let flags = DescriptorFlags::READ | DescriptorFlags::MUTATE_DIRECTORY;
        at = at
            .open_at(PathFlags::empty(), "down".into(), OpenFlags::DIRECTORY, flags)
            .await
            .map_err(failed)?;
    }
    Ok(())
}

async fn fill(how: &str) -> Result<(), Error> {
    let dirs = get_directories();
    let work = dirs.into_iter().find(|(_, name)| name == "/work").map(|(work, _)| work);
    let work = work.ok_or(Error::Failed("no /work".into()))?;
    match how {
        "write" => stream(&work, false).await,
        "append" => stream(&work, true).await,
        "set_size" => create(&work, "sparse").await?.set_size(1 << 30).await.map_err(failed),
        "files" => {
            for n in 0..50_000 {
                create(&work, &n.to_string()).await?;
            }
            Ok(())
        }
        "symlinks" => {
            for n in 0..50_000 {
                work.symlink_at("nowhere".into(), n.to_string()).await.map_err(failed)?;
            }
            Ok(())
        }
        "nested" => nested(work).await,
        "listings" => {
            let mut held = Vec::new();
            loop {
                held.push(work.read_directory());
            }
        }
        other => Err(Error::Failed(other.into())),
    }
}

guests::runner!("wasi3_files", |task: guests::Task| {
    // Nothing of it waits: this host answers at once.
    wit_bindgen::block_on(fill(task.meta.trim_matches('"')))
});
