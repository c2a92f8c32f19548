//! Colours that colour-blind readers can tell apart.

/// Number of series colours (Okabe and Ito's palette without yellow); series beyond it start over with another dash.
pub(super) const SERIES: usize = 7;

/// The class of a series' colour: `c0` … `c6`.
pub(super) fn class(series: usize) -> String {
    format!("c{}", series % SERIES)
}

/// A colour of the viridis ramp without its darkest and lightest ends; `share` in 0..=1.
pub(super) fn ramp(share: f64) -> String {
    blend(&[(72, 40, 120), (49, 104, 142), (33, 145, 140), (53, 183, 121), (170, 205, 50)], share)
}

/// Blue through near-white to red; `share` in 0..=1 with 0.5 neutral.
pub(super) fn diverging(share: f64) -> String {
    blend(
        &[
            (33, 102, 172),
            (103, 169, 207),
            (209, 229, 240),
            (247, 247, 247),
            (253, 219, 199),
            (239, 138, 98),
            (178, 24, 43),
        ],
        share,
    )
}

/// White to dark blue; `share` in 0..=1.
pub(super) fn sequential(share: f64) -> String {
    blend(&[(247, 251, 255), (198, 219, 239), (107, 174, 214), (33, 113, 181), (8, 48, 107)], share)
}

/// The class of a letter in a logo: by base for nucleic acids, by side chain for proteins.
pub(super) fn letter(letter: char, nucleic: bool) -> &'static str {
    match (nucleic, letter) {
        (true, 'A') => "la",
        (true, 'C') => "lc",
        (true, 'G') => "lg",
        (true, 'T' | 'U') => "lt",
        (false, 'G' | 'S' | 'T' | 'Y' | 'C') => "la",
        (false, 'K' | 'R' | 'H') => "lc",
        (false, 'D' | 'E') => "lt",
        (false, 'N' | 'Q') => "lp",
        _ => "lk",
    }
}

fn blend(stops: &[(u8, u8, u8)], share: f64) -> String {
    let place = if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) } * (stops.len() - 1) as f64;
    let low = (place.floor() as usize).min(stops.len() - 2);
    let part = place - low as f64;
    let mix = |a: u8, b: u8| (f64::from(a) + part * (f64::from(b) - f64::from(a))).round() as u8;
    let (a, b) = (stops[low], stops[low + 1]);
    format!("#{:02x}{:02x}{:02x}", mix(a.0, b.0), mix(a.1, b.1), mix(a.2, b.2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ramps_reach_their_ends_and_the_middle_is_neutral() {
        assert_eq!([diverging(0.0), diverging(0.5), diverging(1.0)], ["#2166ac", "#f7f7f7", "#b2182b"]);
        assert_eq!([sequential(-1.0), sequential(2.0)], ["#f7fbff", "#08306b"]);
        assert_eq!(class(8), "c1");
    }
}
