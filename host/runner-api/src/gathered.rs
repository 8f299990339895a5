//! Bytes that are gathered as they come.

use bytes::{Bytes, BytesMut};

/// Fewer bytes are copied: to keep them as they came would take more memory than they are.
const SMALL: usize = 16 << 10;

/// Bytes in pieces. What is kept takes no more than a few times its bytes in memory, however small the pieces were.
#[derive(Debug, Default)]
pub struct Gathered {
    pieces: Vec<Bytes>,
    /// What follows them.
    small: BytesMut,
    size: usize,
}

impl Gathered {
    /// Appends bytes.
    pub fn push(&mut self, bytes: Bytes) {
        self.size += bytes.len();
        if bytes.len() < SMALL {
            self.small.extend_from_slice(&bytes);
            return;
        }
        self.end_small();
        self.pieces.push(bytes);
    }

    /// How many bytes there are.
    pub fn size(&self) -> usize {
        self.size
    }

    /// All bytes, in their order; none are left.
    pub fn take(&mut self) -> Vec<Bytes> {
        self.end_small();
        self.size = 0;
        std::mem::take(&mut self.pieces)
    }

    fn end_small(&mut self) {
        if !self.small.is_empty() {
            self.pieces.push(std::mem::take(&mut self.small).freeze());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_keep_their_order_and_small_ones_are_joined() {
        let mut gathered = Gathered::default();
        let mut expected = Vec::new();
        for size in [1, 0, SMALL - 1, SMALL, 3, SMALL + 5, 7, 7] {
            let bytes = vec![u8::try_from(expected.len() % 251).unwrap_or_default(); size];
            expected.extend_from_slice(&bytes);
            gathered.push(bytes.into());
        }
        assert_eq!(gathered.size(), expected.len());
        let pieces = gathered.take();
        assert_eq!(pieces.len(), 5, "two were large enough to be kept as they came");
        assert_eq!(pieces.concat(), expected);
        assert!(gathered.size() == 0 && gathered.take().is_empty());
        for _ in 0..100_000 {
            gathered.push(Bytes::new());
        }
        assert!(gathered.take().is_empty());
    }
}
