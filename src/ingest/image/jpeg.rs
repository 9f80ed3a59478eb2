//! What a JPEG's markers say before it is decoded.
//!
//! In come the bytes of a file; out goes what the decoder does not tell: whether the file was cut
//! short (it paints the missing part grey and calls it success) and whether the coefficients of the
//! whole image are held while it decodes.

/// What the markers of a JPEG say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Markers {
    /// The first scan begins, but nothing ends the image.
    pub(super) cut_short: bool,
    /// The image comes in several passes over all of it.
    pub(super) progressive: bool,
}

/// Reads the markers up to the first scan. What is broken here is for the decoder to report.
pub(super) fn markers(bytes: &[u8]) -> Markers {
    let mut found = Markers::default();
    let mut at = 2; // past the start-of-image marker
    while let Some((marker, body)) = next_marker(bytes, at) {
        match marker {
            // Start of scan: in scan data, FF is always followed by 00 or a marker, so an end marker
            // after here is a real one. Thumbnails with their own end lie in segments before.
            0xDA => {
                let scans = bytes.get(body..).unwrap_or_default();
                found.cut_short = !scans.windows(2).rev().any(|pair| pair == [0xFF, 0xD9]);
                break;
            }
            0xC2 | 0xC6 | 0xCA | 0xCE => found.progressive = true,
            _ => {}
        }
        let alone = matches!(marker, 0x01 | 0xD0..=0xD9);
        let length = match (alone, bytes.get(body..body + 2)) {
            (true, _) => 0,
            (false, Some(&[high, low])) => usize::from(u16::from_be_bytes([high, low])),
            (false, _) => break,
        };
        at = body + length;
    }
    found
}

/// The next marker at or after `at`, and where its body begins.
fn next_marker(bytes: &[u8], at: usize) -> Option<(u8, usize)> {
    let rest = bytes.get(at..)?;
    let start = rest.iter().position(|&byte| byte == 0xFF)?;
    // A marker may be preceded by any number of fill bytes.
    let fill = rest[start..].iter().position(|&byte| byte != 0xFF)?;
    let marker = at + start + fill;
    Some((bytes[marker], marker + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_end_marker_inside_a_segment_does_not_count() {
        let segment = [0xFF, 0xD8, 0xFF, 0xE1, 0, 6, 1, 2, 0xFF, 0xD9];
        let scan = [0xFF, 0xC2, 0, 2, 0xFF, 0xDA, 0, 2, 9, 9, 0xFF, 0, 9];
        let mut bytes = [&segment[..], &scan[..]].concat();
        let cut = Markers { cut_short: true, progressive: true };
        assert_eq!(markers(&bytes), cut);
        bytes.extend([0xFF, 0xD9, 1, 2, 3]);
        assert_eq!(markers(&bytes), Markers { cut_short: false, ..cut });
    }

    proptest! {
        #[test]
        fn no_bytes_upset_it(bytes in prop::collection::vec(
            prop_oneof![Just(0xFF_u8), Just(0xDA), Just(0), any::<u8>()], 0..200,
        )) {
            markers(&bytes);
        }
    }
}
