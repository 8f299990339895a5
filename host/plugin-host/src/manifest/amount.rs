//! How an amount is written in `NAME.toml`: a number, or a text with a unit.

use std::fmt;

use posemesh_text::{ByteSize, TimeSpan, one_line};
use serde::de::{self, DeserializeSeed, Deserializer, Visitor};

/// How much of a text that is no amount is shown, in bytes.
const MAX_SHOWN: usize = 80;

/// How a limit is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitUnit {
    /// Bytes, with units such as `MiB`.
    Bytes,
    /// Milliseconds, with units such as `min`.
    Millis,
    /// A whole number.
    Number,
}

/// Reads whole seconds: a number, or a text such as `10min`.
pub(crate) fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    deserializer.deserialize_any(Seconds)
}

/// Reads an amount in this unit.
pub(crate) struct AmountOf(pub(crate) LimitUnit);

impl<'de> DeserializeSeed<'de> for AmountOf {
    type Value = u64;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<u64, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for AmountOf {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            LimitUnit::Bytes => "an amount of bytes, such as 1048576 or \"512MiB\"",
            LimitUnit::Millis => "milliseconds, or an amount of time such as \"10min\"",
            LimitUnit::Number => "a whole number",
        })
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<u64, E> {
        Ok(number)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<u64, E> {
        u64::try_from(number).map_err(|_| E::invalid_value(de::Unexpected::Signed(number), &self))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<u64, E> {
        let amount = match self.0 {
            LimitUnit::Bytes => text.parse().ok().map(|ByteSize(bytes)| bytes),
            LimitUnit::Millis => text.parse().ok().map(|TimeSpan(millis)| millis),
            LimitUnit::Number => None,
        };
        amount.ok_or_else(|| E::invalid_value(de::Unexpected::Str(&one_line(text, MAX_SHOWN)), &self))
    }
}

struct Seconds;

impl Visitor<'_> for Seconds {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("seconds, or an amount of whole seconds such as \"10min\"")
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<u64, E> {
        Ok(number)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<u64, E> {
        u64::try_from(number).map_err(|_| E::invalid_value(de::Unexpected::Signed(number), &self))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<u64, E> {
        let seconds = text.parse().ok().and_then(|TimeSpan(ms)| ms.is_multiple_of(1000).then_some(ms / 1000));
        seconds.ok_or_else(|| E::invalid_value(de::Unexpected::Str(&one_line(text, MAX_SHOWN)), &self))
    }
}
