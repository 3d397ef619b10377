//! What texts a client may give.

use super::refusal::{Refusal, RefusalCode};

/// Names, comments, reasons: the most characters.
pub const TEXT_MAX: usize = 1_000;
/// Names in UTF-8: the most bytes. They are parts of indexes, whose rows PostgreSQL keeps in a third of a page.
pub const NAME_BYTES_MAX: usize = 2_000;
/// Codes (namespaces, regions, plan types): the most characters.
pub const CODE_MAX: usize = 64;
/// Idempotency keys: the most characters.
pub const KEY_MAX: usize = 255;

fn within(field: &'static str, text: &str, max: usize) -> Result<(), Refusal> {
    if text.chars().count() > max {
        return Err(Refusal::new(RefusalCode::LimitExceeded, field, format!("at most {max} characters")));
    }
    // PostgreSQL cannot keep it, and no name needs it.
    if text.contains('\0') {
        return Err(Refusal::new(RefusalCode::Invalid, field, "must not contain U+0000"));
    }
    Ok(())
}

/// A text for people that may be empty.
pub fn free_text(field: &'static str, text: &str) -> Result<String, Refusal> {
    within(field, text, TEXT_MAX)?;
    Ok(text.to_owned())
}

/// A text for people that says something.
pub fn name(field: &'static str, text: &str) -> Result<String, Refusal> {
    within(field, text, TEXT_MAX)?;
    if text.len() > NAME_BYTES_MAX {
        let message = format!("at most {NAME_BYTES_MAX} bytes in UTF-8");
        return Err(Refusal::new(RefusalCode::LimitExceeded, field, message));
    }
    if text.trim().is_empty() {
        return Err(Refusal::new(RefusalCode::Invalid, field, "must not be empty"));
    }
    Ok(text.to_owned())
}

/// A code: letters, digits, `.`, `_`, `-`, beginning with a letter or digit.
pub fn code(field: &'static str, text: &str) -> Result<String, Refusal> {
    within(field, text, CODE_MAX)?;
    let is_code_char = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    let starts_well = text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    if !starts_well || !text.bytes().all(is_code_char) {
        let expected = "must be letters, digits, '.', '_' and '-', beginning with a letter or digit";
        return Err(Refusal::new(RefusalCode::Invalid, field, expected));
    }
    Ok(text.to_owned())
}

/// The most characters of an address on the web.
const WEB_ADDRESS_MAX: usize = 2_000;

/// An http or https address.
pub fn web_address(field: &'static str, text: &str) -> Result<String, Refusal> {
    within(field, text, WEB_ADDRESS_MAX)?;
    let address = url::Url::parse(text).ok();
    let is_web = |address: &url::Url| matches!(address.scheme(), "http" | "https") && address.has_host();
    if address.as_ref().is_some_and(is_web) {
        return Ok(text.to_owned());
    }
    Err(Refusal::new(RefusalCode::Invalid, field, "must be an http or https address"))
}

/// The client's name for one attempt to move money.
pub fn idempotency_key(text: &str) -> Result<String, Refusal> {
    within("idempotencyKey", text, KEY_MAX)?;
    if text.is_empty() {
        return Err(Refusal::new(RefusalCode::Invalid, "idempotencyKey", "must not be empty"));
    }
    Ok(text.to_owned())
}
