//! Reads the `multipart/form-data` body of a download (protocol 6.2) without any network: bytes go in by
//! [`MultipartReader::feed`], events come out of [`MultipartReader::next_event`], however the bytes were cut
//! into chunks.
//!
//! A part is exactly as long as its `size` says. The boundary is never searched for inside a part, so nothing
//! in its bytes can end it early. Memory is bounded by the limit on headers: of a part's bytes, only those that
//! were fed last are held.
//!
//! ```
//! use bytes::Bytes;
//! use posemesh_domain_data::multipart::{BodyEnd, MultipartEvent, MultipartLimits, MultipartReader};
//!
//! let limits = MultipartLimits { header_bytes: 16 << 10, part_bytes: 1 << 40, parts: 1000 };
//! let mut reader = MultipartReader::from_content_type(Some("multipart/form-data; boundary=B"), limits)?;
//! reader.feed(Bytes::from_static(b"--B\r\nContent-Disposition: form-data; name=scan; size=2\r\n\r\nhi"));
//! let Some(MultipartEvent::Part(head)) = reader.next_event()? else { panic!("a part begins") };
//! assert_eq!((head.name.as_str(), head.size), ("scan", 2));
//! assert_eq!(reader.next_event()?, Some(MultipartEvent::Data(Bytes::from_static(b"hi"))));
//! assert_eq!(reader.next_event()?, Some(MultipartEvent::PartEnd));
//! assert_eq!(reader.next_event()?, None, "more bytes are needed");
//! reader.feed(Bytes::from_static(b"\r\n--B--\r\n"));
//! assert_eq!(reader.next_event()?, None);
//! assert_eq!(reader.finish()?, BodyEnd::Closed);
//! # Ok::<(), posemesh_domain_data::multipart::MultipartError>(())
//! ```

mod error;
mod event;
mod reader;

pub use error::MultipartError;
pub use event::{BodyEnd, MultipartEvent, MultipartLimits};
pub use reader::MultipartReader;
