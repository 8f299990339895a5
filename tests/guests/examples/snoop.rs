//! Tries to access the paths in `meta`, and other tasks' files, in every way; fails with what it finds.
guests::runner!("snoop", |task: guests::Task| {
    let mut paths: Vec<String> = task.meta.split('"').skip(1).step_by(2).map(str::to_owned).collect();
    for path in paths.clone() {
        // The same place from inside the sandbox, and by a link.
        paths.push(format!("/work/../../../../../../../..{path}"));
        paths.push(format!("/work/inputs/../../../../../../../../..{path}"));
        paths.push(format!("/tmp/../../../../../../../..{path}"));
        let link = format!("/work/link-{}", paths.len());
        #[allow(deprecated)]
        if std::fs::soft_link(&path, &link).is_ok() {
            paths.push(link);
        }
    }
    // `/` itself is the working directory for C libraries: `escape` looks at what it has.
    let fixed =
        ["..", "/work/..", "/tmp/..", "/proc/self/fd", "/proc/self/maps", "/proc/1/environ", "/dev", "."];
    paths.extend(fixed.map(str::to_owned));
    paths.extend(["a\0b".to_owned(), "/..".repeat(2000), "x/".repeat(100_000)]);
    let mut found = Vec::new();
    for path in &paths {
        if path == "." {
            continue;
        }
        if std::fs::read_dir(path).is_ok() {
            found.push(format!("listed {path:.80}"));
        }
        if std::fs::read(path).is_ok() {
            found.push(format!("read {path:.80}"));
        }
        if std::fs::write(format!("{path}/planted"), "x").is_ok() {
            found.push(format!("wrote below {path:.80}"));
        }
        if std::fs::rename("/work/own", path).is_ok() {
            found.push(format!("moved a file to {path:.80}"));
        }
        if std::fs::remove_file(path).is_ok() && !path.starts_with("/work/link-") {
            found.push(format!("removed {path:.80}"));
        }
    }
    let (work, tmp) = (std::fs::read_dir("/work"), std::fs::read_dir("/tmp"));
    let others: Vec<_> = work
        .map_err(guests::failed)?
        .chain(tmp.map_err(guests::failed)?)
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .filter(|name| name != "inputs" && !name.starts_with("link-"))
        .collect();
    found.extend(others.into_iter().map(|name| format!("found {name} in its own directory")));
    if found.is_empty() { Ok(()) } else { Err(guests::Error::Failed(found.join("; "))) }
});
