//! Reads the parts of a `multipart/form-data` body as it arrives (protocol 6.8).

use std::error::Error;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use http::{HeaderMap, header};
use multer::{Constraints, Field, Multipart, SizeLimit};

/// Why a form can't be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FormError {
    #[error("invalid form: {0}")]
    Invalid(String),
    #[error("the request has more than {0} bytes")]
    TooLarge(u64),
    #[error("the body could not be read: {0}")]
    Read(Box<dyn Error + Send + Sync>),
}

impl From<multer::Error> for FormError {
    fn from(error: multer::Error) -> Self {
        match error {
            multer::Error::StreamSizeExceeded { limit } => Self::TooLarge(limit),
            multer::Error::StreamReadFailed(error) => Self::Read(error),
            other => Self::Invalid(other.to_string()),
        }
    }
}

/// A form that is being read.
#[derive(Debug)]
pub(crate) struct UploadForm<'b> {
    parts: Multipart<'b>,
}

impl<'b> UploadForm<'b> {
    /// Reads a body with this content type, of at most `limit` bytes.
    ///
    /// The body pauses after each chunk, because multer buffers for as long as its stream is ready, which on
    /// loopback can be until the whole body is in memory. The pause also keeps the end of a body out of the
    /// poll that delivers the last chunk: if both come in the same poll as the first boundary, multer 3.1 may
    /// report that there is no boundary.
    pub(crate) fn new<S, E>(body: S, content_type: &str, limit: u64) -> Result<Self, FormError>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin + Send + 'b,
        E: Into<Box<dyn Error + Send + Sync>> + Send + 'b,
    {
        let boundary = multer::parse_boundary(content_type).map_err(|_| {
            FormError::Invalid("Content-Type must be multipart/form-data with a boundary".to_owned())
        })?;
        let body = stream::unfold((body, false), |(mut body, pause)| async move {
            if pause {
                tokio::task::yield_now().await;
            }
            body.next().await.map(|chunk| (chunk, (body, true)))
        });
        let constraints = Constraints::new().size_limit(SizeLimit::new().whole_stream(limit));
        Ok(Self { parts: Multipart::with_constraints(body, boundary, constraints) })
    }

    /// The next part; none after the last. The part before must have been dropped.
    pub(crate) async fn next_part(&mut self) -> Result<Option<FormPart<'b>>, FormError> {
        let Some(field) = self.parts.next_field().await? else { return Ok(None) };
        Ok(Some(FormPart { attributes: PartAttributes::parse(field.headers())?, field }))
    }
}

/// A part of a form, whose content is being read.
#[derive(Debug)]
pub(crate) struct FormPart<'b> {
    pub(crate) attributes: PartAttributes,
    field: Field<'b>,
}

impl FormPart<'_> {
    /// The next bytes of the content; none at the end.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, FormError> {
        Ok(self.field.chunk().await?)
    }
}

/// The parameters of the `Content-Disposition` of a part.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct PartAttributes {
    pub(crate) name: Option<String>,
    pub(crate) data_type: Option<String>,
    pub(crate) id: Option<String>,
}

impl PartAttributes {
    /// Read here because multer knows `name` only. Names with a semicolon or a quote, which would need
    /// unescaping, are forbidden (protocol 6.8).
    fn parse(headers: &HeaderMap) -> Result<Self, FormError> {
        let invalid = |reason: &str| FormError::Invalid(reason.to_owned());
        let value =
            headers.get(header::CONTENT_DISPOSITION).ok_or(invalid("a part has no Content-Disposition"))?;
        let value =
            std::str::from_utf8(value.as_bytes()).map_err(|_| invalid("the head of a part is not text"))?;
        let mut parameters = value.split(';').map(str::trim);
        if parameters.next() != Some("form-data") {
            return Err(invalid("a part is not form-data"));
        }
        let mut attributes = Self::default();
        for (name, value) in parameters.filter_map(|parameter| parameter.split_once('=')) {
            let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
            let attribute = match name {
                "name" => &mut attributes.name,
                "data-type" => &mut attributes.data_type,
                "id" => &mut attributes.id,
                _ => continue,
            };
            *attribute = Some(value.to_owned());
        }
        Ok(attributes)
    }
}

#[cfg(test)]
mod tests;
