//! Does what `meta` says, a list of texts such as `"read>CID"`, to data that may not be its task's; always fails, with what
//! came of each. `"report>xx"` is a report of two thousand bytes instead, and success.
use guests::{inputs, outputs};
fn read(cid: &str) -> Result<u64, guests::Error> {
    let (input, mut bytes) = (inputs::open(cid)?, 0);
    while let Some(part) = input.next_part()? {
        loop {
            let read = part.read(0)?.len();
            bytes += read as u64;
            if read == 0 {
                break;
            }
        }
    }
    Ok(bytes)
}
fn store(path: &str, options: &outputs::ArtifactOptions) -> Result<u64, guests::Error> {
    let artifact = outputs::create(path, options)?;
    artifact.write(b"overwritten")?;
    artifact.finish().map(|_| 0)
}
guests::runner!("reach", |task: guests::Task| {
    let mut met = Vec::new();
    for wish in task.meta.split('"').skip(1).step_by(2) {
        let (how, what) = wish.split_once('>').unwrap_or_default();
        let text = Some(what.to_owned());
        if how == "report" {
            let large = format!("{{\"z\": 1, \"a\": \"{}\"}}", "x".repeat(what.len() * 1000));
            return guests::control::progress(&large).map_err(guests::failed);
        }
        let came = match how {
            "read" => read(what),
            "skip" => inputs::open(what).and_then(|input| {
                while input.next_part()?.is_some() {}
                Ok(0)
            }),
            "replace" => {
                store("by-id.bin", &outputs::ArtifactOptions { existing_id: text, ..guests::plain() })
            }
            "name" => {
                let data_type = Some("ply".to_owned());
                store("by-name.ply", &outputs::ArtifactOptions { name: text, data_type, ..guests::plain() })
            }
            "flood" => (1..).find_map(|n| read(what).err().map(|_| n)).map_or(Ok(0), |n| {
                met.push(format!("flood ended at {n}"));
                read(what)
            }),
            other => return Err(guests::failed(other)),
        };
        met.push(match came {
            Ok(bytes) => format!("{how} ok {bytes}"),
            Err(error) => format!("{how} {:.160}", format!("{error:?}")),
        });
    }
    Err(guests::Error::Failed(met.join(" | ")))
});
