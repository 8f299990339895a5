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
fn other_servers_and_domains_are_refused() {
    for cid in [
        format!("https://evil.example/api/v1/domains/{DOMAIN}/data/{A}"),
        format!("http://ds.example/api/v1/domains/{DOMAIN}/data/{A}"),
        format!("https://ds.example:8443/api/v1/domains/{DOMAIN}/data/{A}"),
        format!("//evil.example/api/v1/domains/{DOMAIN}/data/{A}"),
        format!("/\\evil.example/api/v1/domains/{DOMAIN}/data/{A}"),
        format!("https://ds.example@evil.example/api/v1/domains/{DOMAIN}/data/{A}"),
        format!("https://me:pw@ds.example/api/v1/domains/{DOMAIN}/data/{A}"),
        format!("https://ds.example/api/v1/domains/{B}/data/{A}"),
        format!("/api/v1/domains/{B}/data?ids={A}"),
        format!("file:///domains/{DOMAIN}/data/{A}"),
    ] {
        let error = parse(&cid).expect_err(&cid);
        assert!(error.is_refusal(), "{cid}: {error}");
    }
    let error = parse("https://evil.example/x?signature=s3cret").unwrap_err().to_string();
    assert!(error.contains("https://evil.example") && !error.contains("s3cret"), "{error}");
    for endless in [format!("https://{}.example/", "h".repeat(4000)), format!("{}://h/", "s".repeat(4000))] {
        let error = parse(&endless).unwrap_err().to_string();
        assert!(error.len() < 400, "an error should not be as long as its CID: {} bytes", error.len());
    }
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
