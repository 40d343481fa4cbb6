//! The `TFRecord` format: records of bytes with their length and checksums.

/// Bytes of a record before its content: the length and a checksum of that.
const HEAD: usize = 12;

/// A record of `content`.
pub(crate) fn record(content: &[u8]) -> Vec<u8> {
    let length = (content.len() as u64).to_le_bytes();
    let checksum = |bytes: &[u8]| masked_crc32c(bytes).to_le_bytes();
    [&length, &checksum(&length)[..], content, &checksum(content)].concat()
}

/// The content of the first record and what follows the record; `None` at the end, and where the
/// record is damaged or cut off.
pub(crate) fn split_record(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = usize::try_from(u64::from_le_bytes(*bytes.first_chunk()?)).ok()?;
    let (content, rest) = bytes.get(HEAD..)?.split_at_checked(length)?;
    let (checksum, rest) = rest.split_first_chunk()?;
    (u32::from_le_bytes(*checksum) == masked_crc32c(content)).then_some((content, rest))
}

/// CRC-32C (Castagnoli), rotated and shifted as the format has it.
fn masked_crc32c(bytes: &[u8]) -> u32 {
    let next = |crc: u32, _| (crc >> 1) ^ (0x82f6_3b78 * (crc & 1));
    let bits = |crc: u32, &byte: &u8| (0..8).fold(crc ^ u32::from(byte), next);
    let crc = !bytes.iter().fold(u32::MAX, bits);
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_castagnolis() {
        // The check value of CRC-32C.
        let unmasked = masked_crc32c(b"123456789").wrapping_sub(0xa282_ead8);
        assert_eq!(unmasked.rotate_left(15), 0xe306_9283);
    }

    #[test]
    fn records_are_split_and_damage_ends_them() {
        let mut bytes = [record(b"one"), record(b"")].concat();
        let (first, rest) = split_record(&bytes).unwrap();
        assert_eq!(first, b"one");
        assert_eq!(split_record(rest), Some((&b""[..], &b""[..])));
        assert_eq!(split_record(&bytes[..18]), None);
        bytes[HEAD] = b'n';
        assert_eq!(split_record(&bytes), None);
        assert_eq!(split_record(&[0xff; 40]), None);
    }
}
