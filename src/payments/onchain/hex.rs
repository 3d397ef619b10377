//! Bytes as `0x…`.

/// The bytes of a text of exactly so many.
pub fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    decode_all(text)?.try_into().ok()
}

/// The bytes of a text.
pub fn decode_all(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.strip_prefix("0x")?.as_bytes().as_chunks::<2>();
    let digit = |of: u8| char::from(of).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let byte = |[high, low]: &[u8; 2]| Some(digit(*high)? << 4 | digit(*low)?);
    if rest.is_empty() { pairs.iter().map(byte).collect() } else { None }
}

/// The text of bytes, in lower case.
pub fn encode(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    "0x".chars().chain(digits.filter_map(|digit| char::from_digit(digit.into(), 16))).collect()
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
