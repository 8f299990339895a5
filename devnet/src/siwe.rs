//! The signed login text (EIP-4361) and its signature (EIP-191), as the servers read them (protocol 1.1,
//! 1.3). Written against the protocol and not with the node's code or library, so that one checks the other.

use k256::ecdsa::{RecoveryId, Signature, VerifyingKey};
use sha3::{Digest, Keccak256};

/// The fields of a login text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SiweMessage {
    /// Host and port of the server that asks for the login.
    pub(crate) domain: String,
    /// Wallet, in lower case with `0x`.
    pub(crate) address: String,
    /// Sentence for people to read, if any.
    pub(crate) statement: Option<String>,
    pub(crate) uri: String,
    pub(crate) version: String,
    pub(crate) chain_id: i64,
    pub(crate) nonce: String,
    /// Not parsed: it must equal the text that came with the nonce.
    pub(crate) issued_at: String,
    pub(crate) expiration_time: Option<String>,
    pub(crate) not_before: Option<String>,
    pub(crate) request_id: Option<String>,
    pub(crate) resources: Vec<String>,
}

/// Why a login text or its signature is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SiweError {
    /// The text does not have the form of protocol 1.3.
    #[error("invalid message: {0}")]
    Message(String),
    /// The signature is not 65 hexadecimal bytes that give a key.
    #[error("invalid signature: {0}")]
    Signature(&'static str),
}

const HEADER: &str = " wants you to sign in with your Ethereum account:";
const FIELDS: [&str; 8] =
    ["URI", "Version", "Chain ID", "Nonce", "Issued At", "Expiration Time", "Not Before", "Request ID"];

fn bad(reason: impl Into<String>) -> SiweError {
    SiweError::Message(reason.into())
}

fn is_field(line: &str) -> bool {
    line == "Resources:" || line.split_once(": ").is_some_and(|(name, _)| FIELDS.contains(&name))
}

impl SiweMessage {
    /// Reads a login text. Without a statement the Auki services send one empty line where the standard has
    /// two; both are accepted. CRLF counts as LF, and one trailing LF is accepted.
    pub(crate) fn parse(text: &str) -> Result<Self, SiweError> {
        // Only for parsing: the signature is over the bytes as sent.
        let text = text.replace("\r\n", "\n");
        let text = text.strip_suffix('\n').unwrap_or(&text);
        let mut lines = text.split('\n').peekable();
        if lines.clone().count() < 6 {
            return Err(bad("fewer than 6 lines"));
        }
        let domain = lines.next().and_then(|line| line.strip_suffix(HEADER)).unwrap_or_default();
        if domain.is_empty() {
            return Err(bad("the first line does not name who asks"));
        }
        let address = parse_address(lines.next().unwrap_or_default())
            .ok_or_else(|| bad("the second line is not an address"))?;
        if lines.next() != Some("") {
            return Err(bad("the third line is not empty"));
        }
        let mut statement = Vec::new();
        while let Some(line) = lines.next_if(|line| !is_field(line)) {
            statement.push(line);
        }
        let statement = statement.join("\n");

        // In the order of `FIELDS`.
        let mut values: [Option<String>; 8] = Default::default();
        let mut resources = Vec::new();
        while let Some(line) = lines.next() {
            if line == "Resources:" {
                for item in lines.by_ref() {
                    let item = item.strip_prefix("- ").ok_or_else(|| bad("a resource without its dash"))?;
                    resources.push(item.to_owned());
                }
                // Resources are always the last field.
                break;
            }
            let (name, value) = line.split_once(": ").ok_or_else(|| bad(format!("no field: {line:?}")))?;
            let slot = FIELDS.iter().position(|field| *field == name);
            let slot = slot.and_then(|slot| values.get_mut(slot));
            let slot = slot.ok_or_else(|| bad(format!("unknown field {name:?}")))?;
            if slot.replace(value.to_owned()).is_some() {
                return Err(bad(format!("{name} is there twice")));
            }
        }
        let [uri, version, chain_id, nonce, issued_at, expiration_time, not_before, request_id] = values;
        let need = |name: &str, value: Option<String>| {
            value.filter(|value| !value.is_empty()).ok_or_else(|| bad(format!("no {name}")))
        };
        Ok(Self {
            domain: domain.to_owned(),
            address,
            statement: Some(statement.trim().to_owned()).filter(|text| !text.is_empty()),
            uri: need("URI", uri)?,
            version: need("Version", version)?,
            chain_id: need("Chain ID", chain_id)?.parse().map_err(|_| bad("Chain ID is not a number"))?,
            nonce: need("Nonce", nonce)?,
            issued_at: need("Issued At", issued_at)?,
            expiration_time,
            not_before,
            request_id,
            resources,
        })
    }
}

/// Reads `0x` and 40 hexadecimal digits of any case; returns them in lower case.
pub(crate) fn parse_address(text: &str) -> Option<String> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))?;
    (digits.len() == 40 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
        .then(|| format!("0x{}", digits.to_ascii_lowercase()))
}

/// The EIP-191 digest of a text: what a wallet signs.
fn digest(message: &str) -> [u8; 32] {
    let mut hasher = Keccak256::new();
    hasher.update(b"\x19Ethereum Signed Message:\n");
    hasher.update(message.len().to_string());
    hasher.update(message);
    hasher.finalize().into()
}

/// The address of a public key, in lower case with `0x`.
fn address_of(key: &VerifyingKey) -> String {
    let point = key.to_encoded_point(false);
    // The first byte, 04, marks an uncompressed point and is not hashed.
    let hash = Keccak256::digest(point.as_bytes().get(1..).unwrap_or_default());
    format!("0x{}", hex::encode(hash.get(12..).unwrap_or_default()))
}

/// The address of the key that signed a text, in lower case with `0x`.
pub(crate) fn recover(message: &str, signature: &str) -> Result<String, SiweError> {
    let digits = signature.strip_prefix("0x").or_else(|| signature.strip_prefix("0X")).unwrap_or(signature);
    let bytes = hex::decode(digits).map_err(|_| SiweError::Signature("not hexadecimal"))?;
    let Some((v, rs)) = bytes.split_last().filter(|(_, rs)| rs.len() == 64) else {
        return Err(SiweError::Signature("not 65 bytes"));
    };
    // Ethereum adds 27 to the parity of the point; some libraries do not.
    let odd = match v {
        0 | 27 => false,
        1 | 28 => true,
        _ => return Err(SiweError::Signature("the last byte is none of 0, 1, 27, 28")),
    };
    let parsed = Signature::from_slice(rs).map_err(|_| SiweError::Signature("not a point of the curve"))?;
    let key = VerifyingKey::recover_from_prehash(&digest(message), &parsed, RecoveryId::new(odd, false))
        .map_err(|_| SiweError::Signature("no key could have made it"))?;
    Ok(address_of(&key))
}

#[cfg(test)]
mod tests;
