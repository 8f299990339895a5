//! Uses WASI 0.3 beside the WASI 0.2 of its standard library.
wit_bindgen::generate!({
    path: "wit-wasi3",
    world: "wasi3",
    generate_all,
});

guests::runner!("wasi3", |_| {
    let before = wasi::clocks::monotonic_clock::now();
    let bytes = wasi::random::random::get_random_bytes(16);
    if bytes.len() != 16 || wasi::clocks::monotonic_clock::now() < before {
        return Err(guests::Error::Failed("the clock or the random numbers of WASI 0.3 are broken".into()));
    }
    Ok(())
});
