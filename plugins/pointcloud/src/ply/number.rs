//! Numbers as words, as the world's C libraries write them.

use crate::cloud::ScalarType;

/// The number that a word says, if it is one of this type. An integer may have zeros behind a point.
pub(super) fn parse(word: &str, kind: ScalarType) -> Option<f64> {
    let range = match kind {
        ScalarType::Float => return word.parse::<f32>().ok().map(f64::from).or_else(|| not_finite(word)),
        ScalarType::Double => return word.parse().ok().or_else(|| not_finite(word)),
        ScalarType::Char => f64::from(i8::MIN)..=f64::from(i8::MAX),
        ScalarType::UChar => 0.0..=f64::from(u8::MAX),
        ScalarType::Short => f64::from(i16::MIN)..=f64::from(i16::MAX),
        ScalarType::UShort => 0.0..=f64::from(u16::MAX),
        ScalarType::Int => f64::from(i32::MIN)..=f64::from(i32::MAX),
        ScalarType::UInt => 0.0..=f64::from(u32::MAX),
    };
    word.parse().ok().filter(|value: &f64| value.fract() == 0.0 && range.contains(value))
}

/// What Windows writes for infinity and for no number: `1.#INF`, `-1.#IND`, `1.#QNAN`, `-nan(ind)`.
fn not_finite(word: &str) -> Option<f64> {
    let lower = word.to_ascii_lowercase();
    let (sign, rest) = match lower.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, lower.strip_prefix('+').unwrap_or(&lower)),
    };
    if let Some(kind) = rest.strip_prefix("1.#") {
        let kind = kind.trim_end_matches('0');
        return match kind {
            "inf" => Some(sign * f64::INFINITY),
            "ind" | "qnan" | "snan" | "nan" => Some(f64::NAN),
            _ => None,
        };
    }
    (rest.starts_with("nan(") && rest.ends_with(')')).then_some(f64::NAN)
}

/// What a type holds, for errors.
pub(super) fn describe(kind: ScalarType) -> &'static str {
    match kind {
        ScalarType::Char => "a char (-128 to 127)",
        ScalarType::UChar => "an uchar (0 to 255)",
        ScalarType::Short => "a short (-32768 to 32767)",
        ScalarType::UShort => "an ushort (0 to 65535)",
        ScalarType::Int => "an int (32 bits)",
        ScalarType::UInt => "an uint (32 bits)",
        ScalarType::Float | ScalarType::Double => "a number",
    }
}
