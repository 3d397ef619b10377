//! Bytes as `0x…`.

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};

/// The bytes of a text of exactly so many.
pub fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    decode_all(text)?.try_into().ok()
}

/// The bytes of a text.
pub fn decode_all(text: &str) -> Option<Vec<u8>> {
    HEXLOWER_PERMISSIVE.decode(text.strip_prefix("0x")?.as_bytes()).ok()
}

/// The text of bytes, in lower case.
pub fn encode(bytes: &[u8]) -> String {
    format!("0x{}", HEXLOWER.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_their_text() {
        assert_eq!(encode(&[0x00, 0xab, 0x0f]), "0x00ab0f");
        assert_eq!(decode("0x00aB0f"), Some([0x00, 0xab, 0x0f]));
        assert_eq!(decode_all("0x"), Some(Vec::new()));
    }

    #[test]
    fn what_is_no_text_of_bytes() {
        for text in ["", "00", "0x0", "0x0g", "0x+1", "0xé0"] {
            assert_eq!(decode_all(text), None, "{text}");
        }
        assert_eq!(decode::<2>("0x00"), None);
    }
}
