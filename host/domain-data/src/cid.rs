//! What a CID stands for, and which CIDs are refused (protocol 6.4).
//!
//! Requests go to the lease's domain server, with the lease's token, for the lease's domain. So it does not matter
//! which server a CID names: a domain keeps its data when its server gets another name or learns https. A CID that
//! names another domain is refused rather than changed to fit: the submitter meant data that this task has no right to.
//!
//! ```
//! use posemesh_domain_data::cid::DataQuery;
//! use url::Url;
//! use uuid::Uuid;
//!
//! let server = Url::parse("https://ds.example")?;
//! let domain: Uuid = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa".parse()?;
//! let query = DataQuery::parse("/api/v1/domains/aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa/data?name=scan", &server, domain)?;
//! assert_eq!(query.to_query_string().as_deref(), Some("name=scan"));
//!
//! let moved = "http://old.example:8080/api/v1/domains/aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa/data?name=scan";
//! assert_eq!(DataQuery::parse(moved, &server, domain)?, query);
//!
//! let error = DataQuery::parse("https://ds.example/domains/x/data", &server, domain).unwrap_err();
//! assert!(error.is_refusal());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use posemesh_text::one_line;
use url::Url;
use url::form_urlencoded::byte_serialize;
use uuid::Uuid;

/// Ids that one CID may list; servers accept no more in a query.
pub const MAX_IDS: usize = 100;
/// Bytes that a CID may have: enough for a URL with [`MAX_IDS`] ids.
pub const MAX_CID_BYTES: usize = 8 << 10;

/// Which data a CID asks the domain server for. All fields together filter; without any, all data of the domain is
/// meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DataQuery {
    /// Data ids, each once, in the order of the CID.
    pub ids: Vec<Uuid>,
    /// Only data with this name.
    pub name: Option<String>,
    /// Only data of this type.
    pub data_type: Option<String>,
}

/// Bytes that a name or type in a CID may have.
const MAX_FILTER_BYTES: usize = 1024;

/// Why a CID is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CidError {
    /// The CID is empty or white space.
    #[error("the input's CID is empty: it should be a data id or a data URL")]
    Empty,
    /// The CID has this many bytes, more than [`MAX_CID_BYTES`].
    #[error("the input's CID has {0} bytes; {MAX_CID_BYTES} are allowed")]
    TooLong(usize),
    /// The CID looks like a URL and can't be parsed as one.
    #[error("the input's CID is not a URL ({0})")]
    BadUrl(String),
    /// An id is not a hyphenated UUID.
    #[error("the input's CID has the data id `{0}`, which is not a UUID")]
    BadId(String),
    /// The CID lists this many ids, more than [`MAX_IDS`].
    #[error("the input's CID lists {0} data ids; {MAX_IDS} are allowed: list it in several CIDs")]
    TooManyIds(usize),
    /// The URL names neither a domain's data nor ids, a name or a type.
    #[error("the input's CID is a URL without `/domains/ID/data` in its path and without ids, name or type")]
    NoData,
    /// The URL filters by a name or type that no data can have.
    #[error(
        "the input's CID asks for an impossible name or type: it is empty, longer than {MAX_FILTER_BYTES} bytes, or \
         holds control characters"
    )]
    BadFilter,
    /// The URL names another domain than the lease's.
    #[error("the input's CID names the domain {given}, but the task works on {ours}: refused")]
    OtherDomain {
        /// The domain in the CID, shortened.
        given: String,
        /// The lease's domain.
        ours: Uuid,
    },
}

impl CidError {
    /// Whether the CID asks for something that is not allowed (`denied`), rather than being malformed (`invalid`).
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::OtherDomain { .. })
    }
}

impl DataQuery {
    /// Reads a CID: a data id, an absolute URL, or a URL path that starts with `/`. `base` is the lease's domain
    /// server, `domain` the lease's domain. Of a URL only path and query count ([`other_server`] tells when its server
    /// is not the lease's).
    ///
    /// # Errors
    /// When it is malformed, too large, or names another domain than `domain`.
    pub fn parse(cid: &str, base: &Url, domain: Uuid) -> Result<Self, CidError> {
        let cid = cid.trim();
        if cid.is_empty() {
            return Err(CidError::Empty);
        }
        if cid.len() > MAX_CID_BYTES {
            return Err(CidError::TooLong(cid.len()));
        }
        match as_url(cid, base) {
            Some(url) => Self::from_url(&url?, domain),
            None => Ok(Self { ids: vec![data_id(cid)?], ..Self::default() }),
        }
    }

    fn from_url(url: &Url, domain: Uuid) -> Result<Self, CidError> {
        // Such a URL (`data:`) has no path in which a domain could be seen.
        if url.cannot_be_a_base() {
            return Err(CidError::BadUrl("it has no path".to_owned()));
        }
        let mut query = Self::default();
        for (key, value) in url.query_pairs() {
            match key.as_ref() {
                "ids" => {
                    for id in value.split(',').map(str::trim).filter(|id| !id.is_empty()) {
                        query.add_id(id)?;
                    }
                }
                "name" if query.name.is_none() => query.name = Some(filter(&value)?),
                "data_type" if query.data_type.is_none() => query.data_type = Some(filter(&value)?),
                _ => {}
            }
        }
        let segments: Vec<&str> = url.path_segments().into_iter().flatten().collect();
        let place = segments.windows(3).position(|w| matches!(w, ["domains", _, "data"]));
        if let Some(start) = place {
            let given = segments.get(start + 1).copied().unwrap_or_default();
            if hyphenated_uuid(given) != Some(domain) {
                return Err(CidError::OtherDomain { given: shown(given), ours: domain });
            }
            // An id after a second slash counts too: without it the CID would stand for the whole domain.
            if let Some(id) = segments.iter().skip(start + 3).find(|segment| !segment.is_empty()) {
                query.ids = vec![data_id(id)?];
            }
        } else if query == Self::default() {
            return Err(CidError::NoData);
        }
        Ok(query)
    }

    fn add_id(&mut self, text: &str) -> Result<(), CidError> {
        let id = data_id(text)?;
        if !self.ids.contains(&id) {
            self.ids.push(id);
        }
        if self.ids.len() > MAX_IDS { Err(CidError::TooManyIds(self.ids.len())) } else { Ok(()) }
    }

    /// The query string of protocol 6.1; `None` when all data of the domain is asked for.
    pub fn to_query_string(&self) -> Option<String> {
        let mut fields = Vec::new();
        if !self.ids.is_empty() {
            let ids: Vec<String> = self.ids.iter().map(Uuid::to_string).collect();
            fields.push(format!("ids={}", ids.join(",")));
        }
        for (key, value) in [("name", &self.name), ("data_type", &self.data_type)] {
            if let Some(value) = value {
                fields.push(format!("{key}={}", byte_serialize(value.as_bytes()).collect::<String>()));
            }
        }
        (!fields.is_empty()).then(|| fields.join("&"))
    }
}

/// Reads a UUID with hyphens, the only spelling of a UUID in the protocol.
pub fn hyphenated_uuid(text: &str) -> Option<Uuid> {
    if text.len() == 36 { Uuid::try_parse(text).ok() } else { None }
}

fn data_id(text: &str) -> Result<Uuid, CidError> {
    hyphenated_uuid(text).ok_or_else(|| CidError::BadId(shown(text)))
}

fn filter(text: &str) -> Result<String, CidError> {
    // Looser than for writing: existing data may have been named under other rules.
    if text.is_empty() || text.len() > MAX_FILTER_BYTES || text.contains(char::is_control) {
        return Err(CidError::BadFilter);
    }
    Ok(text.to_owned())
}

/// A CID as a URL; none if it is no URL but an id.
fn as_url(cid: &str, base: &Url) -> Option<Result<Url, CidError>> {
    let parsed = if cid.contains("://") {
        Url::parse(cid)
    } else if cid.starts_with('/') {
        // `//host/path` names a host too.
        base.join(cid)
    } else {
        return None;
    };
    Some(parsed.map_err(|error| CidError::BadUrl(error.to_string())))
}

/// The server that a CID names, if it names another than the lease's, fit for a log: scheme, host and port, since the
/// rest may hold secrets. None of an id, and of what is no CID.
///
/// ```
/// use posemesh_domain_data::cid::other_server;
/// use url::Url;
///
/// let server = Url::parse("https://ds.example")?;
/// let other = |cid| other_server(cid, &server);
/// assert_eq!(other("http://me:pw@ds.example/x?ids=y").as_deref(), Some("http://ds.example"));
/// assert_eq!(other("https://ds.example:443/x"), None);
/// assert_eq!(other("aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"), None);
/// # Ok::<(), url::ParseError>(())
/// ```
pub fn other_server(cid: &str, base: &Url) -> Option<String> {
    let cid = cid.trim();
    if cid.len() > MAX_CID_BYTES {
        return None;
    }
    let url = as_url(cid, base)?.ok()?;
    let server =
        |url: &Url| (url.scheme().to_owned(), url.host_str().map(str::to_owned), url.port_or_known_default());
    (server(&url) != server(base)).then(|| origin(&url))
}

/// Scheme, host and port only: the rest of a foreign URL may hold secrets, which must not reach logs.
fn origin(url: &Url) -> String {
    let (scheme, host) = (shown(url.scheme()), shown(url.host_str().unwrap_or("without a host")));
    match url.port() {
        Some(port) => format!("{scheme}://{host}:{port}"),
        None => format!("{scheme}://{host}"),
    }
}

/// Text of unknown origin, for an error.
fn shown(text: &str) -> String {
    one_line(text, 80)
}

#[cfg(test)]
mod tests;
