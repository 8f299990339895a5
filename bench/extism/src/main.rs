//! Calls plugins of Extism and prints how long each call took: the peer of our sandbox in docs/benchmarks.md.
//!
//! `extism-peer CALLS BYTES COPIES` calls a plugin that does nothing CALLS times, and one that copies its input COPIES times
//! with BYTES of it, each with an instance for each call and with one instance for all. It prints one line of JSON: for each of
//! the four, the nanoseconds of each call.

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use extism::{CompiledPlugin, Manifest, Plugin, PluginBuilder, Wasm};
use serde_json::json;

/// Calls of each kind before the first that counts.
const WARM_UP: usize = 3;

/// What Extism's own development kits make of it, without their allocator: no import is needed to do nothing.
const NOTHING: &str = r#"(module (func (export "run") (result i32) (i32.const 0)))"#;

/// The input into the plugin's own memory, then into Extism's as the output: eight bytes a call of the host's functions, which
/// is how Extism's development kits move bytes.
const COPY: &str = r#"(module
  (import "extism:host/env" "input_length" (func $input_length (result i64)))
  (import "extism:host/env" "input_load_u64" (func $input_load (param i64) (result i64)))
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "store_u64" (func $store (param i64 i64)))
  (import "extism:host/env" "output_set" (func $output (param i64 i64)))
  (memory 1)
  (func (export "run") (result i32)
    (local $length i64) (local $at i64) (local $out i64) (local $missing i64)
    (local.set $length (call $input_length))
    (local.set $missing (i64.sub
      (i64.div_u (i64.add (local.get $length) (i64.const 65543)) (i64.const 65536))
      (i64.extend_i32_u (memory.size))))
    (if (i64.gt_s (local.get $missing) (i64.const 0))
      (then (drop (memory.grow (i32.wrap_i64 (local.get $missing))))))
    (loop $in
      (i64.store (i32.wrap_i64 (local.get $at)) (call $input_load (local.get $at)))
      (local.set $at (i64.add (local.get $at) (i64.const 8)))
      (br_if $in (i64.lt_u (local.get $at) (local.get $length))))
    (local.set $out (call $alloc (local.get $length)))
    (local.set $at (i64.const 0))
    (loop $back
      (call $store (i64.add (local.get $out) (local.get $at)) (i64.load (i32.wrap_i64 (local.get $at))))
      (local.set $at (i64.add (local.get $at) (i64.const 8)))
      (br_if $back (i64.lt_u (local.get $at) (local.get $length))))
    (call $output (local.get $out) (local.get $length))
    (i32.const 0)))"#;

fn main() -> Result<()> {
    let numbers: Vec<usize> = std::env::args()
        .skip(1)
        .map(|text| text.parse().with_context(|| format!("{text:?} is no number")))
        .collect::<Result<_>>()?;
    let [calls, bytes, copies] = numbers.as_slice() else {
        anyhow::bail!("three numbers are needed: CALLS BYTES COPIES");
    };
    ensure!(bytes.is_multiple_of(8), "the plugin copies eight bytes at a time: {bytes} is no multiple of 8");
    let (nothing, copy) = (compiled(NOTHING)?, compiled(COPY)?);
    let input: Vec<u8> = (0..*bytes).map(|at| (at % 251) as u8).collect();
    let result = json!({
        "nothing_fresh": fresh(&nothing, &[], *calls)?,
        "nothing_kept": kept(&nothing, &[], *calls)?,
        "copy_fresh": fresh(&copy, &input, *copies)?,
        "copy_kept": kept(&copy, &input, *copies)?,
    });
    println!("{result}");
    Ok(())
}

fn compiled(text: &str) -> Result<CompiledPlugin> {
    let bytes = wat::parse_str(text).context("a plugin of ours is not WebAssembly")?;
    PluginBuilder::new(Manifest::new([Wasm::data(bytes)])).with_cache_disabled().compile()
}

/// An instance for each call: what our node gives to each task.
fn fresh(plugin: &CompiledPlugin, input: &[u8], calls: usize) -> Result<Vec<u64>> {
    timed(calls, || {
        let mut plugin = Plugin::new_from_compiled(plugin)?;
        call(&mut plugin, input)
    })
}

/// One instance for all calls: what Extism's users do who trust their plugins to forget.
fn kept(plugin: &CompiledPlugin, input: &[u8], calls: usize) -> Result<Vec<u64>> {
    let mut plugin = Plugin::new_from_compiled(plugin)?;
    timed(calls, || call(&mut plugin, input))
}

fn call(plugin: &mut Plugin, input: &[u8]) -> Result<()> {
    let output: &[u8] = plugin.call("run", input)?;
    ensure!(output.len() == input.len(), "{} bytes came back of {}", output.len(), input.len());
    // Whether they are the same is seen at the ends: looking at all would be measured as well.
    ensure!(output.first() == input.first() && output.last() == input.last(), "other bytes came back");
    Ok(())
}

/// The nanoseconds of each call.
fn timed(calls: usize, mut call: impl FnMut() -> Result<()>) -> Result<Vec<u64>> {
    let mut times = Vec::with_capacity(calls);
    for at in 0..calls + WARM_UP {
        let began = Instant::now();
        call()?;
        let took = began.elapsed();
        if at >= WARM_UP {
            times.push(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
        }
    }
    Ok(times)
}
