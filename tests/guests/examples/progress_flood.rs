//! Reports progress that is large, too large and nested too deeply; fails with the errors of the host.
use guests::control::{ReportError, progress};
guests::runner!("progress_flood", |_| {
    let large = format!("{{\"progress\": 0.5, \"stage\": \"{}\"}}", "x".repeat(60_000));
    for _ in 0..3000 {
        progress(&large).map_err(guests::failed)?;
    }
    let huge = format!("\"{}\"", "x".repeat(4 << 20));
    let Err(ReportError::TooLarge(limit)) = progress(&huge) else { return Ok(()) };
    let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    let Err(ReportError::InvalidJson(why)) = progress(&deep) else { return Ok(()) };
    Err(guests::Error::Failed(format!("too large above {limit}; too deep: {why}")))
});
