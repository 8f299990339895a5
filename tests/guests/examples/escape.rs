//! Tries every way out of its directory; fails with those that worked.
use guests::{inputs, outputs, plain};
guests::runner!("escape", |_| {
    let mut out = Vec::new();
    // C libraries look for `/` in the working directory: it has what lies in `/work` and nothing else.
    let root = std::fs::read_dir("/").into_iter().flatten().flatten().map(|entry| entry.file_name());
    out.extend(root.filter(|name| name != "inputs").map(|name| format!("listed {name:?} in /")));
    for path in ["/etc/passwd", "../../etc/passwd", "/work/../../etc/passwd", "/proc/self/environ"] {
        if std::fs::read(path).is_ok() || std::fs::read_dir(path).is_ok() {
            out.push(format!("read {path}"));
        }
    }
    let links = ["/etc/passwd", "../../../etc/passwd"];
    for (n, target) in links.iter().enumerate() {
        let link = format!("/work/link{n}");
        #[allow(deprecated)]
        if std::fs::soft_link(target, &link).is_ok() && std::fs::read(&link).is_ok() {
            out.push(format!("read through a link to {target}"));
        }
        if outputs::put_file("x.bin", &link, &plain()).is_ok() {
            out.push(format!("uploaded through a link to {target}"));
        }
    }
    for file in ["/etc/passwd", "../x", "/work/../../etc/passwd", "inputs/../../x", "a\0b", "", "/work"] {
        if outputs::put_file("x.bin", file, &plain()).is_ok() {
            out.push(format!("uploaded {file:?}"));
        }
    }
    let long = "x".repeat(100_000);
    for path in ["../x", "/x", "a/../../x", "a\0b", "", ".", "a//b", "a\\..\\b", long.as_str()] {
        if outputs::create(path, &plain()).is_ok() {
            out.push(format!("created {:.40?}", path));
        }
    }
    for cid in ["../../../etc/passwd", "file:///etc/passwd", "http://127.0.0.1:1/x", "", long.as_str()] {
        if inputs::open(cid).is_ok() {
            out.push(format!("opened {:.40?}", cid));
        }
    }
    if std::fs::write("/work/inputs/x", "x").is_ok() {
        out.push("wrote into /work/inputs".into());
    }
    std::fs::write("/work/mine", "fine").map_err(guests::failed)?;
    outputs::put_file("mine.txt", "/work/mine", &plain())?;
    outputs::put_file("mine2.txt", "mine", &plain())?;
    if out.is_empty() { Ok(()) } else { Err(guests::Error::Failed(out.join("; "))) }
});
