//! Block letters as strokes in a 100 × 100 box, so that logos look the same without any font.

use std::fmt::Write as _;

/// The strokes (20 wide, cut off at the box) of a letter.
fn strokes(letter: char) -> &'static str {
    match letter {
        'A' => "M9 104L43 10H57L91 104M25 68H75",
        'B' => "M10-5V105M10 10H60A18 18 0 0 1 60 47H10M60 47H66A20 21.5 0 0 1 66 90H10",
        'C' => "M88 30A41 40 0 1 0 88 70",
        'D' => "M10-5V105M10 10H46A44 40 0 0 1 46 90H10",
        'E' => "M10 0V100M10 10H100M10 50H92M10 90H100",
        'F' => "M10 0V100M10 10H100M10 52H90",
        'G' => "M88 29A41 40 0 1 0 88 73M90 104V56H54",
        'H' => "M10 0V100M90 0V100M10 50H90",
        'I' => "M50 0V100M12 10H88M12 90H88",
        'J' => "M82-2V60A34 30 0 0 1 12 64",
        'K' => "M10 0V100M98-10L20 58M42 40L98 112",
        'L' => "M10-5V90H100",
        'M' => "M10 105V-5M90 105V-5M8-8L50 64L92-8",
        'N' => "M10 105V-5M90 105V-5M8-6L92 106",
        'O' => "M50 10A40 40 0 1 0 50.1 10Z",
        'P' => "M10-5V105M10 10H66A21 22 0 0 1 66 54H10",
        'Q' => "M50 10A40 40 0 1 0 50.1 10ZM56 60L100 108",
        'R' => "M10-5V105M10 10H66A21 22 0 0 1 66 54H10M52 52L94 108",
        'S' => "M90 31C84 3 12 2 12 29C12 60 90 40 90 71C90 99 14 99 9 68",
        'T' => "M0 10H100M50 10V100",
        'U' => "M10-5V58A40 32 0 0 0 90 58V-5",
        'V' => "M7-8L50 94L93-8",
        'W' => "M7-8L28 100L50 14L72 100L93-8",
        'X' => "M6-8L94 108M94-8L6 108",
        'Y' => "M6-8L50 54L94-8M50 50V105",
        'Z' => "M2 10H86L14 90H100",
        '*' => "M50 12V88M17 31L83 69M83 31L17 69",
        '-' => "M10 50H90",
        _ => "M10 10H90V90H10Z",
    }
}

/// The identifier of a letter's symbol.
pub(super) fn id(letter: char) -> String {
    format!("g{:x}", u32::from(letter))
}

/// A hidden drawing that defines a symbol for each letter.
pub(super) fn definitions(letters: impl IntoIterator<Item = char>) -> String {
    let mut out = String::from(r#"<svg width="0" height="0" class="defs" aria-hidden="true"><defs>"#);
    for letter in letters {
        let _ = write!(
            out,
            r#"<symbol id="{}" viewBox="0 0 100 100" preserveAspectRatio="none"><path d="{}"/></symbol>"#,
            id(letter),
            strokes(letter)
        );
    }
    out + "</defs></svg>"
}
