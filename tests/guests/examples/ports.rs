//! Calls every function of the ports on the first input; fails with the first that does not work.
use guests::{RunError, control, failed, inputs, outputs, plain};
guests::runner!("ports", |task: guests::Task| {
    let cid = &task.inputs_cids[0];
    let whole = inputs::read_all(cid, 1 << 20).map_err(RunError::Port)?;
    let input = inputs::open(cid).map_err(RunError::Port)?;
    let part = input.next_part().map_err(RunError::Port)?.ok_or(RunError::Failed("no part".into()))?;
    assert_eq!(part.info().size, whole.len() as u64);
    let head = part.read(3).map_err(RunError::Port)?;
    let tail = part.read_at(3, 0).map_err(RunError::Port)?;
    assert_eq!([head, tail].concat(), whole);
    let path = part.materialise().map_err(RunError::Port)?;
    assert_eq!(std::fs::read(&path).map_err(failed)?, whole, "{path}");
    assert!(std::fs::remove_file(&path).is_err(), "{path} can be removed");
    assert_eq!(part.read(0).map_err(RunError::Port)?, whole[3..]);
    assert!(part.read(0).map_err(RunError::Port)?.is_empty());
    assert!(input.next_part().map_err(RunError::Port)?.is_none());
    assert_eq!(inputs::materialise_all(cid).map_err(RunError::Port)?.len(), 1);

    let kept = outputs::create("kept.bin", &plain()).map_err(RunError::Port)?;
    kept.write(&whole[..1]).map_err(RunError::Port)?;
    kept.write(&whole[1..]).map_err(RunError::Port)?;
    let stored = kept.finish().map_err(RunError::Port)?;
    assert_eq!(stored.size, whole.len() as u64);
    assert!(kept.write(b"x").is_err() && kept.finish().is_err());
    let aborted = outputs::create("aborted.bin", &plain()).map_err(RunError::Port)?;
    aborted.write(b"never seen").map_err(RunError::Port)?;
    drop(aborted);
    outputs::put_bytes("empty.bin", &[], &plain()).map_err(RunError::Port)?;
    outputs::put_file("file.bin", &path, &plain()).map_err(RunError::Port)?;

    let budget = control::get_budget();
    assert!(budget.time_left_ms > 0 && budget.memory_bytes > 0);
    control::log_event("{\"ports\": true}").map_err(failed)?;
    control::log(control::LogLevel::Warn, "a line");
    assert!(!control::is_cancelled() && !control::wait_cancelled(1));
    Ok(())
});
