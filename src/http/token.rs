//! Bearer tokens: JSON Web Tokens, signed with a shared secret (HS256).

use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

use crate::domain::viewer::Role;

/// A shorter secret can be guessed.
pub const SECRET_BYTES_MIN: usize = 32;

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Who it was made for.
    pub sub: String,
    /// OPERATOR, AUDITOR, CUSTOMER or SERVICE.
    pub role: String,
    /// The account of a customer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// When it was made, in seconds since the epoch.
    pub iat: i64,
    /// When it ends to be valid, in seconds since the epoch, on the machine's clock.
    pub exp: i64,
}

/// Why a token is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("the token has expired")]
    Expired,
    #[error("the token is not valid")]
    Invalid,
    #[error("the signing secret must be at least {SECRET_BYTES_MIN} bytes long")]
    SecretTooShort,
    #[error("the token could not be made: {0}")]
    Unsignable(String),
}

/// Makes and checks tokens.
pub struct TokenKey {
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
}

impl TokenKey {
    pub fn new(secret: &[u8]) -> Result<Self, TokenError> {
        if secret.len() < SECRET_BYTES_MIN {
            return Err(TokenError::SecretTooShort);
        }
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = 0;
        validation.set_required_spec_claims(&["exp"]);
        Ok(Self {
            encoding: EncodingKey::from_secret(secret),
            decoding: DecodingKey::from_secret(secret),
            validation,
        })
    }

    /// Makes a token that is valid from `now` for `seconds`.
    pub fn issue(
        &self,
        subject: &str,
        role: Role,
        namespace: Option<&str>,
        now: DateTime<Utc>,
        seconds: i64,
    ) -> Result<String, TokenError> {
        let iat = now.timestamp();
        let claims = Claims {
            sub: subject.to_owned(),
            role: role.code().to_owned(),
            namespace: namespace.map(str::to_owned),
            iat,
            exp: iat.saturating_add(seconds),
        };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.encoding)
            .map_err(|error| TokenError::Unsignable(error.to_string()))
    }

    /// What a token says, if it was signed with this secret and has not expired.
    pub fn verify(&self, token: &str) -> Result<Claims, TokenError> {
        match jsonwebtoken::decode::<Claims>(token, &self.decoding, &self.validation) {
            Ok(decoded) => Ok(decoded.claims),
            Err(error) => match error.kind() {
                jsonwebtoken::errors::ErrorKind::ExpiredSignature => Err(TokenError::Expired),
                _ => Err(TokenError::Invalid),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::wall;

    const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

    #[test]
    fn a_token_is_taken_until_it_expires_and_only_with_its_own_secret() {
        let key = TokenKey::new(SECRET).unwrap();
        let token = key.issue("op", Role::Operator, None, wall(), 60).unwrap();
        assert_eq!(key.verify(&token).unwrap().role, "OPERATOR");
        let expired = key.issue("op", Role::Operator, None, wall(), -1).unwrap();
        assert_eq!(key.verify(&expired), Err(TokenError::Expired));
        let other = TokenKey::new(b"another secret, also of 32 bytes!").unwrap();
        assert_eq!(other.verify(&token), Err(TokenError::Invalid));
        assert!(matches!(TokenKey::new(b"short"), Err(TokenError::SecretTooShort)));
    }

    #[test]
    fn a_token_that_is_not_signed_is_not_taken() {
        // {"alg":"none"} . {"sub":"x","role":"OPERATOR","iat":0,"exp":99999999999}
        let unsigned =
            "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4Iiwicm9sZSI6Ik9QRVJBVE9SIiwiaWF0IjowLCJleHAiOjk5OTk5OTk5OTk5fQ.";
        assert_eq!(TokenKey::new(SECRET).unwrap().verify(unsigned), Err(TokenError::Invalid));
    }
}
