//! Reading `multipart/form-data` as it arrives, a chunk at a time (protocol 6.8).

use std::io;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};

/// The most that the head of a part may take.
const MAX_HEAD: usize = 16 << 10;

/// Why a form can't be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FormError {
    #[error("invalid form: {0}")]
    Form(&'static str),
    #[error("the request has more than {0} bytes")]
    TooLarge(u64),
    #[error("the body could not be read: {0}")]
    Body(io::Error),
}

/// The boundary that a content type names.
pub(crate) fn boundary(content_type: &str) -> Option<&str> {
    let (kind, parameters) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let named = parameters.split(';').filter_map(|parameter| parameter.trim().split_once('='));
    let (_, value) = { named }.find(|(name, _)| name.trim().eq_ignore_ascii_case("boundary"))?;
    let value = value.trim().trim_matches('"');
    (1..=200).contains(&value.len()).then_some(value)
}

/// What the head of a part says in its `Content-Disposition`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct PartHead {
    pub(crate) name: Option<String>,
    pub(crate) data_type: Option<String>,
    pub(crate) id: Option<String>,
}

/// A form that is being read.
#[derive(Debug)]
pub(crate) struct Form<S> {
    body: S,
    /// What has arrived and was not given out. Before the first part it begins with a line end that the
    /// body has not, so that the first delimiter looks like the others.
    buffer: BytesMut,
    /// Line end, two dashes, boundary.
    delimiter: Vec<u8>,
    arrived: u64,
    limit: u64,
    /// In the content of a part, as opposed to before or between parts.
    in_part: bool,
    ended: bool,
}

impl<S, E> Form<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    pub(crate) fn new(body: S, boundary: &str, limit: u64) -> Self {
        let delimiter = format!("\r\n--{boundary}").into_bytes();
        let buffer = BytesMut::from(&b"\r\n"[..]);
        Self { body, buffer, delimiter, arrived: 0, limit, in_part: false, ended: false }
    }

    /// Waits for more of the body; it must not end here.
    async fn fill(&mut self) -> Result<(), FormError> {
        let chunk = self.body.next().await.ok_or(FormError::Form("it ends before its last boundary"))?;
        let chunk = chunk.map_err(|error| FormError::Body(io::Error::other(error)))?;
        self.arrived += chunk.len() as u64;
        if self.arrived > self.limit {
            return Err(FormError::TooLarge(self.limit));
        }
        self.buffer.extend_from_slice(&chunk);
        Ok(())
    }

    /// Reads to the end of the body; what is after the last boundary does not matter.
    async fn drain(&mut self) -> Result<(), FormError> {
        while let Some(chunk) = self.body.next().await {
            let chunk = chunk.map_err(|error| FormError::Body(io::Error::other(error)))?;
            self.arrived += chunk.len() as u64;
            if self.arrived > self.limit {
                return Err(FormError::TooLarge(self.limit));
            }
        }
        Ok(())
    }

    /// Goes on to the next part; none after the last.
    pub(crate) async fn next_part(&mut self) -> Result<Option<PartHead>, FormError> {
        if self.ended {
            return Ok(None);
        }
        // What is before the first part, and what was not read of the last one, is skipped.
        self.in_part = true;
        while self.chunk().await?.is_some() {}
        let _ = self.buffer.split_to(self.delimiter.len());
        while self.buffer.len() < 2 {
            self.fill().await?;
        }
        let after = self.buffer.split_to(2);
        if &after[..] == b"--" {
            self.ended = true;
            self.drain().await?;
            return Ok(None);
        }
        if &after[..] != b"\r\n" {
            return Err(FormError::Form("a boundary is followed by something else than a line end"));
        }
        let end = loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                break end;
            }
            if self.buffer.len() > MAX_HEAD {
                return Err(FormError::Form("the head of a part is too long"));
            }
            self.fill().await?;
        };
        let head = self.buffer.split_to(end + 4);
        self.in_part = true;
        parse_head(&head).map(Some)
    }

    /// The next bytes of the current part; none at its end.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, FormError> {
        while self.in_part {
            if let Some(end) = find(&self.buffer, &self.delimiter) {
                self.in_part = false;
                if end > 0 {
                    return Ok(Some(self.buffer.split_to(end).freeze()));
                }
                break;
            }
            // The last bytes may be the beginning of a delimiter.
            let safe = (self.buffer.len() + 1).saturating_sub(self.delimiter.len());
            if safe > 0 {
                return Ok(Some(self.buffer.split_to(safe).freeze()));
            }
            self.fill().await?;
        }
        Ok(None)
    }
}

/// Where `needle`, which is not empty, first is.
fn find(hay: &[u8], needle: &[u8]) -> Option<usize> {
    let first = needle.first()?;
    let mut from = 0;
    loop {
        let rest = hay.get(from..)?;
        let place = from + rest.iter().position(|byte| byte == first)?;
        if hay.get(place..)?.starts_with(needle) {
            return Some(place);
        }
        from = place + 1;
    }
}

fn parse_head(head: &[u8]) -> Result<PartHead, FormError> {
    let text = std::str::from_utf8(head).map_err(|_| FormError::Form("the head of a part is not text"))?;
    let mut fields = text.lines().filter_map(|line| line.split_once(':'));
    let (_, value) = fields
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("content-disposition"))
        .ok_or(FormError::Form("a part has no Content-Disposition"))?;
    let mut parameters = value.split(';').map(str::trim);
    if parameters.next() != Some("form-data") {
        return Err(FormError::Form("a part is not form-data"));
    }
    let mut head = PartHead::default();
    for (name, value) in parameters.filter_map(|parameter| parameter.split_once('=')) {
        let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
        let slot = match name {
            "name" => &mut head.name,
            "data-type" => &mut head.data_type,
            "id" => &mut head.id,
            _ => continue,
        };
        *slot = Some(value.to_owned());
    }
    Ok(head)
}

#[cfg(test)]
mod tests;
