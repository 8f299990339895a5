//! Panics with a message.
guests::runner!("panic", |_| panic!("the scan is upside down"));
