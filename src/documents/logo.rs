use super::{Logo, pdf};

/// A larger file would be a part of every invoice.
const BYTES_MAX: usize = 512 * 1024;
/// A larger picture takes long to read for each PDF.
const PIXELS_MAX: u32 = 2_000;
const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";

/// Why a file cannot be the logo.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogoError {
    #[error("it has more than {BYTES_MAX} bytes")]
    TooLarge,
    #[error("it is not a PNG picture")]
    NotPng,
    #[error("it must be 1 to {PIXELS_MAX} pixels wide and high, and is {0} by {1}")]
    Size(u32, u32),
    #[error("it cannot be read: {0}")]
    Unreadable(String),
}

impl Logo {
    /// Takes a file that can be shown and printed.
    pub fn from_png(png: Vec<u8>) -> Result<Self, LogoError> {
        if png.len() > BYTES_MAX {
            return Err(LogoError::TooLarge);
        }
        let (width, height) = size_of(&png).ok_or(LogoError::NotPng)?;
        let fits = |length| (1..=PIXELS_MAX).contains(&length);
        if !fits(width) || !fits(height) {
            return Err(LogoError::Size(width, height));
        }
        let logo = Self { png, width, height };
        pdf::check(&logo).map_err(|error| LogoError::Unreadable(error.to_string()))?;
        Ok(logo)
    }
}

/// What the picture's first chunk says of its size.
fn size_of(png: &[u8]) -> Option<(u32, u32)> {
    let (width, rest) = png.strip_prefix(SIGNATURE)?.split_first_chunk::<4>()?;
    let (height, _) = rest.split_first_chunk::<4>()?;
    Some((u32::from_be_bytes(*width), u32::from_be_bytes(*height)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::fixture::PNG;

    #[test]
    fn only_a_picture_that_can_be_printed_is_taken() {
        let logo = Logo::from_png(PNG.to_vec()).unwrap();
        assert_eq!((logo.width, logo.height), (320, 80));
        assert_eq!(Logo::from_png(b"GIF89a".to_vec()), Err(LogoError::NotPng));
        assert_eq!(Logo::from_png(vec![0; BYTES_MAX + 1]), Err(LogoError::TooLarge));
        for cut in [40, PNG.len() / 2, PNG.len() - 20] {
            let broken = Logo::from_png(PNG[..cut].to_vec());
            assert!(matches!(broken, Err(LogoError::Unreadable(_))), "{cut}: {broken:?}");
        }
        let mut huge = PNG.to_vec();
        huge[16] = 0x7f;
        assert!(matches!(Logo::from_png(huge), Err(LogoError::Size(..))));
    }
}
