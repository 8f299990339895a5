//! SHA-256 of bytes on their way. It is computed on a thread of its own while the next bytes come, so that the threads that
//! wait for the network only do that.

use std::future::pending;
use std::panic::resume_unwind;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::task::{JoinHandle, spawn_blocking};

/// How many bytes are worth handing over to a thread.
const STEP: usize = 128 << 10;

/// The digest of all bytes so far. At most one step of them is being worked on, and less than one more is held.
#[derive(Debug, Default)]
pub(crate) struct RunningDigest {
    sum: Sum,
    gathered: Vec<Bytes>,
    size: usize,
}

#[derive(Debug)]
enum Sum {
    Here(Sha256),
    /// A thread works on it.
    Away(JoinHandle<Sha256>),
}

impl Default for Sum {
    fn default() -> Self {
        Self::Here(Sha256::new())
    }
}

impl RunningDigest {
    /// Adds bytes. Waits while those before are worked on, if there are enough for another step.
    pub(crate) async fn add(&mut self, bytes: Bytes) {
        self.size += bytes.len();
        self.gathered.push(bytes);
        if self.size < STEP {
            return;
        }
        let mut sum = std::mem::take(self.settled().await);
        let gathered = std::mem::take(&mut self.gathered);
        self.size = 0;
        self.sum = Sum::Away(spawn_blocking(move || {
            gathered.iter().for_each(|bytes| sum.update(bytes));
            sum
        }));
    }

    /// The digest of all bytes that were added; more may follow.
    pub(crate) async fn value(&mut self) -> [u8; 32] {
        let gathered = std::mem::take(&mut self.gathered);
        self.size = 0;
        let sum = self.settled().await;
        gathered.iter().for_each(|bytes| sum.update(bytes));
        sum.clone().finalize().into()
    }

    /// The same in lower-case hex.
    pub(crate) async fn hex(&mut self) -> String {
        hex::encode(self.value().await)
    }

    /// The sum, when nobody works on it.
    async fn settled(&mut self) -> &mut Sha256 {
        if let Sum::Away(working) = &mut self.sum {
            let sum = match working.await {
                Ok(sum) => sum,
                Err(error) => match error.try_into_panic() {
                    Ok(panic) => resume_unwind(panic),
                    // The runtime ends, and drops whoever waits here.
                    Err(_) => pending().await,
                },
            };
            self.sum = Sum::Here(sum);
        }
        match &mut self.sum {
            Sum::Here(sum) => sum,
            Sum::Away(_) => pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_digest_is_that_of_all_bytes_whatever_their_pieces() {
        let bytes: Vec<u8> =
            (0..700_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let bytes = Bytes::from(bytes);
        for piece in [1000, STEP - 1, STEP, STEP + 1, 500_000, 700_000] {
            let mut digest = RunningDigest::default();
            let (mut rest, mut added) = (bytes.clone(), 0);
            while !rest.is_empty() {
                let next = rest.split_to(piece.min(rest.len()));
                added += next.len();
                digest.add(next).await;
                // In between as well.
                if added % 3 == 0 {
                    assert_eq!(digest.value().await[..], Sha256::digest(bytes.slice(..added))[..], "{piece}");
                }
            }
            assert_eq!(digest.hex().await, hex::encode(Sha256::digest(&bytes)), "{piece}");
            assert_eq!(digest.hex().await, hex::encode(Sha256::digest(&bytes)), "asked again");
        }
        assert_eq!(RunningDigest::default().hex().await, hex::encode(Sha256::digest(b"")));
    }
}
