//! Calls every function of the ports on the first input; fails with the first that does not work.
use guests::{Error, control, failed, inputs, outputs, plain};
guests::runner!("ports", |task: guests::Task| {
    let cid = &task.inputs_cids[0];
    let whole = inputs::read_all(cid, 1 << 20)?;
    let input = inputs::open(cid)?;
    let part = input.next_part()?.ok_or(Error::Failed("no part".into()))?;
    assert_eq!(part.info().size, whole.len() as u64);
    let head = part.read(3)?;
    let tail = part.read_at(3, 0)?;
    assert_eq!([head, tail].concat(), whole);
    let path = part.materialise()?;
    assert_eq!(std::fs::read(&path).map_err(failed)?, whole, "{path}");
    assert!(std::fs::remove_file(&path).is_err(), "{path} can be removed");
    assert_eq!(part.read(0)?, whole[3..]);
    assert!(part.read(0)?.is_empty());
    assert!(input.next_part()?.is_none());
    assert_eq!(inputs::materialise_all(cid)?.len(), 1);

    let kept = outputs::create("kept.bin", &plain())?;
    kept.write(&whole[..1])?;
    kept.write(&whole[1..])?;
    let stored = kept.finish()?;
    assert_eq!(stored.size, whole.len() as u64);
    assert!(kept.write(b"x").is_err() && kept.finish().is_err());
    let aborted = outputs::create("aborted.bin", &plain())?;
    aborted.write(b"never seen")?;
    drop(aborted);
    outputs::put_bytes("empty.bin", &[], &plain())?;
    outputs::put_file("file.bin", &path, &plain())?;

    let budget = control::get_budget();
    assert!(budget.time_left_ms > 0 && budget.memory_bytes > 0);
    control::log_event("{\"ports\": true}").map_err(failed)?;
    control::log(control::LogLevel::Warn, "a line");
    assert!(!control::is_cancelled() && !control::wait_cancelled(1));
    Ok(())
});
