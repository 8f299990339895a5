//! Files of `sdk/` that the program carries.

/// Files of a folder of `sdk/`: each by its path in it, or below another one (`as`), with its text.
macro_rules! embedded {
    ($folder:literal: $($path:literal)+) => {
        [$((
            $path,
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdk/", $folder, "/", $path)),
        )),+]
    };
    ($folder:literal as $below:literal: $($path:literal)+) => {
        [$((
            concat!($below, "/", $path),
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../sdk/", $folder, "/", $path)),
        )),+]
    };
}

pub(super) use embedded;
