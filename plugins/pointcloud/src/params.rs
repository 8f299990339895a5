//! The parameters of a task: its `meta`.

use serde::Deserialize;
use serde_json::Number;

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
    /// Any number, so that one that does not fit is told with its name.
    target_count: Option<Number>,
    outliers: Option<Outliers>,
    #[serde(default)]
    up: Axis,
}

/// `null` and `{}` stand for the defaults; what does not fit is named, with what is allowed.
impl TryFrom<Option<Meta>> for Params {
    type Error = String;

    fn try_from(meta: Option<Meta>) -> Result<Self, String> {
        let meta = meta.unwrap_or_default();
        let thinning = match (meta.voxel_size, meta.target_count) {
            (Some(_), Some(_)) => {
                return Err("meta has both voxel_size and target_count; give one of them".to_owned());
            }
            (Some(size), None) if size > 0.0 && size.is_finite() => Thinning::VoxelSize(size),
            (Some(size), None) => {
                return Err(format!("meta.voxel_size is {size}; it must be above 0"));
            }
            (None, Some(count)) => match count.as_u64().and_then(|count| u32::try_from(count).ok()) {
                Some(points @ 1..) => Thinning::TargetCount(points as usize),
                _ => return Err(format!("meta.target_count is {count}; it must be 1 or more")),
            },
            (None, None) => Thinning::TargetCount(DEFAULT_TARGET),
        };
        if let Some(Outliers { neighbours, std_ratio }) = meta.outliers {
            if !(1..=256).contains(&neighbours) {
                return Err(format!("meta.outliers.neighbours is {neighbours}; allowed are 1 to 256"));
            }
            if !(std_ratio > 0.0 && std_ratio.is_finite()) {
                return Err(format!("meta.outliers.std_ratio is {std_ratio}; it must be above 0"));
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
            (r#"{"voxel_size":0}"#, "voxel_size is 0; it must be above 0"),
            (r#"{"voxel_size":-1.5}"#, "-1.5"),
            (r#"{"voxel_size":1,"target_count":5}"#, "give one of them"),
            (r#"{"target_count":0}"#, "1 or more"),
            (r#"{"target_count":-3}"#, "target_count is -3; it must be 1 or more"),
            (r#"{"voxel":1}"#, "unknown field `voxel`"),
            (r#"{"up":"w"}"#, "unknown variant `w`"),
            (r#"{"outliers":{"neighbours":0}}"#, "1 to 256"),
            (r#"{"outliers":{"std_ratio":0}}"#, "above 0"),
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
