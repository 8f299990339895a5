//! The `Content-Disposition` of a downloaded part (protocol 6.2).
//!
//! ```
//! let head = posemesh_domain_data::disposition::parse(r#"form-data; name="scan"; size="17""#)?;
//! assert_eq!((head.name.as_str(), head.size), ("scan", 17));
//! # Ok::<(), posemesh_domain_data::disposition::DispositionError>(())
//! ```

/// The parameters of a part's header.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Disposition {
    /// Data id (`id`); empty if missing.
    pub id: String,
    /// Domain of the data (`domain-id`); empty if missing.
    pub domain_id: String,
    /// Name of the data (`name`), any text; empty if missing.
    pub name: String,
    /// Type of the data (`data-type`); empty if missing.
    pub data_type: String,
    /// Length of the part in bytes (`size`). It alone decides where the part ends.
    pub size: u64,
    /// Time of creation as the server writes it (`created-at`).
    pub created_at: Option<String>,
    /// Time of the last change as the server writes it (`updated-at`).
    pub updated_at: Option<String>,
}

/// Why a header can't be read. Texts continue a sentence about the part.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DispositionError {
    /// The disposition is not `form-data`.
    #[error("its Content-Disposition is not form-data")]
    NotFormData,
    /// A parameter has no `=`, a quote is not closed, or text follows a quoted value.
    #[error("its Content-Disposition is malformed")]
    Malformed,
    /// A parameter occurs twice: the two could contradict each other.
    #[error("its Content-Disposition has the parameter {0} twice")]
    Duplicate(&'static str),
    /// There is no size, so the end of the part is unknown.
    #[error("its Content-Disposition has no size")]
    MissingSize,
    /// The size is not an unsigned decimal number.
    #[error("its Content-Disposition has a size that is not a number of bytes")]
    BadSize,
}

/// The parameters that are read, in the order of [`Fields`].
const KNOWN: [&str; 7] = ["id", "domain-id", "name", "data-type", "size", "created-at", "updated-at"];

type Fields = [Option<String>; KNOWN.len()];

/// Reads a header value: `form-data` and parameters, quoted or not, in any order. Unknown parameters are
/// ignored.
///
/// # Errors
/// When the header is irregular in any way: a guess could end a part at the wrong byte.
pub fn parse(value: &str) -> Result<Disposition, DispositionError> {
    let (kind, mut rest) = value.split_once(';').unwrap_or((value, ""));
    if !kind.trim().eq_ignore_ascii_case("form-data") {
        return Err(DispositionError::NotFormData);
    }
    let mut fields = Fields::default();
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            break;
        }
        if let Some(after) = rest.strip_prefix(';') {
            rest = after;
            continue;
        }
        let (key, after) = rest.split_once('=').ok_or(DispositionError::Malformed)?;
        let key = key.trim();
        if key.is_empty() || key.contains([';', '"']) {
            return Err(DispositionError::Malformed);
        }
        let (text, after) = parameter_value(after.trim_start())?;
        rest = after;
        for (known, field) in KNOWN.iter().zip(&mut fields) {
            if key.eq_ignore_ascii_case(known) && field.replace(text.clone()).is_some() {
                return Err(DispositionError::Duplicate(known));
            }
        }
    }
    let [id, domain_id, name, data_type, size, created_at, updated_at] = fields;
    let size = size.ok_or(DispositionError::MissingSize)?;
    if size.is_empty() || !size.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(DispositionError::BadSize);
    }
    Ok(Disposition {
        id: id.unwrap_or_default(),
        domain_id: domain_id.unwrap_or_default(),
        name: name.unwrap_or_default(),
        data_type: data_type.unwrap_or_default(),
        size: size.parse().map_err(|_| DispositionError::BadSize)?,
        created_at: created_at.filter(|text| !text.is_empty()),
        updated_at: updated_at.filter(|text| !text.is_empty()),
    })
}

/// The value at the start of `rest`, and what follows it (nothing, or a `;` and more).
fn parameter_value(rest: &str) -> Result<(String, &str), DispositionError> {
    let Some(quoted) = rest.strip_prefix('"') else {
        let end = rest.find(';').unwrap_or(rest.len());
        let (value, after) = rest.split_at(end);
        return Ok((value.trim().to_owned(), after));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => {
                let after = quoted.get(at + 1..).unwrap_or_default().trim_start();
                return if after.is_empty() || after.starts_with(';') {
                    Ok((value, after))
                } else {
                    Err(DispositionError::Malformed)
                };
            }
            // Only these two are escapes; a lone backslash is a backslash.
            '\\' => match characters.next_if(|(_, next)| matches!(next, '"' | '\\')) {
                Some((_, escaped)) => value.push(escaped),
                None => value.push('\\'),
            },
            other => value.push(other),
        }
    }
    Err(DispositionError::Malformed)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_servers_own_header_is_understood() {
        let header = r#"form-data; name="scan"; data-type="ply"; id="1"; domain-id="2"; size="17"; created-at="2026-01-02T03:04:05Z"; updated-at="2026-01-02T03:04:06Z""#;
        let want = Disposition {
            id: "1".into(),
            domain_id: "2".into(),
            name: "scan".into(),
            data_type: "ply".into(),
            size: 17,
            created_at: Some("2026-01-02T03:04:05Z".into()),
            updated_at: Some("2026-01-02T03:04:06Z".into()),
        };
        assert_eq!(parse(header), Ok(want));
    }

    #[test]
    fn quoting_order_and_unknown_parameters_do_not_matter() {
        let read = parse(r#" Form-Data ;size=3 ; NAME = "a;b=\"c\" \\ \d" ;; x="y"; id=7;"#).unwrap();
        assert_eq!((read.size, read.name.as_str(), read.id.as_str()), (3, r#"a;b="c" \ \d"#, "7"));
        assert_eq!((read.data_type.as_str(), read.created_at), ("", None), "what is missing is empty");
    }

    #[test]
    fn irregular_headers_are_told_apart() {
        for (header, want) in [
            ("attachment; size=1", DispositionError::NotFormData),
            ("", DispositionError::NotFormData),
            ("form-data; name=\"a\"", DispositionError::MissingSize),
            ("form-data; size=", DispositionError::BadSize),
            ("form-data; size=-1", DispositionError::BadSize),
            ("form-data; size=+1", DispositionError::BadSize),
            ("form-data; size=1.5", DispositionError::BadSize),
            ("form-data; size=99999999999999999999", DispositionError::BadSize),
            ("form-data; size=1; Size=2", DispositionError::Duplicate("size")),
            ("form-data; size=1; id=a; id=a", DispositionError::Duplicate("id")),
            ("form-data; size", DispositionError::Malformed),
            ("form-data; size=1; name=\"a", DispositionError::Malformed),
            ("form-data; size=1; name=\"a\" b", DispositionError::Malformed),
            ("form-data; =1", DispositionError::Malformed),
        ] {
            assert_eq!(parse(header), Err(want), "{header}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".*") {
            let _ = parse(&text);
            let _ = parse(&format!("form-data;{text}"));
        }

        #[test]
        fn quoted_names_come_back(name in "[^\r\n]*", size: u64) {
            let quoted = name.replace('\\', "\\\\").replace('"', "\\\"");
            let read = parse(&format!("form-data; name=\"{quoted}\"; size={size}")).unwrap();
            prop_assert_eq!((read.name, read.size), (name, size));
        }
    }
}
