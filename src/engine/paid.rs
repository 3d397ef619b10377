//! What decisions on payments by card and prepayments need, read under the locks.

use futures_util::try_join;

use super::books::{Books, enter, note, when};
use crate::domain::ids::{AccountId, OwnedId};
use crate::domain::payment::Payment;
use crate::domain::payment_method::PaymentMethod;
use crate::domain::prepay::{Deposit, PrepayQuote, Prepayment, PrepaymentStatus};
use crate::domain::read_set::ReadSet;
use crate::domain::reversal::{ProviderReference, Reversal};
use crate::domain::transaction::Transaction;
use crate::store::deposits::{self, AddressOf};
use crate::store::error::StoreError;
use crate::store::prepay::prepay_quotes;
use crate::store::prepay::prepayments;
use crate::store::{Conn, owned, payment_methods, payments, reconciliations, reversals};

/// Payments by card and prepayments, with what decisions on them need.
#[derive(Default)]
pub(super) struct PaymentReads {
    quotes: Vec<PrepayQuote>,
    prepayments: Vec<Prepayment>,
    payments: Vec<Payment>,
    transactions: Vec<Transaction>,
    methods: Vec<PaymentMethod>,
    deposits: Vec<Deposit>,
    reversals: Vec<Reversal>,
    untold: Vec<(AccountId, ProviderReference)>,
}

impl PaymentReads {
    /// Reads payments and prepayments that commands name, with each other, what they renew or give back, what has taken the same
    /// offers, their transactions, reversals and cards.
    pub async fn load(conn: Conn<'_>, reads: &ReadSet) -> Result<Self, StoreError> {
        let mut paid = PaymentReads::default();
        let ids = [&reads.transactions, &reads.quotes, &reads.prepayments, &reads.payments];
        if ids.iter().all(|ids| ids.is_empty()) && reads.addresses.is_empty() && reads.unmatched.is_empty() {
            return Ok(paid);
        }
        let (of_refunds, named_payments, quotes, of_addresses) = try_join!(
            when(
                !reads.transactions.is_empty(),
                payments::payment_of_transactions(conn, &reads.transactions)
            ),
            when(!reads.payments.is_empty(), payments::payment_by_ids(conn, &reads.payments)),
            when(!reads.quotes.is_empty(), prepay_quotes::quote_by_ids(conn, &reads.quotes)),
            when(!reads.addresses.is_empty(), prepayments::prepayment_of_addresses(conn, &reads.addresses)),
        )?;
        paid.untold = untold(conn, &reads.unmatched).await?;
        paid.quotes = quotes;
        paid.payments = of_refunds.into_iter().chain(named_payments).collect();
        let of_payments = paid.payments.iter().filter_map(|payment| payment.prepayment).map(|id| id.0);
        let wanted: Vec<OwnedId> = reads.prepayments.iter().copied().chain(of_payments).collect();
        paid.prepayments = when(!wanted.is_empty(), owned::by_ids::<Prepayment>(conn, &wanted)).await?;
        paid.prepayments.extend(of_addresses);
        let addresses: Vec<AddressOf> = reads.addresses.iter().cloned().chain(paid.awaited()).collect();
        let offers: Vec<OwnedId> =
            reads.quotes.iter().copied().chain(paid.prepayments.iter().map(|held| held.quote.0)).collect();
        let named_prepayments: Vec<OwnedId> = paid.prepayments.iter().map(|held| held.id.0).collect();
        let previous: Vec<OwnedId> =
            paid.prepayments.iter().filter_map(|held| held.previous).map(|id| id.0).collect();
        let renewed_ids: Vec<OwnedId> = previous.iter().copied().chain(named_prepayments).collect();
        let charges: Vec<OwnedId> = paid.charges().collect();
        let cards: Vec<OwnedId> =
            paid.prepayments.iter().filter_map(Prepayment::method).map(|id| id.0).collect();
        let reversible: Vec<OwnedId> =
            paid.payments.iter().map(|payment| payment.id.0).chain(charges.iter().copied()).collect();
        let (holders, renewed, renewals, charges, methods, deposits, reversals) = try_join!(
            when(!offers.is_empty(), prepayments::prepayment_of_quotes(conn, &offers)),
            when(!previous.is_empty(), owned::by_ids::<Prepayment>(conn, &previous)),
            when(!renewed_ids.is_empty(), prepayments::prepayment_renewals(conn, &renewed_ids)),
            when(!charges.is_empty(), payments::payment_by_ids(conn, &charges)),
            when(!cards.is_empty(), payment_methods::method_by_ids(conn, &cards)),
            when(!addresses.is_empty(), deposits::deposits_to(conn, &addresses)),
            when(!reversible.is_empty(), reversals::reversals_of(conn, &reversible)),
        )?;
        paid.prepayments.extend(holders.into_iter().chain(renewed).chain(renewals));
        paid.payments.extend(charges);
        paid.methods = methods;
        paid.deposits = deposits;
        paid.reversals = reversals;
        let moved: Vec<OwnedId> = paid.moves().collect();
        paid.transactions = when(!moved.is_empty(), owned::by_ids::<Transaction>(conn, &moved)).await?;
        Ok(paid)
    }

    /// Puts each into the book of its account.
    pub fn enter(self, books: &mut Books) {
        enter(books, self.quotes, |book| &mut book.prepay_quotes);
        enter(books, self.prepayments, |book| &mut book.prepayments);
        enter(books, self.payments, |book| &mut book.payments);
        enter(books, self.transactions, |book| &mut book.transactions);
        enter(books, self.reversals, |book| &mut book.reversals);
        enter(books, self.deposits, |book| &mut book.deposits);
        enter(books, self.methods, |book| &mut book.payment_methods);
        note(books, self.untold, |book, name| _ = book.untold.insert(name));
    }

    /// The payments that these give back of, and by which these prepayments were paid.
    fn charges(&self) -> impl Iterator<Item = OwnedId> {
        let given_back = self.payments.iter().filter_map(|payment| payment.refund_of);
        given_back.chain(self.prepayments.iter().filter_map(|held| held.payment)).map(|id| id.0)
    }

    /// The addresses of the prepayments that wait for deposits.
    fn awaited(&self) -> impl Iterator<Item = AddressOf> {
        let waiting = self.prepayments.iter().filter(|held| held.status == PrepaymentStatus::AwaitingDeposit);
        waiting.filter_map(|held| Some((held.account(), held.deposit_address()?.to_owned())))
    }

    /// What moved money for these payments, and for what was paid in tokens.
    fn moves(&self) -> impl Iterator<Item = OwnedId> {
        let by_card = self.payments.iter().filter_map(|payment| payment.transaction);
        let in_tokens = self.prepayments.iter().filter(|held| held.deposit_address().is_some());
        by_card.chain(in_tokens.filter_map(|held| held.transaction)).map(|id| id.0)
    }
}

/// What of that was not told yet.
async fn untold(
    conn: Conn<'_>,
    named: &[(AccountId, ProviderReference)],
) -> Result<Vec<(AccountId, ProviderReference)>, StoreError> {
    if named.is_empty() {
        return Ok(Vec::new());
    }
    let names: Vec<ProviderReference> = named.iter().map(|(_, name)| name.clone()).collect();
    let untold = reconciliations::unmatched_untold(conn, &names).await?;
    Ok(named.iter().filter(|(_, name)| untold.contains(name)).cloned().collect())
}
