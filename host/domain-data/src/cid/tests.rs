#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use proptest::prelude::*;

use super::*;

const A: &str = "11111111-1111-4111-8111-111111111111";
const B: &str = "22222222-2222-4222-8222-222222222222";
const DOMAIN: &str = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa";

fn parse(cid: &str) -> Result<DataQuery, CidError> {
    DataQuery::parse(cid, &Url::parse("https://ds.example/").unwrap(), DOMAIN.parse().unwrap())
}

fn wire(cid: &str) -> String {
    parse(cid).unwrap_or_else(|error| panic!("{cid}: {error}")).to_query_string().unwrap_or_default()
}

#[test]
fn ids_and_urls_of_the_leases_domain_become_queries() {
    for (cid, want) in [
        (A.to_owned(), format!("ids={A}")),
        (format!("  {A}\n"), format!("ids={A}")),
        (format!("https://ds.example/api/v1/domains/{DOMAIN}/data/{A}"), format!("ids={A}")),
        (format!("https://ds.example:443/api/v1/domains/{DOMAIN}/data/{A}?raw=true"), format!("ids={A}")),
        (format!("/api/v1/domains/{DOMAIN}/data/{A}"), format!("ids={A}")),
        (format!("https://DS.example/api/v1/domains/{}/data/{A}", DOMAIN.to_uppercase()), format!("ids={A}")),
        (format!("/api/v1/domains/{DOMAIN}/data?ids={A},{B}&ids={A}"), format!("ids={A},{B}")),
        (format!("/api/v1/domains/{DOMAIN}/data?ids={A}%2C{B}"), format!("ids={A},{B}")),
        (format!("/api/v1/domains/{DOMAIN}/data/{A}?ids={B}&name=x&name=y"), format!("ids={A}&name=x")),
        (
            format!("/api/v1/domains/{DOMAIN}/data?name=a%20b%26c&data_type=ply"),
            "name=a+b%26c&data_type=ply".into(),
        ),
        (format!("/api/v1/domains/{DOMAIN}/data//{A}/"), format!("ids={A}")),
        (format!("/?ids={A}"), format!("ids={A}")),
        (format!("/api/v1/domains/{DOMAIN}/data"), String::new()),
    ] {
        assert_eq!(wire(&cid), want, "{cid}");
    }
}

#[test]
fn the_server_that_a_cid_names_does_not_matter_and_is_told() {
    let base = Url::parse("https://ds.example/").unwrap();
    let path = format!("api/v1/domains/{DOMAIN}/data/{A}");
    for (cid, server) in [
        (format!("https://other.example/{path}"), "https://other.example"),
        (format!("http://ds.example/{path}"), "http://ds.example"),
        (format!("https://ds.example:8443/{path}"), "https://ds.example:8443"),
        (format!("http://10.0.0.1:8080/prefix/{path}"), "http://10.0.0.1:8080"),
        (format!("//other.example/{path}"), "https://other.example"),
        (format!("/\\other.example/{path}"), "https://other.example"),
        (format!("https://ds.example@other.example/{path}"), "https://other.example"),
        (format!("http://me:pw@ds.example/{path}"), "http://ds.example"),
        (format!("file:///{path}"), "file://without a host"),
        (format!("ipfs://x/{path}"), "ipfs://x"),
        (format!("https://other.example/?ids={A}"), "https://other.example"),
    ] {
        assert_eq!(wire(&cid), format!("ids={A}"), "{cid}");
        assert_eq!(other_server(&cid, &base).as_deref(), Some(server), "{cid}");
    }
    for cid in
        [format!("https://DS.example:443/{path}"), format!("https://me:pw@ds.example/{path}"), A.to_owned()]
    {
        assert_eq!(wire(&cid), format!("ids={A}"), "{cid}");
        assert_eq!(other_server(&cid, &base), None, "{cid}");
    }
    let told = other_server("https://other.example/x?signature=s3cret", &base).unwrap();
    assert!(!told.contains("s3cret"), "{told}");
    for endless in [format!("https://{}.example/", "h".repeat(4000)), format!("{}://h/", "s".repeat(4000))] {
        let told = other_server(&endless, &base).unwrap_or_default();
        assert!(told.len() < 400, "what is logged should not be as long as the CID: {} bytes", told.len());
    }
}

#[test]
fn another_domain_is_refused_whatever_the_server() {
    for cid in [
        format!("https://ds.example/api/v1/domains/{B}/data/{A}"),
        format!("https://other.example/api/v1/domains/{B}/data/{A}"),
        format!("http://ds.example/api/v1/domains/{B}/data?ids={A}"),
        format!("/api/v1/domains/{B}/data?ids={A}"),
        format!("file:///domains/{B}/data/{A}"),
        format!("/api/v1/domains/{B}/data/domains/{DOMAIN}/data/{A}"),
    ] {
        let error = parse(&cid).expect_err(&cid);
        assert!(error.is_refusal(), "{cid}: {error}");
    }
    let error = parse(&format!("/domains/{}/data", "d".repeat(4000))).unwrap_err().to_string();
    assert!(error.len() < 400, "an error should not be as long as its CID: {} bytes", error.len());
    let opaque = parse(&format!("a:b://domains/{B}/data/{A}?ids={A}"));
    assert!(matches!(opaque, Err(CidError::BadUrl(_))), "a URL without a path hides its domain: {opaque:?}");
}

#[test]
fn malformed_cids_are_told_apart() {
    assert_eq!(parse(" \t"), Err(CidError::Empty));
    assert_eq!(parse(&"x".repeat(9000)), Err(CidError::TooLong(9000)));
    for id in ["abc", "..", &A.replace('-', ""), &format!("{A}&name=x"), &format!("{{{A}}}"), "ä"] {
        assert!(matches!(parse(id), Err(CidError::BadId(_))), "{id}");
        // In a path, `..` leads away from the data before it could be an id.
        assert!(parse(&format!("/domains/{DOMAIN}/data/{id}")).is_err(), "{id}");
    }
    assert!(matches!(parse("https://"), Err(CidError::BadUrl(_))));
    assert_eq!(parse("https://ds.example/"), Err(CidError::NoData));
    assert!(matches!(parse(&format!("/domains/{DOMAIN}/data?name=a%00b")), Err(CidError::BadFilter)));
    let ids: Vec<String> = (0..101).map(|n| Uuid::from_u128(n).to_string()).collect();
    assert!(parse(&format!("/?ids={}", ids[..100].join(","))).is_ok(), "100 ids are allowed");
    assert_eq!(parse(&format!("/?ids={}", ids.join(","))), Err(CidError::TooManyIds(101)));
}

proptest! {
    #[test]
    fn whatever_is_accepted_asks_only_for_uuids_in_a_clean_query(cid in "(/|https://ds.example/)?[ -~]{0,60}") {
        if let Ok(query) = parse(&cid) && let Some(text) = query.to_query_string() {
            prop_assert!(text.is_ascii() && !text.contains([' ', '#', '"']), "{text}");
        }
    }
}
