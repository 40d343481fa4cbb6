//! Four inks to three colours, in Pillow's whole numbers.

/// Pixels of cyan, magenta, yellow and black, stored inverted as Adobe does, in red, green and blue.
pub fn to_rgb(pixels: &[[u8; 4]]) -> Vec<u8> {
    let colours = pixels.iter().flat_map(|&[cyan, magenta, yellow, black]| {
        [cyan, magenta, yellow].map(|ink| black - product(255 - ink, black))
    });
    colours.collect()
}

/// `a b / 255`, rounded.
fn product(a: u8, b: u8) -> u8 {
    let product = u32::from(a) * u32::from(b) + 128;
    // The shifted sum is the division's exact value.
    ((product + (product >> 8)) >> 8) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_ink_is_white_and_black_is_black() {
        let white = [255; 4];
        let black = [255, 255, 255, 0];
        let red = [255, 0, 0, 255];
        let pixels = to_rgb(&[white, black, red]);
        assert_eq!(pixels, [255, 255, 255, 0, 0, 0, 255, 0, 0]);
    }
}
