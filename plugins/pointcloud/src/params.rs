//! The parameters of a task: its `meta`.

use serde::Deserialize;

use crate::failure::Failure;

/// How many points are kept when the task does not say.
pub const DEFAULT_TARGET: usize = 20_000;

/// The JSON Schema of what [`Params::parse`] takes; shown to people.
pub const META_SCHEMA: &str = include_str!("meta.schema.json");

/// What a task wants.
#[derive(Debug, Clone, PartialEq)]
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
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
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

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Meta {
    voxel_size: Option<f64>,
    target_count: Option<u32>,
    outliers: Option<Outliers>,
    #[serde(default)]
    up: Axis,
}

impl Params {
    /// Reads a task's `meta`; `null` and `{}` stand for the defaults.
    ///
    /// # Errors
    /// [`Failure::InvalidTask`] that says which field is wrong and what is allowed.
    pub fn parse(meta: &str) -> Result<Self, Failure> {
        let wrong = |what: String| Failure::InvalidTask(what);
        let meta = serde_json::from_str::<Option<Meta>>(meta)
            .map_err(|error| {
                wrong(format!(
                    "can't read the task's meta: {error}; allowed are voxel_size (above 0) or target_count \
                     (1 or more), outliers {{neighbours, std_ratio}} and up (x, y or z)"
                ))
            })?
            .unwrap_or_default();
        let thinning = match (meta.voxel_size, meta.target_count) {
            (Some(_), Some(_)) => {
                return Err(wrong("meta has both voxel_size and target_count; give one of them".into()));
            }
            (Some(size), None) if size > 0.0 && size.is_finite() => Thinning::VoxelSize(size),
            (Some(size), None) => {
                return Err(wrong(format!("meta.voxel_size is {size}; it must be above 0")));
            }
            (None, Some(0)) => return Err(wrong("meta.target_count is 0; it must be 1 or more".into())),
            (None, Some(count)) => Thinning::TargetCount(count as usize),
            (None, None) => Thinning::TargetCount(DEFAULT_TARGET),
        };
        if let Some(Outliers { neighbours, std_ratio }) = meta.outliers {
            if !(1..=256).contains(&neighbours) {
                return Err(wrong(format!("meta.outliers.neighbours is {neighbours}; allowed are 1 to 256")));
            }
            if !(std_ratio > 0.0 && std_ratio.is_finite()) {
                return Err(wrong(format!("meta.outliers.std_ratio is {std_ratio}; it must be above 0")));
            }
        }
        Ok(Self { thinning, outliers: meta.outliers, up: meta.up })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn nothing_stands_for_the_defaults() {
        let expected = Params { thinning: Thinning::TargetCount(20_000), outliers: None, up: Axis::Y };
        assert_eq!(Params::parse("null").unwrap(), expected);
        assert_eq!(Params::parse("{}").unwrap(), expected);
    }

    #[test]
    fn all_that_is_given_is_taken() {
        let meta = r#"{"voxel_size":0.5,"outliers":{"neighbours":8},"up":"z"}"#;
        let expected = Params {
            thinning: Thinning::VoxelSize(0.5),
            outliers: Some(Outliers { neighbours: 8, std_ratio: 2.0 }),
            up: Axis::Z,
        };
        assert_eq!(Params::parse(meta).unwrap(), expected);
    }

    #[test]
    fn what_is_wrong_is_named_with_what_is_allowed() {
        for (meta, said) in [
            (r#"{"voxel_size":0}"#, "voxel_size is 0; it must be above 0"),
            (r#"{"voxel_size":-1.5}"#, "-1.5"),
            (r#"{"voxel_size":1,"target_count":5}"#, "give one of them"),
            (r#"{"target_count":0}"#, "1 or more"),
            (r#"{"target_count":-3}"#, "target_count"),
            (r#"{"voxel":1}"#, "unknown field `voxel`"),
            (r#"{"up":"w"}"#, "unknown variant `w`"),
            (r#"{"outliers":{"neighbours":0}}"#, "1 to 256"),
            (r#"{"outliers":{"std_ratio":0}}"#, "above 0"),
            ("[1]", "can't read the task's meta"),
        ] {
            let failure = Params::parse(meta).unwrap_err();
            assert!(matches!(failure, Failure::InvalidTask(_)), "{meta}: {failure:?}");
            assert!(failure.to_string().contains(said), "{meta}: expected `{said}` in `{failure}`");
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
