#![allow(clippy::unwrap_used)]

use super::*;

const ADDRESS_A: &str = "0xfdbb6caf01414300c16ea14859fec7736d95355f";
const ADDRESS_B: &str = "0x1a642f0e3c3af545e7acbd38b07251b3990914f1";
const SIGNATURE_A1: &str = "0x390786f1c4840ec337aef7c4a6d15bba128cc308e2f32f4528e2f8dd44f61f354a68a45bcf7d39eb724346a02f6eefebd8a39e20ebf68435bfe026ed47b1e5171b";
const SIGNATURE_B1: &str = "0xf428b56cf6ec74e0914d7da5219179dfaa1ff0c01128c733309508c6e53914fb0b067773617a6540d11b0bd55afc44a01e1ee8a6fa826c8dd1512f78289c5a991b";
const SIGNATURE_B2: &str = "0x73a1d85204f9011103f96af62eb58acbf2bdd274996d234bc1146916c07fe1556d7fbf75fdbd627ccb72035818b6d06fed52279429287d9ccec5fe1d571b8f311b";

fn a1() -> String {
    format!(
        "example.com wants you to sign in with your Ethereum account:\n{ADDRESS_A}\n\n\
         URI: https://example.com\nVersion: 1\nChain ID: 1\nNonce: abc123\nIssued At: 2024-05-01T00:00:00Z"
    )
}

fn b1() -> String {
    format!(
        "127.0.0.1:18080 wants you to sign in with your Ethereum account:\n{ADDRESS_B}\n\n\
         URI: http://127.0.0.1:18080\nVersion: 1\nChain ID: 8453\nNonce: n0nce12345678901\n\
         Issued At: 2026-01-02T03:04:05Z"
    )
}

fn b2() -> String {
    b1() + "\nResources:\n- urn:a\n- urn:b"
}

#[test]
fn the_vectors_of_the_protocol_recover_their_signers() {
    assert_eq!((b1().len(), b2().len()), (218, 245));
    assert_eq!(
        hex::encode(digest(&b1())),
        "013173dfbe62367993acad016ee65aa2553e315ca8b9a8ffdb80b1765fff9d1b"
    );
    assert_eq!(
        hex::encode(digest(&b2())),
        "2eb5ad8783ede36018bcf2e17a1ce4e42832728fa081c452181f377d9384c259"
    );
    for (message, signature, address) in
        [(a1(), SIGNATURE_A1, ADDRESS_A), (b1(), SIGNATURE_B1, ADDRESS_B), (b2(), SIGNATURE_B2, ADDRESS_B)]
    {
        assert_eq!(recover(&message, signature).as_deref(), Ok(address));
        assert_eq!(SiweMessage::parse(&message).unwrap().address, address);
    }
}

#[test]
fn signatures_are_accepted_in_any_hexadecimal_case_and_with_either_recovery_byte() {
    let zero_based = SIGNATURE_B1.strip_suffix("1b").unwrap().to_owned() + "00";
    for signature in
        [SIGNATURE_B1.to_ascii_uppercase(), SIGNATURE_B1.strip_prefix("0x").unwrap().to_owned(), zero_based]
    {
        assert_eq!(recover(&b1(), &signature).as_deref(), Ok(ADDRESS_B), "{signature}");
    }
}

#[test]
fn a_changed_text_or_signature_does_not_give_the_signer() {
    assert_ne!(recover(&b2(), SIGNATURE_B1).as_deref(), Ok(ADDRESS_B));
    assert_eq!(recover(&b1(), "0xzz"), Err(SiweError::Signature("not hexadecimal")));
    assert_eq!(recover(&b1(), "0x00"), Err(SiweError::Signature("not 65 bytes")));
    let odd = SIGNATURE_B1.strip_suffix("1b").unwrap().to_owned() + "1d";
    assert!(recover(&b1(), &odd).is_err());
}

#[test]
fn the_fields_of_a_text_are_read() {
    let message = SiweMessage::parse(&b2()).unwrap();
    assert_eq!(message.domain, "127.0.0.1:18080");
    assert_eq!(message.uri, "http://127.0.0.1:18080");
    assert_eq!((message.version.as_str(), message.chain_id), ("1", 8453));
    assert_eq!(message.nonce, "n0nce12345678901");
    assert_eq!(message.issued_at, "2026-01-02T03:04:05Z");
    assert_eq!(message.statement, None);
    assert_eq!(message.resources, ["urn:a", "urn:b"]);
}

#[test]
fn the_forms_of_the_standard_are_accepted_too() {
    let want = SiweMessage::parse(&b1()).unwrap();
    let two_empty_lines = b1().replace("\n\nURI", "\n\n\nURI");
    let crlf = b1().replace('\n', "\r\n");
    let trailing = b1() + "\n";
    let checksummed = b1().replace(ADDRESS_B, "0x1A642f0E3c3aF545E7AcBD38b07251B3990914F1");
    for text in [two_empty_lines, crlf, trailing, checksummed] {
        assert_eq!(SiweMessage::parse(&text).as_ref(), Ok(&want), "{text}");
    }
    let with_statement = b1().replace("\n\nURI", "\n\nSign in, please.\n\nURI");
    assert_eq!(SiweMessage::parse(&with_statement).unwrap().statement.as_deref(), Some("Sign in, please."));
}

#[test]
fn a_malformed_text_is_refused_with_the_line_at_fault() {
    for (text, reason) in [
        (String::new(), "fewer than 6 lines"),
        (b1().replace("wants you", "wants"), "first line"),
        (b1().replace(ADDRESS_B, "0x12"), "not an address"),
        (b1().replace("\n\nURI", "\nURI"), "third line"),
        (b1().replace("Nonce: n0nce12345678901\n", ""), "no Nonce"),
        (b1().replace("Chain ID: 8453", "Chain ID: x"), "not a number"),
        (b1() + "\nNonce: other", "twice"),
        (b1() + "\nColour: red", "unknown field"),
        (b2() + "\nurn:c", "dash"),
    ] {
        let error = SiweMessage::parse(&text).unwrap_err().to_string();
        assert!(error.contains(reason), "wanted {reason:?}, got {error:?}");
    }
}
