//! Amounts of bytes and of time as people write them, and as the same words are shown to them.

use std::fmt::{self, Display};
use std::str::FromStr;

/// Bytes, shown with the largest unit that divides them, and read with a unit or without.
///
/// ```
/// use posemesh_text::ByteSize;
///
/// assert_eq!(ByteSize(64 << 20).to_string(), "64MiB");
/// assert_eq!(ByteSize(1000).to_string(), "1000");
/// assert_eq!("1.5 GiB".parse(), Ok(ByteSize(1536 << 20)));
/// assert!("64 parsecs".parse::<ByteSize>().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

/// Milliseconds, shown with the largest unit that divides them, and read with a unit or without.
///
/// ```
/// use posemesh_text::TimeSpan;
///
/// assert_eq!(TimeSpan(90_000).to_string(), "90s");
/// assert_eq!("1.5 h".parse(), Ok(TimeSpan(90 * 60_000)));
/// assert_eq!("250".parse(), Ok(TimeSpan(250)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeSpan(pub u64);

/// A text is no such amount. The text of the error says what would be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoAmount(&'static str);

impl Display for NoAmount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for NoAmount {}

/// From the largest on.
const SIZES: [(&str, u64); 4] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
const TIMES: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1000), ("ms", 1)];

impl Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(self.0, &SIZES, f)
    }
}

impl FromStr for ByteSize {
    type Err = NoAmount;

    fn from_str(text: &str) -> Result<Self, NoAmount> {
        read(text, &SIZES).map(Self).ok_or(NoAmount("not an amount of bytes, such as 1048576 or 512MiB"))
    }
}

impl Display for TimeSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(self.0, &TIMES, f)
    }
}

impl FromStr for TimeSpan {
    type Err = NoAmount;

    fn from_str(text: &str) -> Result<Self, NoAmount> {
        read(text, &TIMES).map(Self).ok_or(NoAmount("not an amount of time, such as 60000, 90s, 10min or 1h"))
    }
}

fn show(amount: u64, units: &[(&str, u64)], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match units.iter().find(|(_, unit)| amount > 0 && amount.is_multiple_of(*unit)) {
        Some((name, unit)) => write!(f, "{}{name}", amount / unit),
        None => write!(f, "{amount}"),
    }
}

/// A number, and a unit if wanted; exact, or none.
fn read(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, name) = text.split_at_checked(digits)?;
    let name = name.trim_start();
    let unit = if name.is_empty() { 1 } else { units.iter().find(|(unit, _)| *unit == name)?.1 };
    let Some((whole, part)) = number.split_once('.') else {
        return number.parse::<u64>().ok()?.checked_mul(unit);
    };
    let (whole, tenths): (u64, u64) = (whole.parse().ok()?, part.parse().ok()?);
    let scale = 10_u64.checked_pow(u32::try_from(part.len()).ok()?)?;
    // What is left over would be half a byte, or less than a millisecond.
    let part = tenths.checked_mul(unit).filter(|part| part.is_multiple_of(scale))? / scale;
    whole.checked_mul(unit)?.checked_add(part)
}

#[cfg(test)]
mod tests {
    use super::{ByteSize, TimeSpan};

    #[test]
    fn what_is_shown_is_read_as_the_same() {
        for bytes in [0, 1, 1000, 1024, 1 << 20, 3 << 30, (1 << 20) + 1, 1 << 40, u64::MAX] {
            assert_eq!(ByteSize(bytes).to_string().parse(), Ok(ByteSize(bytes)));
        }
        for millis in [0, 1, 999, 1000, 61_000, 3_600_000, 86_400_000, u64::MAX] {
            assert_eq!(TimeSpan(millis).to_string().parse(), Ok(TimeSpan(millis)));
        }
    }

    #[test]
    fn a_part_of_a_unit_is_taken_where_it_is_exact() {
        assert_eq!("0.5KiB".parse(), Ok(ByteSize(512)));
        assert_eq!("2.25 MiB".parse(), Ok(ByteSize(2304 << 10)));
        assert_eq!("1.5s".parse(), Ok(TimeSpan(1500)));
        assert!("0.3KiB".parse::<ByteSize>().is_err(), "a third of a byte");
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "MiB",
            "-1",
            "1e6",
            "64MB",
            "64 M",
            "64mib",
            "1.",
            ".5KiB",
            "1.2.3KiB",
            "99999999TiB",
            "5min",
        ] {
            assert!(text.parse::<ByteSize>().is_err(), "{text:?}");
        }
        for text in ["", "5 minutes", "1m", "-5s", "1MiB", "9999999999999999d"] {
            assert!(text.parse::<TimeSpan>().is_err(), "{text:?}");
        }
    }
}
