//! A point cloud in columns: one compact vector a property, in the PLY's own type.

use std::io;

use crate::failure::Failure;
use crate::vec3::Vec3;

/// The types that a property can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScalarType {
    /// 8 bits with a sign.
    Char,
    /// 8 bits.
    UChar,
    /// 16 bits with a sign.
    Short,
    /// 16 bits.
    UShort,
    /// 32 bits with a sign.
    Int,
    /// 32 bits.
    UInt,
    /// A floating point number of 32 bits.
    Float,
    /// A floating point number of 64 bits.
    Double,
}

/// Makes an enum with one vector type for each PLY scalar type, and what is the same for all of them.
/// Every PLY scalar fits into an `f64` without loss, so `f64` is what goes in and comes out.
macro_rules! values {
    ($($kind:ident($rust:ty)),*) => {
        /// The values of one property.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Values { $(#[doc = concat!("As ", stringify!($rust), ".")] $kind(Vec<$rust>)),* }

        impl Values {
            /// No values yet.
            pub fn new(kind: ScalarType) -> Self {
                match kind { $(ScalarType::$kind => Self::$kind(Vec::new())),* }
            }

            /// The PLY type.
            pub fn kind(&self) -> ScalarType {
                match self { $(Self::$kind(_) => ScalarType::$kind),* }
            }

            /// How many there are.
            pub(crate) fn len(&self) -> usize {
                match self { $(Self::$kind(values) => values.len()),* }
            }

            /// The value of a point; 0 past the end.
            #[inline]
            pub fn at(&self, index: usize) -> f64 {
                match self { $(Self::$kind(values) => values.get(index).map_or(0.0, |value| f64::from(*value))),* }
            }

            /// Appends a value; what an integer can't hold is cut off.
            #[inline]
            pub fn push(&mut self, value: f64) {
                match self { $(Self::$kind(values) => values.push(value as $rust)),* }
            }

            /// Appends a value, rounded to the nearest if this is a column of integers.
            #[inline]
            pub fn push_rounded(&mut self, value: f64) {
                match self {
                    Self::Float(_) | Self::Double(_) => self.push(value),
                    _ => self.push(value.round()),
                }
            }

            /// Makes room, so that the next `additional` calls of `push` can't run out of memory.
            pub fn reserve(&mut self, additional: usize) -> Result<(), Failure> {
                let points = (self.len() + additional) as u64;
                match self { $(Self::$kind(values) => values.try_reserve(additional)),* }
                    .map_err(|_| Failure::out_of_memory(points))
            }

            /// Keeps the points whose flag is set.
            pub fn retain(&mut self, keep: &[bool]) {
                let mut keep = keep.iter();
                match self { $(Self::$kind(values) => values.retain(|_| keep.next().copied().unwrap_or(true))),* }
            }

            /// Writes one value in little endian.
            #[inline]
            pub fn write_le(&self, index: usize, out: &mut impl io::Write) -> io::Result<()> {
                match self {
                    $(Self::$kind(values) => values.get(index).map_or(Ok(()), |value| out.write_all(&value.to_le_bytes()))),*
                }
            }
        }
    };
}

values!(Char(i8), UChar(u8), Short(i16), UShort(u16), Int(i32), UInt(u32), Float(f32), Double(f64));

/// What a property means to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// x, y or z, as 0, 1 or 2.
    Position(usize),
    /// nx, ny or nz.
    Normal(usize),
    /// A channel of the colour: red, green, blue or alpha, as 0 to 3.
    Colour(usize),
    /// Anything else.
    Other,
}

impl Role {
    /// What a property of this name means.
    pub fn of(name: &str) -> Self {
        match name {
            "x" => Self::Position(0),
            "y" => Self::Position(1),
            "z" => Self::Position(2),
            "nx" => Self::Normal(0),
            "ny" => Self::Normal(1),
            "nz" => Self::Normal(2),
            "red" | "diffuse_red" => Self::Colour(0),
            "green" | "diffuse_green" => Self::Colour(1),
            "blue" | "diffuse_blue" => Self::Colour(2),
            "alpha" | "diffuse_alpha" => Self::Colour(3),
            _ => Self::Other,
        }
    }

    /// What the properties of one element mean, in their order. Capitals are forgiven where no other
    /// property has that meaning, and so is `r`, `g` and `b` for the colour.
    pub fn of_all(names: &[&str]) -> Vec<Self> {
        let mut roles: Vec<Self> = names.iter().map(|name| Self::of(name)).collect();
        let lower: Vec<String> = names.iter().map(|name| name.to_ascii_lowercase()).collect();
        let short = ["r", "g", "b"];
        let coloured = short.iter().all(|channel| lower.iter().filter(|name| name == channel).count() == 1)
            && !lower.iter().any(|name| matches!(Self::of(name), Self::Colour(0..=2)));
        for (index, name) in lower.iter().enumerate() {
            let channel = short.iter().position(|short| short == name).filter(|_| coloured);
            let role = channel.map_or_else(|| Self::of(name), Self::Colour);
            if !roles.contains(&role)
                && let Some(slot) = roles.get_mut(index)
                && *slot == Self::Other
            {
                *slot = role;
            }
        }
        roles
    }
}

/// A property of all points.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// The name of the property in the PLY header.
    pub name: String,
    /// What the values mean: a coordinate, a normal, a colour or something that is only passed on.
    pub role: Role,
    /// One value for each point.
    pub values: Values,
}

/// Points with their properties, in the order of the scan's header. There is always an x, a y and a z.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Cloud {
    /// The properties.
    pub columns: Vec<Column>,
    /// The lines of the scan's header that begin with `comment` or `obj_info`: such a line can say in which
    /// coordinate reference system the scan is.
    pub remarks: Vec<Vec<u8>>,
    /// The full brightness of the colours, as [`Cloud::judge_colours`] found it.
    pub brightest: Option<f64>,
}

impl Cloud {
    /// How many points there are.
    pub fn len(&self) -> usize {
        self.columns.first().map_or(0, |column| column.values.len())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first property with this meaning.
    pub fn find(&self, role: Role) -> Option<&Values> {
        self.columns.iter().find(|column| column.role == role).map(|column| &column.values)
    }

    /// Where the points are.
    pub fn positions(&self) -> Result<Vec<Vec3>, Failure> {
        self.triples(Role::Position).map(Option::unwrap_or_default)
    }

    /// Their normals as the scan has them, if it does; not of length 1, perhaps not even finite.
    pub fn normals(&self) -> Result<Option<Vec<Vec3>>, Failure> {
        self.triples(Role::Normal)
    }

    /// Finds out what full brightness is, from the colours of all points: call it while they are all there.
    /// Bytes go to 255. Of other types the header does not tell; writers use 0 to 1 (floats), 0 to 255 or 0 to
    /// 65535, and the largest value of the file says which. Floats a little above 1 or 255 are still of that
    /// range: interpolation overshoots.
    pub fn judge_colours(&mut self) {
        let channels = [0, 1, 2].map(|channel| self.find(Role::Colour(channel)));
        let values = |values: &Values| (0..values.len()).map(|index| values.at(index)).fold(0.0, f64::max);
        let largest = channels.iter().flatten().map(|channel| values(channel)).fold(0.0, f64::max);
        let kinds = || channels.iter().flatten().map(|values| values.kind());
        let floats = kinds().all(|kind| matches!(kind, ScalarType::Float | ScalarType::Double));
        let bytes = kinds().any(|kind| matches!(kind, ScalarType::Char | ScalarType::UChar));
        self.brightest = Some(match floats {
            true if largest <= 1.5 => 1.0,
            true if largest <= 1.5 * 255.0 => 255.0,
            false if bytes || largest <= 255.0 => 255.0,
            _ => 65_535.0,
        });
    }

    /// Their colours from 0 to 1, if there are some.
    pub fn colours(&self) -> Result<Option<Vec<Vec3>>, Failure> {
        let full = self.brightest.unwrap_or(255.0);
        let mut colours = self.triples(Role::Colour)?;
        for channel in colours.iter_mut().flatten().flatten() {
            let value = (*channel / full).clamp(0.0, 1.0);
            *channel = if value.is_nan() { 0.0 } else { value };
        }
        Ok(colours)
    }

    /// Keeps the points whose flag is set.
    pub fn retain(&mut self, keep: &[bool]) {
        for column in &mut self.columns {
            column.values.retain(keep);
        }
    }

    fn triples(&self, role: fn(usize) -> Role) -> Result<Option<Vec<Vec3>>, Failure> {
        let (Some(a), Some(b), Some(c)) = (self.find(role(0)), self.find(role(1)), self.find(role(2))) else {
            return Ok(None);
        };
        let mut triples = Vec::new();
        triples.try_reserve_exact(self.len()).map_err(|_| Failure::out_of_memory(self.len() as u64))?;
        triples.extend((0..self.len()).map(|index| [a.at(index), b.at(index), c.at(index)]));
        Ok(Some(triples))
    }
}
