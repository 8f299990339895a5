//! The signed login text (EIP-4361) and its signature (EIP-191), as the servers read them: protocol 1.1
//! and 1.3. Written against the protocol, not against the node's own code, so that one checks the other.

use k256::ecdsa::{RecoveryId, Signature, VerifyingKey};
use sha3::{Digest, Keccak256};

/// A login text taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiweMessage {
    /// Who asks for the login: host and port.
    pub domain: String,
    /// The wallet, in lower case with `0x`.
    pub address: String,
    /// The sentence that is shown to people, if any.
    pub statement: Option<String>,
    /// `URI`.
    pub uri: String,
    /// `Version`.
    pub version: String,
    /// `Chain ID`.
    pub chain_id: i64,
    /// `Nonce`.
    pub nonce: String,
    /// `Issued At`, as it was written.
    pub issued_at: String,
    /// `Expiration Time`, if any.
    pub expiration_time: Option<String>,
    /// `Not Before`, if any.
    pub not_before: Option<String>,
    /// `Request ID`, if any.
    pub request_id: Option<String>,
    /// `Resources`.
    pub resources: Vec<String>,
}

/// Why a login text or its signature is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SiweError {
    /// The text is not of the form.
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
    /// Reads a login text. Both the form of the Auki services (one empty line when there is no
    /// statement) and that of the standard (two) are taken; CRLF counts as LF, and one LF may follow.
    ///
    /// # Errors
    /// [`SiweError::Message`] says which line is not as it should be.
    pub fn parse(text: &str) -> Result<Self, SiweError> {
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

        let mut values: [Option<String>; 8] = Default::default();
        let mut resources = Vec::new();
        while let Some(line) = lines.next() {
            if line == "Resources:" {
                for item in lines.by_ref() {
                    let item = item.strip_prefix("- ").ok_or_else(|| bad("a resource without its dash"))?;
                    resources.push(item.to_owned());
                }
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

/// Takes `0x` and 40 hexadecimal digits of any case; gives them in lower case.
pub(crate) fn parse_address(text: &str) -> Option<String> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))?;
    (digits.len() == 40 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
        .then(|| format!("0x{}", digits.to_ascii_lowercase()))
}

/// The EIP-191 digest of a text.
pub fn digest(message: &str) -> [u8; 32] {
    let mut hasher = Keccak256::new();
    hasher.update(b"\x19Ethereum Signed Message:\n");
    hasher.update(message.len().to_string());
    hasher.update(message);
    hasher.finalize().into()
}

/// The address of a public key, in lower case with `0x`.
pub fn address_of(key: &VerifyingKey) -> String {
    let point = key.to_encoded_point(false);
    // The leading 04 is not part of what is hashed.
    let hash = Keccak256::digest(point.as_bytes().get(1..).unwrap_or_default());
    format!("0x{}", hex::encode(hash.get(12..).unwrap_or_default()))
}

/// Who signed a text: the address, in lower case with `0x`. The last byte of the signature may be 27 or
/// 28, or 0 or 1.
///
/// # Errors
/// [`SiweError::Signature`] when it is not 65 bytes in hexadecimal or no key could have made it.
pub fn recover(message: &str, signature: &str) -> Result<String, SiweError> {
    let digits = signature.strip_prefix("0x").or_else(|| signature.strip_prefix("0X")).unwrap_or(signature);
    let bytes = hex::decode(digits).map_err(|_| SiweError::Signature("not hexadecimal"))?;
    let Some((v, rs)) = bytes.split_last().filter(|(_, rs)| rs.len() == 64) else {
        return Err(SiweError::Signature("not 65 bytes"));
    };
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
