//! Amounts of bytes as people write them.

use std::fmt::{self, Display};
use std::str::FromStr;

/// Bytes, written with the largest unit that divides them.
pub(super) struct ByteSize(pub(super) u64);

const UNITS: [(&str, u32); 4] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];

impl Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = UNITS.iter().find(|(_, shift)| self.0 > 0 && self.0.is_multiple_of(1 << shift));
        match unit {
            Some((name, shift)) => write!(f, "{}{name}", self.0 >> shift),
            None => write!(f, "{}", self.0),
        }
    }
}

impl FromStr for ByteSize {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let unit = UNITS.iter().find_map(|(name, shift)| Some((text.strip_suffix(name)?, 1_u64 << shift)));
        let (number, factor) = unit.unwrap_or((text, 1));
        let number: u64 = number.trim().parse().map_err(|_| ())?;
        number.checked_mul(factor).map(Self).ok_or(())
    }
}
