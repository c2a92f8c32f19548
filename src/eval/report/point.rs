//! A point whose coordinates may be missing.

use serde::{Deserialize, Serialize};

/// A point of a plot; a coordinate that is not finite is a gap, stored as null.
///
/// ```
/// use seqtilt::eval::report::Point;
/// let text = serde_json::to_string(&Point { x: 1.0, y: f64::NAN }).map_err(|e| seqtilt::Error::data(e.to_string()))?;
/// assert_eq!(text, "[1.0,null]");
/// # Ok::<(), seqtilt::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "[Option<f64>; 2]", into = "[Option<f64>; 2]")]
pub struct Point {
    /// Horizontal.
    pub x: f64,
    /// Vertical.
    pub y: f64,
}

impl From<[Option<f64>; 2]> for Point {
    fn from([x, y]: [Option<f64>; 2]) -> Self {
        Self { x: x.unwrap_or(f64::NAN), y: y.unwrap_or(f64::NAN) }
    }
}

impl From<Point> for [Option<f64>; 2] {
    fn from(point: Point) -> Self {
        [point.x, point.y].map(|c| Some(c).filter(|c| c.is_finite()))
    }
}

impl From<(f64, f64)> for Point {
    fn from((x, y): (f64, f64)) -> Self {
        Self { x, y }
    }
}
