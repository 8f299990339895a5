//! What the program that runs a devnet does with it in-process, past HTTP: the methods of [`crate::Devnet`]
//! other than start and shutdown, by subject.

mod data;
mod inspect;
mod jobs;
mod wait;
