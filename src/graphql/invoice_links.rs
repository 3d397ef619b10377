//! Links to printable invoices that need no token: signed, for a short time of the machine's clock.

use chrono::{DateTime, TimeDelta, Utc};
use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use hmac::digest::Key;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use url::Url;

use crate::clock::wall;
use crate::domain::ids::InvoiceId;

/// How long a link can be followed.
pub const LINK_HOLDS: TimeDelta = TimeDelta::minutes(15);
/// What the links' own key is derived for: nothing else that the secret signs is a link's signature.
const PURPOSE: &[u8] = b"abacus: links to invoices";

/// What an invoice is served as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Html,
    Pdf,
}

/// Why a link is not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    #[error("the link's signature is wrong")]
    Wrong,
    #[error("the link has expired: ask for a new one")]
    Expired,
}

/// Makes and checks links.
pub struct InvoiceLinks {
    key: Hmac<Sha256>,
    public_url: Option<Url>,
}

impl InvoiceLinks {
    /// With a public URL links are absolute, and else paths.
    pub fn new(secret: &[u8], public_url: Option<Url>) -> Self {
        let derived = Sha256::new().chain_update(PURPOSE).chain_update(secret).finalize();
        let mut key = Key::<Hmac<Sha256>>::default();
        key.iter_mut().zip(derived).for_each(|(own, derived)| *own = derived);
        Self { key: <Hmac<Sha256> as Mac>::new(&key), public_url }
    }

    /// A link that holds from now on.
    pub fn url(&self, id: InvoiceId, form: Form) -> String {
        self.url_until(id, form, wall().checked_add_signed(LINK_HOLDS).unwrap_or_else(wall))
    }

    fn url_until(&self, id: InvoiceId, form: Form, expires: DateTime<Utc>) -> String {
        let id = id.to_string();
        let expires = expires.timestamp();
        let signature = Mac::finalize(self.signed(&id, expires)).into_bytes();
        let signature = HEXLOWER.encode(&signature);
        let suffix = match form {
            Form::Html => "",
            Form::Pdf => ".pdf",
        };
        let base = self.public_url.as_ref().map_or("", |url| url.as_str().trim_end_matches('/'));
        format!("{base}/invoices/{id}{suffix}?expires={expires}&signature={signature}")
    }

    /// Whether a link to the invoice of that id, written as in the link, may be followed now. The signature is compared in a
    /// time that does not tell where it differs.
    pub fn check(&self, id: &str, expires: &str, signature: &str) -> Result<(), LinkError> {
        let expires: i64 = expires.parse().map_err(|_| LinkError::Wrong)?;
        let signature = HEXLOWER_PERMISSIVE.decode(signature.as_bytes()).map_err(|_| LinkError::Wrong)?;
        self.signed(id, expires).verify_slice(&signature).map_err(|_| LinkError::Wrong)?;
        if wall().timestamp() < expires { Ok(()) } else { Err(LinkError::Expired) }
    }

    fn signed(&self, id: &str, expires: i64) -> Hmac<Sha256> {
        Mac::chain_update(self.key.clone(), format!("{id} until {expires}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::AccountId;

    fn id() -> InvoiceId {
        InvoiceId::of(AccountId(1_001), "2026-08-01T00:00:00Z".parse().unwrap())
    }

    fn links() -> InvoiceLinks {
        InvoiceLinks::new(b"a secret that is long enough to be one", None)
    }

    fn parts(url: &str) -> (String, String) {
        let query = Url::parse("http://host").unwrap().join(url).unwrap();
        let value = |name: &str| query.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned();
        (value("expires"), value("signature"))
    }

    #[test]
    fn a_link_is_followed_for_its_own_invoice_until_it_expires() {
        let links = links();
        let (expires, signature) = parts(&links.url(id(), Form::Pdf));
        assert_eq!(links.check(&id().to_string(), &expires, &signature), Ok(()));
        let other = InvoiceId::of(AccountId(1_002), id().0.instant()).to_string();
        assert_eq!(links.check(&other, &expires, &signature), Err(LinkError::Wrong));
        let later = (expires.parse::<i64>().unwrap() + 1).to_string();
        assert_eq!(links.check(&id().to_string(), &later, &signature), Err(LinkError::Wrong));
        for wrong in ["", "0", "zz", &signature[2..], &format!("{signature}00")] {
            assert_eq!(links.check(&id().to_string(), &expires, wrong), Err(LinkError::Wrong), "{wrong}");
        }
        let (expires, signature) = parts(&links.url_until(id(), Form::Html, wall()));
        assert_eq!(links.check(&id().to_string(), &expires, &signature), Err(LinkError::Expired));
        let another = InvoiceLinks::new(b"another secret, which is long enough, too", None);
        assert_eq!(another.check(&id().to_string(), &expires, &signature), Err(LinkError::Wrong));
    }

    #[test]
    fn links_are_absolute_where_the_servers_address_is_known() {
        assert!(links().url(id(), Form::Html).starts_with("/invoices/inv_"));
        for base in ["https://pay.example.com", "https://pay.example.com/"] {
            let links = InvoiceLinks::new(b"secret", Some(base.parse().unwrap()));
            let url = links.url(id(), Form::Pdf);
            assert!(
                url.starts_with("https://pay.example.com/invoices/inv_") && url.contains(".pdf?expires="),
                "{url}"
            );
        }
    }
}
