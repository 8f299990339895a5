//! What holds for the resolution of CIDs. An input is a CID; it is resolved against each of [`BASES`].

use std::sync::LazyLock;

use posemesh_domain_data::cid::{CidError, DataQuery, MAX_CID_BYTES, other_server};
use url::Url;
use uuid::Uuid;

/// Servers of which no two are the same.
const BASES: [&str; 5] = [
    "https://ds.example/",
    "http://ds.example/",
    "https://ds.example:8443/prefix/",
    "http://127.0.0.1:8080/",
    "http://[::1]:9000/",
];
const DOMAIN: Uuid = Uuid::from_u128(0xaaaaaaaa_aaaa_4aaa_8aaa_aaaaaaaaaaaa);
/// Ids that a domain server takes in a query (protocol 6.1).
const MAX_IDS: usize = 100;
/// Bytes of an error's text: it goes to logs and to the task's submitter.
const MAX_ERROR_BYTES: usize = 400;

/// Everything below, for the text of `input`.
pub fn holds(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let cid = text.trim();
    static PARSED: LazyLock<[Url; 5]> = LazyLock::new(|| BASES.map(|base| Url::parse(base).expect("a base")));
    let answers = PARSED.each_ref().map(|base| DataQuery::parse(&text, base, DOMAIN));
    let padded = format!("\n {cid}\t");
    assert_eq!(DataQuery::parse(&padded, &PARSED[0], DOMAIN), answers[0], "white space matters");
    for (base, answer) in PARSED.iter().zip(&answers) {
        match answer {
            Ok(query) => {
                leads_nowhere_else(cid, base, query);
                asks_only_for_itself(query, base);
                comes_back(query, base);
            }
            Err(error) => is_worth_showing(error),
        }
        tells_other_servers(cid, base);
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{cid} depends on the server");
}

/// What an accepted CID asks for by other means than the resolver's: read off its text.
fn leads_nowhere_else(cid: &str, base: &Url, query: &DataQuery) {
    if !cid.contains("://") && !cid.starts_with('/') {
        let only =
            DataQuery { ids: vec![uuid(cid).expect("an accepted id is a UUID")], ..DataQuery::default() };
        assert_eq!(*query, only);
        return;
    }
    let url = target(cid, base).expect("an accepted URL is a URL");
    let mut want = DataQuery::default();
    for (key, value) in pairs(url.query().unwrap_or_default()) {
        match key.as_str() {
            "ids" => {
                for id in value.split(',').map(str::trim).filter(|id| !id.is_empty()) {
                    let id = uuid(id).expect("an accepted id is a UUID");
                    if !want.ids.contains(&id) {
                        want.ids.push(id);
                    }
                }
            }
            "name" => want.name = want.name.or(Some(value)),
            "data_type" => want.data_type = want.data_type.or(Some(value)),
            _ => {}
        }
    }
    let segments: Vec<&str> = url.path().split('/').collect();
    let place = (2..segments.len()).find(|at| segments[*at] == "data" && segments[at - 2] == "domains");
    if let Some(data) = place {
        assert_eq!(uuid(segments[data - 1]), Some(DOMAIN), "another domain was accepted");
        // An id must not get lost: what is left would ask for the whole domain.
        let after = segments[data + 1..].iter().find(|segment| !segment.is_empty());
        if let Some(id) = after {
            want.ids = vec![uuid(id).expect("an accepted id is a UUID")];
        }
    } else {
        assert_ne!(want, DataQuery::default(), "a URL that leads to no data was accepted");
    }
    assert_eq!(*query, want);
}

/// The query that goes out holds ids, a name and a type, and nothing that ends or adds a parameter.
fn asks_only_for_itself(query: &DataQuery, base: &Url) {
    let mut want: Vec<(String, String)> = Vec::new();
    if !query.ids.is_empty() {
        let ids: Vec<String> = query.ids.iter().map(|id| id.hyphenated().to_string()).collect();
        want.push(("ids".into(), ids.join(",")));
    }
    for (key, value) in [("name", &query.name), ("data_type", &query.data_type)] {
        if let Some(value) = value {
            assert!(
                !value.is_empty() && value.len() <= 1024 && !value.contains(char::is_control),
                "{value:?}"
            );
            want.push((key.into(), value.clone()));
        }
    }
    assert!(query.ids.len() <= MAX_IDS);
    for (at, id) in query.ids.iter().enumerate() {
        assert!(!query.ids[..at].contains(id), "{id} is asked for twice");
    }

    let Some(text) = query.to_query_string() else {
        assert_eq!(*query, DataQuery::default(), "a query that asks for something is not empty");
        return;
    };
    let clean = |byte: u8| byte.is_ascii_alphanumeric() || b"-._*+%=&,".contains(&byte);
    assert!(text.bytes().all(clean), "{text}");
    assert_eq!(text.matches('&').count() + 1, want.len(), "{text}");
    assert_eq!(text.matches('=').count(), want.len(), "{text}");
    assert_eq!(pairs(&text), want, "{text}");
    let parsed = url::form_urlencoded::parse(text.as_bytes());
    assert_eq!(parsed.into_owned().collect::<Vec<_>>(), want, "{text}");
    let mut url = base.clone();
    url.set_query(Some(&text));
    assert_eq!((url.query(), url.fragment()), (Some(text.as_str()), None), "`url` writes it otherwise");
}

/// What is asked for, written as a CID, is asked for again.
fn comes_back(query: &DataQuery, base: &Url) {
    let text = query.to_query_string().map(|text| format!("?{text}")).unwrap_or_default();
    let path = format!("/api/v1/domains/{DOMAIN}/data{text}");
    for cid in [base.join(&path).expect("a URL").to_string(), path] {
        if cid.len() <= MAX_CID_BYTES {
            assert_eq!(DataQuery::parse(&cid, base, DOMAIN).as_ref(), Ok(query), "{cid}");
        }
    }
}

fn is_worth_showing(error: &CidError) {
    let text = error.to_string();
    assert!(text.len() <= MAX_ERROR_BYTES, "an error of {} bytes: {text}", text.len());
    assert!(!text.contains(char::is_control), "a control character in {text:?}");
}

/// That a CID names another server is told, without what is secret in it.
fn tells_other_servers(cid: &str, base: &Url) {
    let told = other_server(cid, base);
    if let Some(told) = &told {
        assert!(told.len() <= MAX_ERROR_BYTES && !told.contains(char::is_control), "{told:?}");
        // What a foreign URL is signed with is not for our logs.
        assert!(!told.contains(['?', '@', '#']), "{told}");
    }
    let is_url = cid.len() <= MAX_CID_BYTES && (cid.contains("://") || cid.starts_with('/'));
    // The origin of a URL without a path is that of the URL inside it, which nothing reads.
    if let Some(url) = target(cid, base).ok().filter(|url| is_url && !url.cannot_be_a_base()) {
        // An opaque origin equals no other, not even itself.
        assert_eq!(told.is_some(), url.origin() != base.origin(), "{cid}");
    }
}

fn target(cid: &str, base: &Url) -> Result<Url, url::ParseError> {
    if cid.contains("://") { Url::parse(cid) } else { base.join(cid) }
}

/// A hyphenated UUID, and no other spelling.
fn uuid(text: &str) -> Option<Uuid> {
    let right = |(at, byte): (usize, u8)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    let hyphenated = text.len() == 36 && text.bytes().enumerate().all(right);
    hyphenated.then(|| u128::from_str_radix(&text.replace('-', ""), 16).map(Uuid::from_u128).ok()).flatten()
}

/// The parameters of a query string, decoded by hand.
fn pairs(query: &str) -> Vec<(String, String)> {
    let fields = query.split('&').filter(|field| !field.is_empty());
    let halves = fields.map(|field| field.split_once('=').unwrap_or((field, "")));
    halves.map(|(key, value)| (decoded(key), decoded(value))).collect()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = after.get(..2).filter(|two| *first == b'%' && two.iter().all(u8::is_ascii_hexdigit));
        rest = if escaped.is_some() { &after[2..] } else { after };
        bytes.push(match (escaped, first) {
            (Some(two), _) => u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap(),
            (None, b'+') => b' ',
            (None, other) => *other,
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
