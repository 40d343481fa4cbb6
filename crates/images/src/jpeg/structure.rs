//! What the markers of a file say, in the order in which a decoder meets them.

/// Start of a frame whose picture becomes finer with every scan.
const PROGRESSIVE: [u8; 4] = [0xc2, 0xc6, 0xca, 0xce];

/// Before coded blocks.
const SCAN: u8 = 0xda;

/// The end of the picture.
const END: u8 = 0xd9;

/// The markers from the start of a picture to its end. A thumbnail, which is a picture with an end of its
/// own, lies within a segment; what follows the end does not matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Structure {
    /// Whether there is an end: the decoder does not miss it.
    pub has_end: bool,
    is_progressive: bool,
    scans: usize,
}

impl Structure {
    pub fn read(bytes: &[u8]) -> Self {
        let mut structure = Self::default();
        let mut rest = bytes.get(2..).unwrap_or_default();
        while let Some((marker, tail)) = next_marker(rest) {
            if marker == END {
                structure.has_end = true;
                break;
            }
            structure.is_progressive |= PROGRESSIVE.contains(&marker);
            structure.scans += usize::from(marker == SCAN);
            let Some(length) = tail.first_chunk().map(|&length| u16::from_be_bytes(length)) else {
                break;
            };
            rest = tail.get(length.into()..).unwrap_or_default();
        }
        structure
    }

    /// Bytes that a decoder keeps for each pixel until the last scan, where there are several: two for a
    /// coefficient.
    pub fn bytes_of_coefficients(&self, components: u64) -> u64 {
        let keeps = self.is_progressive || self.scans > 1;
        if keeps { 2 * components } else { 0 }
    }
}

/// The next marker that a segment follows, or the end, and what is behind it. Coded blocks hold none.
fn next_marker(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let is_marker =
        |pair: &[u8]| pair[0] == 0xff && !matches!(pair[1], 0 | 0x01 | 0xd0..=0xd8 | 0xff);
    let at = bytes.windows(2).position(is_marker)?;
    Some((bytes[at + 1], &bytes[at + 2..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_and_scans_are_walked_through() {
        let has_end = |bytes: &[u8]| Structure::read(bytes).has_end;
        let start = [0xff, 0xd8, 0xff, 0xfe, 0, 4, 0xff, 0xd9];
        assert!(!has_end(&start), "the end lies in a comment");
        let scan = [0xff, 0xda, 0, 2, 9, 0xff, 0, 0xff, 0xd0, 7];
        let end = [0xff, 0xff, 0xd9];
        assert!(!has_end(&[&start[..], &scan].concat()));
        let whole = [&start[..], &scan, &end].concat();
        assert!(has_end(&whole));
        // Such as a film behind a photograph, cut off within one of its pictures.
        assert!(has_end(&[&whole[..], &scan].concat()));
        for bytes in [
            &[][..],
            &[0xff],
            &[0xff, 0xd8, 0xff, 0xc0, 0xff, 0xff, 1],
            &[0; 5],
        ] {
            assert_eq!(Structure::read(bytes), Structure::default());
        }
    }

    #[test]
    fn coefficients_are_kept_where_a_later_scan_needs_them() {
        let bytes = |frame: u8, scans: usize| {
            let scans = [0xff, SCAN, 0, 2].repeat(scans);
            let file = [&[0xff, 0xd8, 0xff, frame, 0, 2][..], &scans, &[0xff, END]].concat();
            Structure::read(&file).bytes_of_coefficients(3)
        };
        assert_eq!((bytes(0xc0, 1), bytes(0xc0, 3), bytes(0xc2, 1)), (0, 6, 6));
    }
}
