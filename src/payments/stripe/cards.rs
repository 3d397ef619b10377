//! Cards that Stripe keeps: payment methods, each attached to the customer that stands for an account.

use chrono::{Months, NaiveDate};
use serde::Deserialize;

use super::client::Client;
use super::failure::Failure;
use super::name::is_name;
use super::params::Params;
use crate::domain::payment_method::Card;
use crate::payments::{KeptCard, ProviderError};

#[derive(Deserialize)]
struct Customer {
    id: String,
}

#[derive(Deserialize)]
struct PaymentMethod {
    id: String,
    customer: Option<String>,
    card: Option<CardDetails>,
}

#[derive(Deserialize)]
struct CardDetails {
    brand: String,
    last4: String,
    exp_month: u32,
    exp_year: i32,
}

impl CardDetails {
    fn into_card(self) -> Option<Card> {
        let expiry_month = NaiveDate::from_ymd_opt(self.exp_year, self.exp_month, 1)?;
        let expires_on = expiry_month.checked_add_months(Months::new(1))?.pred_opt()?;
        Some(Card { brand: self.brand, last4: self.last4, expires_on })
    }
}

/// Keeps a card for an account.
pub async fn keep(
    client: &Client,
    account: &str,
    customer: Option<&str>,
    token: &str,
) -> Result<KeptCard, ProviderError> {
    if !is_name(token) {
        return Err(ProviderError::NoSuchCard);
    }
    let customer = match customer {
        Some(customer) => customer.to_owned(),
        None => make_customer(client, account).await?,
    };
    let method = attach(client, token, &customer).await?;
    let Some(card) = method.card.and_then(CardDetails::into_card) else {
        forget(client, &method.id).await?;
        return Err(ProviderError::Refused("The payment method is not a card.".to_owned()));
    };
    Ok(KeptCard { card, token: method.id, customer: Some(customer) })
}

/// The customer that stands for an account. The key lets a second try after a declined card find the first one's.
async fn make_customer(client: &Client, account: &str) -> Result<String, Failure> {
    let params = Params::default().with("metadata[abacus_account]", account);
    let customer: Customer =
        client.post("/v1/customers", params, Some(&format!("customer-{account}"))).await?;
    Ok(customer.id)
}

async fn attach(client: &Client, token: &str, customer: &str) -> Result<PaymentMethod, ProviderError> {
    let params = Params::default().with("customer", customer);
    match client.post(&format!("/v1/payment_methods/{token}/attach"), params, None).await {
        Ok(method) => Ok(method),
        Err(Failure::Refusal(refusal)) if refusal.is_missing("payment_method") => {
            Err(ProviderError::NoSuchCard)
        }
        Err(failure) => Err(failure.into()),
    }
}

/// Keeps a card no longer. It stays forgotten when asked again.
pub async fn forget(client: &Client, token: &str) -> Result<(), ProviderError> {
    if !is_name(token) {
        return Err(ProviderError::NoSuchCard);
    }
    let path = format!("/v1/payment_methods/{token}");
    let detached: Result<PaymentMethod, Failure> =
        client.post(&format!("{path}/detach"), Params::default(), None).await;
    match detached {
        Ok(_) => Ok(()),
        Err(Failure::Refusal(refusal)) if refusal.is_missing("payment_method") => {
            Err(ProviderError::NoSuchCard)
        }
        // Stripe refuses to detach twice.
        Err(Failure::Refusal(_)) if is_detached(client, &path).await? => Ok(()),
        Err(failure) => Err(failure.into()),
    }
}

async fn is_detached(client: &Client, path: &str) -> Result<bool, Failure> {
    let method: PaymentMethod = client.get(path, Params::default()).await?;
    Ok(method.customer.is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expires_on(exp_year: i32, exp_month: u32) -> Option<String> {
        let details = CardDetails { brand: "visa".to_owned(), last4: "4242".to_owned(), exp_month, exp_year };
        details.into_card().map(|card| card.expires_on.to_string())
    }

    #[test]
    fn a_card_is_good_to_the_end_of_its_month() {
        assert_eq!(expires_on(2028, 2).as_deref(), Some("2028-02-29"));
        assert_eq!(expires_on(2030, 12).as_deref(), Some("2030-12-31"));
        assert_eq!(expires_on(2030, 13), None);
    }
}
