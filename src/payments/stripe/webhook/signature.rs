//! The signature of an event: `t=…,v1=…`, HMAC-SHA256 over the time, a dot and the body as it came.

use chrono::{DateTime, Utc};
use data_encoding::HEXLOWER_PERMISSIVE;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::WebhookError;

/// Stripe sends one for each secret that is in use.
const SIGNATURES_MAX: usize = 8;

/// When a body was signed, with one of the secrets.
pub fn signed_at(header: &str, body: &[u8], secrets: &[String]) -> Result<DateTime<Utc>, WebhookError> {
    let (time, signatures) = parts(header)?;
    let is_by = |secret: &String| is_signed(secret, time, body, &signatures);
    if !secrets.iter().any(is_by) {
        return Err(WebhookError::Signature);
    }
    let seconds = time.parse().map_err(|_| WebhookError::Header)?;
    DateTime::from_timestamp(seconds, 0).ok_or(WebhookError::Header)
}

/// The time as it is written, which is what was signed, and the signatures. Other schemes than `v1` are not looked at.
fn parts(header: &str) -> Result<(&str, Vec<Vec<u8>>), WebhookError> {
    let mut time = None;
    let mut signatures = Vec::new();
    for part in header.split(',') {
        match part.trim().split_once('=') {
            Some(("t", value)) => time = Some(value),
            Some(("v1", value)) if signatures.len() < SIGNATURES_MAX => {
                signatures.extend(HEXLOWER_PERMISSIVE.decode(value.as_bytes()).ok())
            }
            _ => {}
        }
    }
    let time = time.ok_or(WebhookError::Header)?;
    if signatures.is_empty() { Err(WebhookError::Header) } else { Ok((time, signatures)) }
}

/// Compares in a time that does not depend on where they differ.
fn is_signed(secret: &str, time: &str, body: &[u8], signatures: &[Vec<u8>]) -> bool {
    // Whoever leaves a secret empty means that there is none.
    let Some(mac) = mac(secret, time, body).filter(|_| !secret.is_empty()) else { return false };
    signatures.iter().any(|signature| mac.clone().verify_slice(signature).is_ok())
}

fn mac(secret: &str, time: &str, body: &[u8]) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?;
    mac.update(time.as_bytes());
    mac.update(b".");
    mac.update(body);
    Some(mac)
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A header as Stripe writes it, signed with each of the secrets.
    pub fn header(time: i64, body: &[u8], secrets: &[&str]) -> String {
        let signature = |secret: &&str| {
            let code = mac(secret, &time.to_string(), body).unwrap().finalize().into_bytes();
            let hex: String = code.iter().map(|byte| format!("{byte:02x}")).collect();
            format!(",v1={hex}")
        };
        format!("t={time}{},v0=00", secrets.iter().map(signature).collect::<String>())
    }

    fn check(header: &str, body: &[u8], secrets: &[&str]) -> Result<i64, WebhookError> {
        let secrets: Vec<String> = secrets.iter().map(|secret| (*secret).to_owned()).collect();
        signed_at(header, body, &secrets).map(|signed_at| signed_at.timestamp())
    }

    #[test]
    fn a_known_signature() {
        // By openssl: printf '1492774577.{"a":1}' | openssl dgst -sha256 -hmac whsec_test
        let header = "t=1492774577,v1=2a55874e33dedb30da6fac02873208f53a243141599a71c0d52a1d5b89656823";
        assert_eq!(check(header, br#"{"a":1}"#, &["whsec_test"]), Ok(1_492_774_577));
    }

    #[test]
    fn any_of_several_signatures_by_any_of_several_secrets_will_do() {
        let header = header(7, b"{}", &["retired", "new"]);
        assert_eq!(check(&header, b"{}", &["other", "new"]), Ok(7));
        assert_eq!(check(&header, b"{}", &["retired"]), Ok(7));
        assert_eq!(check(&header, b"{}", &["other"]), Err(WebhookError::Signature));
    }

    #[test]
    fn the_body_and_the_time_are_signed() {
        let header = header(7, b"{}", &["secret"]);
        assert_eq!(check(&header, b"{ }", &["secret"]), Err(WebhookError::Signature));
        assert_eq!(check(&header.replace("t=7", "t=8"), b"{}", &["secret"]), Err(WebhookError::Signature));
        assert_eq!(check(&header.replace("t=7", "t=07"), b"{}", &["secret"]), Err(WebhookError::Signature));
    }

    #[test]
    fn an_empty_secret_signs_nothing() {
        let header = header(7, b"{}", &[""]);
        assert_eq!(check(&header, b"{}", &[""]), Err(WebhookError::Signature));
    }

    #[test]
    fn other_headers_are_told_apart() {
        for header in ["", "t=7", "v1=00", "t=7,v0=00", "t=7,v1=xyz", "nonsense"] {
            assert_eq!(check(header, b"{}", &["secret"]), Err(WebhookError::Header), "{header}");
        }
        assert_eq!(check("t=7,v1=00", b"{}", &["secret"]), Err(WebhookError::Signature));
    }
}
