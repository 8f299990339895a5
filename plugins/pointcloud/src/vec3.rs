//! The little of linear algebra that is needed.

/// A point or direction.
pub(crate) type Vec3 = [f64; 3];

/// `a + b`.
pub(crate) fn add(a: Vec3, b: Vec3) -> Vec3 {
    [a[0] + b[0], a[1] + b[1], a[2] + b[2]]
}

/// `a - b`.
pub(crate) fn sub(a: Vec3, b: Vec3) -> Vec3 {
    [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
}

/// `a * factor`.
pub(crate) fn scale(a: Vec3, factor: f64) -> Vec3 {
    a.map(|value| value * factor)
}

/// The dot product.
pub(crate) fn dot(a: Vec3, b: Vec3) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

/// The cross product.
pub(crate) fn cross(a: Vec3, b: Vec3) -> Vec3 {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

/// `a` with length 1, or none if it has no direction.
pub(crate) fn unit(a: Vec3) -> Option<Vec3> {
    let length = dot(a, a).sqrt();
    (length.is_finite() && length > 1e-12).then(|| scale(a, 1.0 / length))
}

/// The smallest box around points: its least and its greatest corner.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Bounds {
    /// The least of each coordinate.
    pub min: Vec3,
    /// The greatest of each coordinate.
    pub max: Vec3,
}

impl Bounds {
    /// The box around `points`; none of no points.
    pub(crate) fn of(points: &[Vec3]) -> Option<Self> {
        let first = *points.first()?;
        let mut bounds = Self { min: first, max: first };
        for point in points {
            for ((min, max), value) in bounds.min.iter_mut().zip(&mut bounds.max).zip(point) {
                *min = min.min(*value);
                *max = max.max(*value);
            }
        }
        Some(bounds)
    }

    /// The length of the box along each axis.
    pub(crate) fn extent(&self) -> Vec3 {
        sub(self.max, self.min)
    }

    /// The centre of the box.
    pub(crate) fn centre(&self) -> Vec3 {
        add(self.min, scale(self.extent(), 0.5))
    }

    /// The length of the longest side.
    pub(crate) fn longest(&self) -> f64 {
        self.extent().into_iter().fold(0.0, f64::max)
    }
}
