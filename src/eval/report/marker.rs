//! Shapes of dots, so that series are told apart without their colour.

use super::svg::polyline;

/// The shape of a series' dots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Marker {
    Circle,
    Square,
    Triangle,
    Diamond,
}

impl Marker {
    /// That of a series: with the colours, which have another period, the first 28 differ.
    pub(super) fn of(series: usize) -> Self {
        [Self::Circle, Self::Square, Self::Triangle, Self::Diamond][series % 4]
    }

    /// Closed path data around a point; every shape covers about the area of the circle with that radius.
    pub(super) fn outline(self, (x, y): (f64, f64), radius: f64) -> String {
        let corners: Vec<(f64, f64)> = match self {
            Self::Circle => (0..12).map(|i| std::f64::consts::TAU * f64::from(i) / 12.0).map(f64::sin_cos).collect(),
            Self::Square => vec![(-0.89, -0.89), (0.89, -0.89), (0.89, 0.89), (-0.89, 0.89)],
            Self::Triangle => vec![(0.0, -1.4), (1.25, 0.85), (-1.25, 0.85)],
            Self::Diamond => vec![(0.0, -1.3), (1.3, 0.0), (0.0, 1.3), (-1.3, 0.0)],
        };
        polyline(corners.into_iter().map(|(dx, dy)| (x + radius * dx, y + radius * dy))) + "Z"
    }
}

#[cfg(test)]
mod tests {
    use super::super::palette;
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn shapes_and_colours_together_tell_28_series_apart() {
        let looks: BTreeSet<String> = (0..28).map(|i| format!("{}{:?}", palette::class(i), Marker::of(i))).collect();
        assert_eq!(looks.len(), 28);
        assert_eq!(Marker::Square.outline((10.0, 20.0), 1.0), "M9.11 19.11L10.89 19.11L10.89 20.89L9.11 20.89Z");
    }
}
