//! What a header says: how the file is written, and what it consists of.

use crate::cloud::ScalarType;

/// How numbers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// As words.
    Ascii,
    /// As bytes, the least significant first.
    LittleEndian,
    /// As bytes, the most significant first.
    BigEndian,
}

/// One number or a list of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// One number.
    Scalar(ScalarType),
    /// A length of the first type, then so many items of the second.
    List(ScalarType, ScalarType),
}

/// A property of each entry of an element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Property {
    /// Whatever the writer called it: letters of any script, brackets, dots.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
}

/// Entries of one kind, such as vertices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Element {
    /// As in the header.
    pub name: String,
    /// How many entries the header announces.
    pub count: u64,
    /// In the order in which an entry has them.
    pub properties: Vec<Property>,
    /// The line of the header that names it.
    pub line: u64,
}

impl Element {
    /// Whether these are the points.
    pub(super) fn is_vertex(&self) -> bool {
        self.name.eq_ignore_ascii_case("vertex")
    }
}

/// A header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    /// How the entries are written.
    pub encoding: Encoding,
    /// In the order in which the file has them.
    pub elements: Vec<Element>,
    /// The lines that begin with `comment` or `obj_info`, as they are.
    pub remarks: Vec<Vec<u8>>,
}

/// The type with a name of either scheme; capitals are forgiven.
pub(super) fn scalar_type(name: &str) -> Option<ScalarType> {
    Some(match name.to_ascii_lowercase().as_str() {
        "char" | "int8" => ScalarType::Char,
        "uchar" | "uint8" => ScalarType::UChar,
        "short" | "int16" => ScalarType::Short,
        "ushort" | "uint16" => ScalarType::UShort,
        "int" | "int32" => ScalarType::Int,
        "uint" | "uint32" => ScalarType::UInt,
        "float" | "float32" => ScalarType::Float,
        "double" | "float64" => ScalarType::Double,
        _ => return None,
    })
}

/// The name that is written for a type.
pub(super) fn type_name(kind: ScalarType) -> &'static str {
    match kind {
        ScalarType::Char => "char",
        ScalarType::UChar => "uchar",
        ScalarType::Short => "short",
        ScalarType::UShort => "ushort",
        ScalarType::Int => "int",
        ScalarType::UInt => "uint",
        ScalarType::Float => "float",
        ScalarType::Double => "double",
    }
}
