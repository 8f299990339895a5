//! Amounts of bytes, as arguments and in tables.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context as _, anyhow};

const UNITS: [(&str, u32); 4] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];

/// An amount from the command line: read as `4GiB`, shown with the largest unit that divides it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size(pub(crate) u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = UNITS.iter().find(|(_, shift)| self.0 > 0 && self.0.is_multiple_of(1 << shift));
        match unit {
            Some((name, shift)) => write!(f, "{} {name}", self.0 >> shift),
            None => write!(f, "{} bytes", self.0),
        }
    }
}

impl FromStr for Size {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || anyhow!("not an amount of bytes, such as 1048576, 64MiB or 4GiB");
        let unit = UNITS.iter().find_map(|(name, shift)| Some((text.strip_suffix(name)?, 1_u64 << shift)));
        let (number, factor) = unit.unwrap_or((text, 1));
        let number: u64 = number.trim().parse().map_err(|_| wrong())?;
        number.checked_mul(factor).map(Self).with_context(wrong)
    }
}

/// Shows a measured amount with one decimal.
pub(crate) struct Mib(pub(crate) u64);

impl fmt::Display for Mib {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = (self.0 * 10 + (1 << 19)) >> 20;
        write!(f, "{}.{} MiB", tenths / 10, tenths % 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_written() {
        let read = |text: &str| text.parse::<Size>().ok();
        for (text, bytes, shown) in [
            ("4GiB", 4 << 30, "4 GiB"),
            ("64 MiB", 64 << 20, "64 MiB"),
            ("7", 7, "7 bytes"),
            ("0", 0, "0 bytes"),
        ] {
            assert_eq!((read(text), Size(bytes).to_string().as_str()), (Some(Size(bytes)), shown));
        }
        for text in ["", "GiB", "1.5GiB", "-1", "99999999999TiB", "4 gb"] {
            assert_eq!(read(text), None, "{text:?}");
        }
        assert_eq!(Mib(100 << 20).to_string(), "100.0 MiB");
        assert_eq!(Mib((1 << 20) + (1 << 19)).to_string(), "1.5 MiB");
    }
}
