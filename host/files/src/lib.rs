//! What a node does with files and folders that strangers made.
//!
//! [`open_regular`] opens a file only if it is one: a FIFO, a socket or a device with the same name can hold nobody
//! up. [`remove_tree`] removes whatever lies in a folder, however deep and however odd. [`exposures`] tells who else may
//! change what lies at a path; [`open_private`] opens what only this user can have written; [`watcher`] tells of changes.
//!
//! ```
//! use posemesh_files::{open_regular, remove_tree};
//!
//! let dir = tempfile::tempdir()?.keep();
//! std::fs::create_dir_all(dir.join("a/b/c"))?;
//! assert!(open_regular(&dir.join("a")).is_err(), "a folder is no regular file");
//! remove_tree(&dir)?;
//! assert!(!dir.exists());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod changes;
mod exposure;
mod private;
mod regular;
mod remove;

pub use changes::watcher;
pub use exposure::{Exposure, exposures};
pub use private::{open_private, write_private, write_private_new};
pub use regular::{kind_name, open_regular, open_regular_with};
pub use remove::{RemoveError, remove_tree};
