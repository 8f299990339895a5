//! Limits that are the same for every runner and that nobody sets: the engine's own, and those of a single call.

use std::fmt;

use posemesh_text::ByteSize;

/// A limit without a setting. Like one with a setting it has one name, in errors and in `fail.details`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(clippy::enum_variant_names, reason = "the unit belongs to the name")]
pub(crate) enum FixedLimit {
    /// What one call may hand to the host: the largest chunk and some room.
    CallBytes,
    /// One set of headers or trailers, records included. Servers take 8 to 32 KiB on the wire.
    HeaderBytes,
    /// Random bytes that one call may ask for.
    RandomBytes,
    /// The stack that the engine gives to calls of functions. (Compilers keep a second one in the runner's memory.)
    StackBytes,
}

impl FixedLimit {
    /// All of them.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 4] =
        [Self::CallBytes, Self::HeaderBytes, Self::RandomBytes, Self::StackBytes];

    /// The name.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::CallBytes => "call_bytes",
            Self::HeaderBytes => "header_bytes",
            Self::RandomBytes => "random_bytes",
            Self::StackBytes => "stack_bytes",
        }
    }

    /// The value.
    pub(crate) const fn bytes(self) -> usize {
        match self {
            Self::CallBytes => 16 << 20,
            Self::HeaderBytes => 64 << 10,
            Self::RandomBytes | Self::StackBytes => 1 << 20,
        }
    }

    /// What helps a runner's author.
    const fn cure(self) -> &'static str {
        match self {
            Self::CallBytes => "pass less in one call",
            Self::HeaderBytes => "send fewer or shorter headers",
            Self::RandomBytes => "ask for less at once",
            Self::StackBytes => "recurse less deeply",
        }
    }
}

impl fmt::Display for FixedLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, bytes, cure) = (self.as_str(), ByteSize(self.bytes() as u64), self.cure());
        write!(
            f,
            "the runner reached its limit `{name}` of {bytes}, which is the same for every runner; {cure}"
        )
    }
}
