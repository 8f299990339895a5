//! Amounts of time and of bytes as `status` and `top` show them: rounded, as on the node's page.

/// Seconds as people say them: the largest unit and the next one.
pub(crate) fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// The same in seven columns at most (until 10,000 days).
pub(crate) fn short_span(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    match seconds {
        0 => format!("{milliseconds} ms"),
        1..60 => format!("{seconds}.{} s", milliseconds % 1000 / 100),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{:02}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// Bytes with one decimal of the largest unit of which there is one.
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = UNITS[0];
    for next in UNITS.into_iter().skip(1) {
        if value < 1023.95 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    format!("{value:.1} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_rounded_to_what_people_read() {
        assert_eq!(
            [span(59), span(61), span(7260), span(90_000)],
            ["59 s", "1 min 1 s", "2 h 1 min", "1 d 1 h"]
        );
        let short = [999, 1250, 61_000, 7_260_000, 90_000_000].map(short_span);
        assert_eq!(short, ["999 ms", "1.2 s", "1m01s", "2h01m", "1d01h"]);
        let sizes = [1023, 1024, 1536 << 10, (1 << 30) - 1, u64::MAX].map(bytes);
        assert_eq!(sizes, ["1023 B", "1.0 KiB", "1.5 MiB", "1.0 GiB", "16777216.0 TiB"]);
    }
}
