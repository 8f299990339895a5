//! SHA-256 of bytes on their way. It is computed on a thread of its own while the next bytes come, so that the threads that
//! wait for the network only do that.

use bytes::Bytes;
use posemesh_runner_api::beside::{Begun, begin};
use posemesh_runner_api::gathered::Gathered;
use sha2::{Digest as _, Sha256};

use crate::api::error::DomainError;

/// How many bytes are worth handing over to a thread; what is handed over ends with a whole piece.
const STEP: usize = 128 << 10;

/// The digest of all bytes so far. At most one step of them is being worked on, and not more is held than makes the next.
#[derive(Debug, Default)]
pub(crate) struct RunningDigest {
    sum: Sum,
    gathered: Gathered,
}

#[derive(Debug)]
enum Sum {
    Known(Sha256),
    Begun(Begun<Sha256>),
}

impl Default for Sum {
    fn default() -> Self {
        Self::Known(Sha256::new())
    }
}

impl RunningDigest {
    /// Adds bytes. Waits while those before are worked on, if there are enough for another step.
    ///
    /// # Errors
    /// [`DomainError::Cancelled`] when a digest can't be computed, which nothing does; so for the others.
    pub(crate) async fn add(&mut self, bytes: Bytes) -> Result<(), DomainError> {
        self.gathered.push(bytes);
        if self.gathered.size() < STEP {
            return Ok(());
        }
        let mut sum = std::mem::take(self.known().await?);
        let gathered = self.gathered.take();
        self.sum = Sum::Begun(begin(move || {
            gathered.iter().for_each(|bytes| sum.update(bytes));
            sum
        }));
        Ok(())
    }

    /// The digest of all bytes that were added; more may follow.
    pub(crate) async fn value(&mut self) -> Result<[u8; 32], DomainError> {
        self.known().await?;
        let gathered = self.gathered.take();
        let sum = self.known().await?;
        gathered.iter().for_each(|bytes| sum.update(bytes));
        Ok(sum.clone().finalize().into())
    }

    /// The same in lower-case hex.
    pub(crate) async fn hex(&mut self) -> Result<String, DomainError> {
        self.value().await.map(hex::encode)
    }

    /// The sum, when nobody works on it.
    async fn known(&mut self) -> Result<&mut Sha256, DomainError> {
        if let Sum::Begun(begun) = &mut self.sum {
            self.sum = Sum::Known(begun.done().await.ok_or(DomainError::Cancelled)?);
        }
        match &mut self.sum {
            Sum::Known(sum) => Ok(sum),
            Sum::Begun(_) => Err(DomainError::Cancelled),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_digest_is_that_of_all_bytes_whatever_their_pieces() -> Result<(), DomainError> {
        let bytes: Vec<u8> =
            (0..700_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let bytes = Bytes::from(bytes);
        for piece in [1000, STEP - 1, STEP, STEP + 1, 500_000, 700_000] {
            let mut digest = RunningDigest::default();
            let (mut rest, mut added) = (bytes.clone(), 0);
            while !rest.is_empty() {
                let next = rest.split_to(piece.min(rest.len()));
                added += next.len();
                digest.add(next).await?;
                // In between as well.
                if added % 3 == 0 {
                    assert_eq!(
                        digest.value().await?[..],
                        Sha256::digest(bytes.slice(..added))[..],
                        "{piece}"
                    );
                }
            }
            assert_eq!(digest.hex().await?, hex::encode(Sha256::digest(&bytes)), "{piece}");
            assert_eq!(digest.hex().await?, hex::encode(Sha256::digest(&bytes)), "asked again");
        }
        assert_eq!(RunningDigest::default().hex().await?, hex::encode(Sha256::digest(b"")));
        Ok(())
    }
}
