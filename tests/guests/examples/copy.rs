//! Copies every part of every input to an artifact, as a stream.
use guests::{RunError, control, inputs, outputs};
guests::runner!("copy", |task: guests::Task| {
    for (n, cid) in task.inputs_cids.iter().enumerate() {
        let input = inputs::open(cid).map_err(RunError::Port)?;
        let mut number = 0;
        while let Some(part) = input.next_part().map_err(RunError::Port)? {
            let size = part.info().size;
            let options = outputs::ArtifactOptions { size_hint: Some(size), ..guests::plain() };
            let copy = outputs::create(&format!("{n}-{number}.bin"), &options).map_err(RunError::Port)?;
            let mut done = 0u64;
            loop {
                let bytes = part.read(0).map_err(RunError::Port)?;
                if bytes.is_empty() {
                    break;
                }
                copy.write(&bytes).map_err(RunError::Port)?;
                done += bytes.len() as u64;
                let _ = control::progress(&format!(
                    "{{\"progress\": {}, \"stage\": \"copying\"}}",
                    done as f64 / size as f64
                ));
            }
            copy.finish().map_err(RunError::Port)?;
            number += 1;
        }
    }
    Ok(())
});
