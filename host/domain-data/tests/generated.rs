//! The properties of the fuzz targets for inputs that proptest puts together: words of the three grammars
//! in any order, so that most get further than noise would.

#![allow(clippy::unwrap_used)]

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

#[path = "../fuzz/src/lib.rs"]
mod properties;

/// Up to `most` of `words` or of short noise.
fn text(words: &'static [&'static str], most: usize) -> impl Strategy<Value = String> {
    let noise = "[ -~\\t\\r\\näß\u{a0}]{0,4}";
    vec(prop_oneof![8 => select(words).prop_map(str::to_owned), 1 => noise], 0..most)
        .prop_map(|words| words.concat())
}

const BODY: &[&str] = &[
    "--B",
    "--B--",
    "--",
    "-",
    "\r\n",
    "\n",
    "\r",
    " ",
    "\r\n\r\n",
    "--B\r\n",
    "\r\n--B\r\n",
    "\r\n--B--\r\n",
    "Content-Disposition: form-data; size=1\r\n",
    "Content-Disposition: form-data; size=3; name=a\r\n\r\n",
    "--B\r\nContent-Disposition: form-data; size=0\r\n\r\n",
    "content-disposition:form-data;size=\"12\"\n\n",
    "Content-Type: x/y\r\n",
    "--B\r\nContent-Disposition: form-data; size=4096\r\n\r\n",
    "--B\r\nContent-Disposition: form-data; size=4097\r\n\r\n",
    "X-More: 100 bytes of a header 123456789012345678901234567890123456789012345678901234567890123456789\r\n",
    "X:",
    "abc",
    "abcdefghijkl",
    "|",
    "\"",
    "\\",
];

/// Lines of a part's headers, and pieces of its body.
const LINES: &[&str] = &[
    "Content-Disposition: form-data; size=3",
    "content-disposition:form-data; size=\"0\"; name=\"a\\\"b\"",
    "Content-Type: x/y",
    "X-More: 200 bytes of a header 1234567890123456789012345678901234567890123456789012345678901234567890\
     23456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789",
];

const BODIES: &[&str] = &["abc\r\n", "\r\n", "", "abc", "abcd\r\n", "abc\r\n\r\n", "--B\r\n", "\r\n\r\n\r\n"];

const ENDS: &[&str] = &["--B--\r\n", "--B--", "", "--B", "--B-- \r\n\r\n", "--B--\r\nx"];

const HEADER: &[&str] = &[
    "form-data",
    "form-data; ",
    "Form-Data;",
    ";",
    "; ",
    "=",
    "\"",
    "\\",
    "\\\"",
    "\\\\",
    "size",
    "SIZE",
    "size=1",
    "size=\"23\"",
    "size=0007",
    "size=18446744073709551615",
    "size=18446744073709551616",
    "size=-1",
    "size=+1",
    "id=",
    "domain-id=",
    "name=",
    "data-type=",
    "created-at=",
    "updated-at=\"\"",
    "x=",
    "\"a;b=c\"",
    "a b",
    "|",
];

const PARAMETERS: &[&str] =
    &["id", "domain-id", "NAME", "data-type", "created-at", "Updated-At", "x", "size*"];

const WRITTEN: &[&str] =
    &["1", "", "\"\"", " a b ", "\"a;b\" ", "\"\\\"\\\\\\a\"", "a\"b", "a=b", "\"open", "\"a\"b"];

const SIZES: &[&str] =
    &["1", "\"23\"", " 007 ", "+1", "-1", "", "1 2", "18446744073709551615", "18446744073709551616"];

const CID: &[&str] = &[
    "https://ds.example",
    "http://ds.example",
    "https://DS.example:443",
    "https://ds.example:8443",
    "//ds.example",
    "http://127.0.0.1:8080",
    "http://0x7f.1:8080",
    "http://[::1]:9000",
    "https://evil.example",
    "//evil.example",
    "/\\evil.example",
    "https://me:pw@ds.example",
    "://",
    "@",
    ":",
    "/",
    "\\",
    "\t",
    "..",
    "%2e",
    "/domains/",
    "/api/v1/domains/",
    "/data",
    "/data/",
    "?",
    "&",
    "#",
    ",",
    "%2C",
    "ids=",
    "?ids=",
    "&ids=",
    "?name=",
    "&name=",
    "&data_type=",
    "%26",
    "%23",
    "+",
    "%00",
    "%ff",
    "=",
    "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa",
    "11111111-1111-4111-8111-111111111111",
    "22222222-2222-4222-8222-22222222222A",
    "11111111111141118111111111111111",
];

const SERVERS: &[&str] =
    &["", "https://ds.example", "http://[::1]:9000", "https://me@ds.example", "http://:pw@ds.example"];

const PLACES: &[&str] = &[
    "/",
    "/api/v1/domains/aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa/data",
    "/api/v1/domains/aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa/data/11111111-1111-4111-8111-111111111111",
    "/domains/22222222-2222-4222-8222-222222222222/data",
];

const KEYS: &[&str] = &["ids", "name", "data_type", "raw", "%69ds", "Name"];

const VALUES: &[&str] = &[
    "11111111-1111-4111-8111-111111111111",
    "22222222-2222-4222-8222-222222222222,22222222-2222-4222-8222-222222222222",
    "11111111-1111-4111-8111-111111111111%2C",
    "",
    "scan",
    "a+b%26c%3D%23",
    "%C3%A4%0A",
    "%ff",
    "x%00",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_multipart_reader_holds(plan in "\\+?[0-9a-z]{0,6}", body in text(BODY, 14), quoted: bool) {
        let boundary = if quoted { "\"B\"" } else { "B" };
        let input = format!("{plan}\nmultipart/form-data; boundary={boundary}\n{body}");
        properties::multipart::holds(input.as_bytes());
    }

    #[test]
    fn it_holds_for_parts_one_after_the_other(
        plan in "\\+?[0-9a-z]{0,6}",
        parts in vec((vec(select(LINES), 1..4), select(BODIES)), 0..11),
        end in select(ENDS),
    ) {
        let part = |(lines, body): &(Vec<&str>, &str)| format!("--B\r\n{}\r\n\r\n{body}", lines.join("\r\n"));
        let parts: String = parts.iter().map(part).collect();
        let input = format!("{plan}\nmultipart/form-data; boundary=B\n{parts}{end}");
        properties::multipart::holds(input.as_bytes());
    }

    #[test]
    fn it_holds_for_any_boundary_and_any_bytes(
        plan in "\\+?[0-9a-z]{0,6}",
        boundary in "[ -~]{0,20}|-{1,6}|x{195,205}",
        body in vec(any::<u8>(), 0..200),
    ) {
        let head = format!("{plan}\nmultipart/form-data; boundary={boundary}\n");
        properties::multipart::holds(&[head.as_bytes(), &body].concat());
    }

    #[test]
    fn the_disposition_parser_holds(header in text(HEADER, 14), kind: bool) {
        let kind = if kind { "form-data;" } else { "" };
        properties::disposition::holds(format!("{kind}{header}").as_bytes());
    }

    #[test]
    fn it_holds_for_lists_of_parameters(
        size in select(SIZES),
        others in vec((select(PARAMETERS), select(WRITTEN)), 0..4),
    ) {
        let others: String = others.iter().map(|(key, value)| format!("; {key}={value}")).collect();
        for header in [format!("form-data; size={size}{others}"), format!("form-data{others};size={size}")] {
            properties::disposition::holds(header.as_bytes());
        }
    }

    #[test]
    fn the_cid_resolver_holds(cid in text(CID, 10)) {
        properties::cid::holds(cid.as_bytes());
    }

    #[test]
    fn it_holds_for_urls_of_our_servers(
        server in select(SERVERS),
        place in select(PLACES),
        tail in text(CID, 6),
        filters in vec((select(KEYS), select(VALUES)), 0..5),
    ) {
        let filters: Vec<String> = filters.iter().map(|(key, value)| format!("{key}={value}")).collect();
        properties::cid::holds(format!("{server}{place}{tail}").as_bytes());
        properties::cid::holds(format!("{server}{place}?{}", filters.join("&")).as_bytes());
    }

    #[test]
    fn it_holds_for_any_text(cid in "\\PC{0,60}|[ -~]{0,60}") {
        properties::cid::holds(cid.as_bytes());
    }
}
