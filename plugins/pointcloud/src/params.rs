//! The parameters of a task: its `meta`.

use std::ops::RangeInclusive;

use serde::Deserialize;
use serde_json::value::RawValue;

/// What a voxel size can be, in the scan's units.
const SIZES: RangeInclusive<f64> = 1e-9..=1e9;
/// How many points can be asked for.
const COUNTS: RangeInclusive<f64> = 1.0..=4_294_967_295.0;
/// How many neighbours can be looked at.
const NEIGHBOURS: RangeInclusive<f64> = 1.0..=256.0;
/// How many standard deviations can be allowed.
const RATIOS: RangeInclusive<f64> = 1e-9..=1e9;
/// How much of a value that is refused is shown, in characters.
const SHOWN: usize = 60;

/// How many points are kept when the task does not say.
pub const DEFAULT_TARGET: usize = 20_000;

/// The JSON Schema of [`Params`]; shown to people.
pub const META_SCHEMA: &str = include_str!("meta.schema.json");

/// What a task wants.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Option<Meta>")]
pub struct Params {
    /// How much to thin.
    pub thinning: Thinning,
    /// Whether to remove outliers first.
    pub outliers: Option<Outliers>,
    /// The axis that points up in the preview.
    pub up: Axis,
}

/// How much to thin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Thinning {
    /// To one point a voxel of this size, in the scan's units.
    VoxelSize(f64),
    /// To at most this many points.
    TargetCount(usize),
}

/// Statistical outlier removal: a point goes whose mean distance to its nearest neighbours is further
/// above the average of all points than so many standard deviations.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outliers {
    /// How many neighbours are looked at.
    pub neighbours: usize,
    /// How many standard deviations are allowed.
    pub std_ratio: f64,
}

impl Default for Outliers {
    fn default() -> Self {
        Self { neighbours: 16, std_ratio: 2.0 }
    }
}

/// An axis of the scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Axis {
    /// The first.
    X,
    /// The second; what most models have.
    #[default]
    Y,
    /// The third; what most surveys have.
    Z,
}

/// Numbers as they are written, so that each that does not fit is told with its name, its digits and the range.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Meta {
    voxel_size: Option<Box<RawValue>>,
    target_count: Option<Box<RawValue>>,
    outliers: Option<OutliersMeta>,
    #[serde(default)]
    up: Axis,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OutliersMeta {
    neighbours: Option<Box<RawValue>>,
    std_ratio: Option<Box<RawValue>>,
}

/// A number within a range, if one is given.
fn number(name: &str, given: Option<&RawValue>, range: &RangeInclusive<f64>) -> Result<Option<f64>, String> {
    let Some(given) = given else { return Ok(None) };
    let fits = |value: &f64| range.contains(value);
    serde_json::from_str(given.get())
        .ok()
        .filter(fits)
        .map(Some)
        .ok_or_else(|| outside(name, given, "number", range))
}

/// The same of a whole number.
fn whole(name: &str, given: Option<&RawValue>, range: &RangeInclusive<f64>) -> Result<Option<usize>, String> {
    let Some(raw) = given else { return Ok(None) };
    let refused = || outside(name, raw, "whole number", range);
    let value = number(name, given, range).map_err(|_| refused())?;
    let is_whole = |value: &f64| value.fract() == 0.0;
    // In the range, which a `usize` holds.
    value.filter(is_whole).map(|value| Some(value as usize)).ok_or_else(refused)
}

fn outside(name: &str, given: &RawValue, kind: &str, range: &RangeInclusive<f64>) -> String {
    let text = given.get();
    let shown: String = text.chars().take(SHOWN).collect();
    let more = if shown.len() < text.len() { "..." } else { "" };
    let edge = |value: f64| if value < 1.0 { format!("{value:e}") } else { value.to_string() };
    format!(
        "meta.{name} is {shown}{more}; it can be a {kind} from {} to {}",
        edge(*range.start()),
        edge(*range.end())
    )
}

/// `null` and `{}` stand for the defaults; what does not fit is named, with what is allowed.
impl TryFrom<Option<Meta>> for Params {
    type Error = String;

    fn try_from(meta: Option<Meta>) -> Result<Self, String> {
        let meta = meta.unwrap_or_default();
        let size = number("voxel_size", meta.voxel_size.as_deref(), &SIZES)?;
        let count = whole("target_count", meta.target_count.as_deref(), &COUNTS)?;
        let thinning = match (size, count) {
            (Some(_), Some(_)) => {
                return Err("meta has both voxel_size and target_count; give one of them".to_owned());
            }
            (Some(size), None) => Thinning::VoxelSize(size),
            (None, count) => Thinning::TargetCount(count.unwrap_or(DEFAULT_TARGET)),
        };
        let outliers = match meta.outliers {
            Some(given) => Some(Outliers::read(&given)?),
            None => None,
        };
        Ok(Self { thinning, outliers, up: meta.up })
    }
}

impl Outliers {
    fn read(given: &OutliersMeta) -> Result<Self, String> {
        let default = Self::default();
        let neighbours = whole("outliers.neighbours", given.neighbours.as_deref(), &NEIGHBOURS)?;
        let std_ratio = number("outliers.std_ratio", given.std_ratio.as_deref(), &RATIOS)?;
        Ok(Self {
            neighbours: neighbours.unwrap_or(default.neighbours),
            std_ratio: std_ratio.unwrap_or(default.std_ratio),
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn nothing_stands_for_the_defaults() {
        let expected = Params { thinning: Thinning::TargetCount(20_000), outliers: None, up: Axis::Y };
        assert_eq!(serde_json::from_str::<Params>("null").unwrap(), expected);
        assert_eq!(serde_json::from_str::<Params>("{}").unwrap(), expected);
    }

    #[test]
    fn all_that_is_given_is_taken() {
        let meta = r#"{"voxel_size":0.5,"outliers":{"neighbours":8},"up":"z"}"#;
        let expected = Params {
            thinning: Thinning::VoxelSize(0.5),
            outliers: Some(Outliers { neighbours: 8, std_ratio: 2.0 }),
            up: Axis::Z,
        };
        assert_eq!(serde_json::from_str::<Params>(meta).unwrap(), expected);
    }

    #[test]
    fn what_is_wrong_is_named_with_what_is_allowed() {
        for (meta, said) in [
            (r#"{"voxel_size":0}"#, "meta.voxel_size is 0; it can be a number from 1e-9 to 1000000000"),
            (r#"{"voxel_size":-1.5}"#, "voxel_size is -1.5; it can be a number from"),
            (r#"{"voxel_size":1e-300}"#, "voxel_size is 1e-300; it can be"),
            (r#"{"voxel_size":1e999}"#, "voxel_size is 1e999; it can be"),
            (r#"{"voxel_size":"1"}"#, "voxel_size is \"1\"; it can be"),
            (r#"{"voxel_size":1,"target_count":5}"#, "give one of them"),
            (
                r#"{"target_count":0}"#,
                "meta.target_count is 0; it can be a whole number from 1 to 4294967295",
            ),
            (r#"{"target_count":-3}"#, "target_count is -3; it can be a whole number"),
            (r#"{"target_count":1.5}"#, "target_count is 1.5; it can be a whole number"),
            (r#"{"target_count":4294967296}"#, "target_count is 4294967296; it can be"),
            (r#"{"target_count":1e999}"#, "target_count is 1e999; it can be"),
            (r#"{"voxel":1}"#, "unknown field `voxel`"),
            (r#"{"up":"w"}"#, "unknown variant `w`"),
            (
                r#"{"outliers":{"neighbours":0}}"#,
                "meta.outliers.neighbours is 0; it can be a whole number from 1 to 256",
            ),
            (r#"{"outliers":{"neighbours":-1}}"#, "neighbours is -1; it can be"),
            (r#"{"outliers":{"neighbours":257}}"#, "neighbours is 257; it can be"),
            (r#"{"outliers":{"std_ratio":0}}"#, "meta.outliers.std_ratio is 0; it can be a number from 1e-9"),
            (r#"{"outliers":{"std_ratio":1e999}}"#, "std_ratio is 1e999; it can be"),
            (r#"{"outliers":{"ratio":1}}"#, "unknown field `ratio`"),
            ("[1]", "expected struct Meta"),
        ] {
            let error = serde_json::from_str::<Params>(meta).unwrap_err().to_string();
            assert!(error.contains(said), "{meta}: expected `{said}` in `{error}`");
        }
    }

    #[test]
    fn the_schema_is_json_and_knows_the_same_fields() {
        let schema: serde_json::Value = serde_json::from_str(META_SCHEMA).unwrap();
        let fields: Vec<&String> =
            schema.pointer("/properties").unwrap().as_object().unwrap().keys().collect();
        assert_eq!(fields, ["outliers", "target_count", "up", "voxel_size"]);
    }
}
