//! Copies every part of every input to an artifact, as a stream.
use guests::{control, inputs, outputs};
guests::runner!("copy", |task: guests::Task| {
    for (n, cid) in task.inputs_cids.iter().enumerate() {
        let input = inputs::open(cid)?;
        let mut number = 0;
        while let Some(part) = input.next_part()? {
            let size = part.info().size;
            let options = outputs::ArtifactOptions { size_hint: Some(size), ..guests::plain() };
            let copy = outputs::create(&format!("{n}-{number}.bin"), &options)?;
            let mut done = 0u64;
            loop {
                let bytes = part.read(0)?;
                if bytes.is_empty() {
                    break;
                }
                copy.write(&bytes)?;
                done += bytes.len() as u64;
                let _ = control::progress(&format!(
                    "{{\"progress\": {}, \"stage\": \"copying\"}}",
                    done as f64 / size as f64
                ));
            }
            copy.finish()?;
            number += 1;
        }
    }
    Ok(())
});
