#![allow(clippy::unwrap_used)]

use time::macros::datetime;

use super::*;
use crate::auth::wallet::eip191_digest;

const NOW: OffsetDateTime = datetime!(2026-01-02 03:04:00 UTC);

fn wallet_b() -> Wallet {
    Wallet::parse(&"01".repeat(32)).unwrap()
}

fn b1() -> Challenge {
    Challenge {
        domain: "127.0.0.1:18080".into(),
        uri: "http://127.0.0.1:18080".into(),
        version: "1".into(),
        chain_id: 8453,
        nonce: "n0nce12345678901".into(),
        issued_at: "2026-01-02T03:04:05Z".into(),
    }
}

fn policy(base: &str) -> SignPolicy {
    SignPolicy::new(&Url::parse(base).unwrap(), &SigningSettings::default())
}

#[test]
fn message_b1_has_the_bytes_digest_and_signature_of_the_protocol() {
    let text = compose(&b1(), &wallet_b(), &[], SiweFormat::Compact).unwrap();
    assert_eq!(text.len(), 218);
    let digest = "013173dfbe62367993acad016ee65aa2553e315ca8b9a8ffdb80b1765fff9d1b";
    assert_eq!(hex::encode(eip191_digest(&text)), digest);
    assert_eq!(
        wallet_b().sign(&text).unwrap(),
        "0xf428b56cf6ec74e0914d7da5219179dfaa1ff0c01128c733309508c6e53914fb\
         0b067773617a6540d11b0bd55afc44a01e1ee8a6fa826c8dd1512f78289c5a991b"
    );
}

#[test]
fn message_b2_with_resources_has_the_bytes_digest_and_signature_of_the_protocol() {
    let text = compose(&b1(), &wallet_b(), &["urn:a", "urn:b"], SiweFormat::Compact).unwrap();
    assert_eq!(text.len(), 245);
    let digest = "2eb5ad8783ede36018bcf2e17a1ce4e42832728fa081c452181f377d9384c259";
    assert_eq!(hex::encode(eip191_digest(&text)), digest);
    assert_eq!(
        wallet_b().sign(&text).unwrap(),
        "0x73a1d85204f9011103f96af62eb58acbf2bdd274996d234bc1146916c07fe155\
         6d7fbf75fdbd627ccb72035818b6d06fed52279429287d9ccec5fe1d571b8f311b"
    );
}

#[test]
fn message_a1_has_the_signature_of_the_protocol() {
    let key_a = "4c0883a69102937d6231471b5dbb6204fe5129617082798ce3f4fdf2548b6f90";
    let wallet = Wallet::parse(key_a).unwrap();
    let challenge = Challenge {
        domain: "example.com".into(),
        uri: "https://example.com".into(),
        version: "1".into(),
        chain_id: 1,
        nonce: "abc123".into(),
        issued_at: "2024-05-01T00:00:00Z".into(),
    };
    let text = compose(&challenge, &wallet, &[], SiweFormat::Compact).unwrap();
    assert_eq!(
        wallet.sign(&text).unwrap(),
        "0x390786f1c4840ec337aef7c4a6d15bba128cc308e2f32f4528e2f8dd44f61f35\
         4a68a45bcf7d39eb724346a02f6eefebd8a39e20ebf68435bfe026ed47b1e5171b"
    );
    let refusal = policy("https://example.com").check(&challenge, NOW).unwrap_err();
    assert!(refusal.to_string().contains("nonce is `abc123`, expected 8"), "{refusal}");
}

#[test]
fn the_standard_layout_is_what_the_siwe_library_reads_and_verifies() {
    let text = compose(&b1(), &wallet_b(), &[], SiweFormat::Eip4361).unwrap();
    let message: Message = text.parse().unwrap();
    let mut signature = [0_u8; 65];
    hex::decode_to_slice(wallet_b().sign(&text).unwrap().trim_start_matches("0x"), &mut signature).unwrap();
    message.verify_eip191(&signature).unwrap();
}

#[test]
fn this_dds_may_ask_and_the_skew_is_told() {
    for (base, domain, uri) in [
        ("http://127.0.0.1:18080", "127.0.0.1:18080", "http://127.0.0.1:18080/"),
        ("https://dds.auki.network/", "dds.auki.network", "https://dds.auki.network"),
        ("https://dds.auki.network", "DDS.auki.network:443", "https://dds.auki.network:443"),
        ("https://h/dds/", "h", "https://h/dds"),
    ] {
        let challenge = Challenge { domain: domain.into(), uri: uri.into(), ..b1() };
        assert_eq!(policy(base).check(&challenge, NOW), Ok(Duration::seconds(5)), "{base} {domain} {uri}");
    }
}

#[test]
fn a_dds_behind_another_name_may_ask_by_the_name_that_was_set_and_by_no_other() {
    let name = "dds.auki.network";
    let uri = "https://dds.auki.network";
    let settings = |domain: Option<&str>, uri: Option<&str>| SigningSettings {
        domain: domain.map(str::to_owned),
        uri: uri.map(|uri| Url::parse(uri).unwrap()),
        ..SigningSettings::default()
    };
    let tunnel = Url::parse("http://127.0.0.1:18080").unwrap();
    for set in [settings(Some(name), Some(uri)), settings(Some(name), None), settings(None, Some(uri))] {
        let policy = SignPolicy::new(&tunnel, &set);
        let own = Challenge { domain: "DDS.auki.network".into(), uri: format!("{uri}/"), ..b1() };
        assert_eq!(policy.check(&own, NOW), Ok(Duration::seconds(5)), "{set:?}");
        let refusal = policy.check(&b1(), NOW).unwrap_err().to_string();
        assert!(refusal.contains("expected `dds.auki.network` of SIWE_"), "{refusal}");
        for (domain, uri) in
            [(name, "http://127.0.0.1:18080"), (name, "https://evil.example"), ("evil.example", uri)]
        {
            let other = Challenge { domain: domain.into(), uri: uri.into(), ..b1() };
            policy.check(&other, NOW).unwrap_err();
        }
    }
    let both = SignPolicy::new(&tunnel, &settings(Some("dds"), Some("https://other.example/dds/")));
    let asked = Challenge { domain: "dds".into(), uri: "https://other.example:443/dds".into(), ..b1() };
    both.check(&asked, NOW).unwrap();
    let unset = policy("http://127.0.0.1:18080");
    let refusal = unset.check(&asked, NOW).unwrap_err().to_string();
    assert!(refusal.contains("SIWE_DOMAIN and SIWE_URI are for"), "the cure is named: {refusal}");
}

#[test]
fn nonces_of_every_length_that_eip_4361_allows_are_signed() {
    for nonce in ["aB3dE6g8".to_owned(), "0".repeat(32), "Zz9".repeat(100)] {
        let challenge = Challenge { nonce: nonce.clone(), ..b1() };
        policy("http://127.0.0.1:18080").check(&challenge, NOW).unwrap();
        for format in [SiweFormat::Compact, SiweFormat::Eip4361] {
            let text = compose(&challenge, &wallet_b(), &[], format).unwrap();
            assert!(text.contains(&format!("\nNonce: {nonce}\n")), "{text}");
        }
    }
}

#[test]
fn nothing_else_is_signed() {
    type Change = fn(&mut Challenge);
    let changes: [(&str, Change); 20] = [
        ("domain", |c| c.domain = "evil.example".into()),
        ("domain", |c| c.domain = "127.0.0.1".into()),
        ("domain", |c| c.domain = "127.0.0.1:18080\nURI: x".into()),
        ("uri", |c| c.uri = "https://127.0.0.1:18080".into()),
        ("uri", |c| c.uri = "http://127.0.0.1:18080/other".into()),
        ("uri", |c| c.uri = "http://127.0.0.1:18080?x".into()),
        ("uri", |c| c.uri = "http://u@127.0.0.1:18080".into()),
        ("uri", |c| c.uri = "http:\\\\127.0.0.1:18080".into()),
        ("uri", |c| c.uri = "http://127.0.0.1:18080\u{85}".into()),
        ("version", |c| c.version = "2".into()),
        ("version", |c| c.version = "1\nChain ID: 1".into()),
        ("chainId", |c| c.chain_id = 0),
        ("chainId", |c| c.chain_id = -1),
        ("nonce", |c| c.nonce = "short12".into()),
        ("nonce", |c| c.nonce = "n0nce-12345678".into()),
        ("nonce", |c| c.nonce = "x".repeat(4097)),
        ("issuedAt", |c| c.issued_at = "yesterday".into()),
        ("issuedAt", |c| c.issued_at = "2026-01-04T03:04:06Z".into()),
        ("issuedAt", |c| c.issued_at = "2025-12-31T03:04:04Z".into()),
        ("issuedAt", |c| c.issued_at = "2026-01-02T03:04:05Z\nResources:".into()),
    ];
    for (field, change) in changes {
        let mut challenge = b1();
        change(&mut challenge);
        let refusal = policy("http://127.0.0.1:18080").check(&challenge, NOW).unwrap_err();
        assert_eq!(refusal.field, field, "{refusal}");
        assert!(!refusal.to_string().contains('\n'));
    }
    let other_chain = SignPolicy::new(
        &Url::parse("http://127.0.0.1:18080").unwrap(),
        &SigningSettings { chain_id: Some(1), ..SigningSettings::default() },
    );
    assert!(other_chain.check(&b1(), NOW).unwrap_err().to_string().contains("`1` of SIWE_CHAIN_ID"));
}
