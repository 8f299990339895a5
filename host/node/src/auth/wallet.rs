//! The node's wallet: a secp256k1 key, its address, and EIP-191 signatures (protocol 1.1).

use std::fmt;

use k256::ecdsa::SigningKey;
use k256::elliptic_curve::rand_core::OsRng;
use sha3::{Digest, Keccak256};
use zeroize::Zeroizing;

use posemesh_net::secret::Secret;

/// Why a text is no private key. Quotes nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not 64 hex digits.
    #[error("not a private key; allowed: 64 hex digits, with or without 0x before them")]
    Format,
    /// Zero, or above the order of the curve.
    #[error("not a private key: the number is outside of secp256k1's range; generate another one")]
    Range,
}

/// A key pair. Its memory is wiped when it is dropped, and `Debug` shows the address only.
///
/// ```
/// use posemesh_node_core::auth::wallet::Wallet;
///
/// let wallet = Wallet::parse("4c0883a69102937d6231471b5dbb6204fe5129617082798ce3f4fdf2548b6f90")?;
/// assert_eq!(wallet.address(), "0xfdbb6caf01414300c16ea14859fec7736d95355f");
/// assert!(!format!("{wallet:?}").contains("4c0883a6"), "the key does not print");
/// # Ok::<(), posemesh_node_core::auth::wallet::KeyError>(())
/// ```
pub struct Wallet {
    key: SigningKey,
    address: String,
}

impl Wallet {
    /// Reads a private key: 64 hex digits, with or without `0x`; whitespace around it is ignored.
    ///
    /// # Errors
    /// When the text is no private key.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        // Decoded into memory that is wiped: an ordinary buffer would leave the key behind.
        let mut bytes = Zeroizing::new([0_u8; 32]);
        hex::decode_to_slice(text.strip_prefix("0x").unwrap_or(text), bytes.as_mut())
            .map_err(|_| KeyError::Format)?;
        SigningKey::from_slice(bytes.as_ref()).map(Self::new).map_err(|_| KeyError::Range)
    }

    /// A new wallet, from the random numbers of the operating system.
    pub fn generate() -> Self {
        Self::new(SigningKey::random(&mut OsRng))
    }

    fn new(key: SigningKey) -> Self {
        let point = key.verifying_key().to_encoded_point(false);
        // Without the leading 04 that marks an uncompressed point.
        let hash = Keccak256::digest(point.as_bytes().get(1..).unwrap_or_default());
        // An Ethereum address is the last 20 bytes of this hash.
        let address = format!("0x{}", hex::encode(hash.get(12..).unwrap_or_default()));
        Self { key, address }
    }

    /// The address in lower case with `0x`, as it stands in requests and messages.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The private key as `SECP256K1_PRIVHEX` takes it.
    pub fn private_hex(&self) -> Secret {
        let bytes = Zeroizing::new(<[u8; 32]>::from(self.key.to_bytes()));
        Secret::new(hex::encode(bytes.as_ref()))
    }

    /// The first 16 hex digits of the public key, for logs.
    pub(crate) fn public_key_prefix(&self) -> String {
        let point = self.key.verifying_key().to_encoded_point(false);
        hex::encode(point.as_bytes().get(..8).unwrap_or_default())
    }

    /// Signs a text (personal_sign): r, s and v (27 or 28) as 130 hex digits after `0x`.
    ///
    /// # Errors
    /// Never in practice: the curve would have to yield a zero.
    pub(crate) fn sign(&self, message: &str) -> Result<String, k256::ecdsa::Error> {
        let (signature, recovery) = self.key.sign_prehash_recoverable(&eip191_digest(message))?;
        // Ethereum's personal_sign counts recovery ids from 27.
        Ok(format!("0x{}{:02x}", hex::encode(signature.to_bytes()), 27 + recovery.to_byte()))
    }
}

impl fmt::Debug for Wallet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wallet").field("address", &self.address).finish_non_exhaustive()
    }
}

/// What is signed in place of a text: its Keccak-256 with the EIP-191 prefix and its length in bytes.
pub(crate) fn eip191_digest(message: &str) -> [u8; 32] {
    let mut hash = Keccak256::new_with_prefix(b"\x19Ethereum Signed Message:\n");
    hash.update(message.len().to_string());
    hash.update(message);
    hash.finalize().into()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const KEY_A: &str = "4c0883a69102937d6231471b5dbb6204fe5129617082798ce3f4fdf2548b6f90";

    #[test]
    fn addresses_are_those_of_the_protocol() {
        assert_eq!(Wallet::parse(KEY_A).unwrap().address(), "0xfdbb6caf01414300c16ea14859fec7736d95355f");
        let key_b = Wallet::parse(&"01".repeat(32)).unwrap();
        assert_eq!(key_b.address(), "0x1a642f0e3c3af545e7acbd38b07251b3990914f1");
    }

    #[test]
    fn keys_are_read_strictly() {
        for good in [KEY_A.to_owned(), format!(" 0x{KEY_A}\n"), KEY_A.to_uppercase()] {
            assert!(Wallet::parse(&good).is_ok());
        }
        for bad in ["", "0x", "12", &format!("0X{KEY_A}"), &format!("0x0x{KEY_A}"), &KEY_A.replace('4', "g")]
        {
            assert_eq!(Wallet::parse(bad).unwrap_err(), KeyError::Format, "{bad}");
        }
        for bad in ["00".repeat(32), "ff".repeat(32)] {
            assert_eq!(Wallet::parse(&bad).unwrap_err(), KeyError::Range);
        }
    }

    #[test]
    fn a_generated_wallet_can_be_written_down_and_does_not_print_its_key() {
        let wallet = Wallet::generate();
        let hex = wallet.private_hex();
        assert_eq!(Wallet::parse(hex.expose()).unwrap().address(), wallet.address());
        assert!(!format!("{wallet:?}").contains(hex.expose()));
        assert_eq!(wallet.public_key_prefix().len(), 16);
    }
}
