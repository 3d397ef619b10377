//! What is sealed of money from outside: payments, prepayments, and what was taken back of charges (see rows.rs).

use super::{Sealed, Sealing};
use crate::domain::ids::{AccountId, PaymentId, PrepaymentId, TransactionId};
use crate::domain::payment::{ChargedCard, Payment};
use crate::domain::prepay::{App, Binding, Limits, Means, PrepaidTerm, Prepayment};
use crate::domain::reversal::{Reversal, ReversalReport};

impl Sealed for Payment {
    const KIND: &'static str = "payment";

    fn owner(&self) -> AccountId {
        self.account()
    }

    fn name(&self) -> String {
        self.id.to_string()
    }

    fn tell(&self, to: &mut Sealing) {
        let Self {
            id,
            purpose,
            state,
            currency,
            amount,
            description,
            card: ChargedCard { method, provider, token, customer, brand },
            on_session,
            prepayment,
            refund_of,
            transaction,
            reference,
            failure,
            action_url,
            attempts,
            next_step_at,
        } = self;
        to.uuid(id.uuid());
        to.text(purpose.code());
        to.text(state.code());
        to.text(currency.as_str());
        to.number(*amount);
        to.text(description);
        to.uuid(method.uuid());
        to.text(provider);
        to.text(token);
        to.maybe(customer.as_deref(), Sealing::text);
        to.text(brand);
        to.flag(*on_session);
        to.maybe(prepayment.map(PrepaymentId::uuid), Sealing::uuid);
        to.maybe(refund_of.map(PaymentId::uuid), Sealing::uuid);
        to.maybe(transaction.map(TransactionId::uuid), Sealing::uuid);
        to.maybe(reference.as_deref(), Sealing::text);
        to.maybe(failure.as_deref(), Sealing::text);
        to.maybe(action_url.as_deref(), Sealing::text);
        to.integer(*attempts);
        to.maybe(*next_step_at, Sealing::instant);
    }
}

impl Sealed for Prepayment {
    const KIND: &'static str = "prepayment";

    fn owner(&self) -> AccountId {
        self.account()
    }

    fn name(&self) -> String {
        self.id.to_string()
    }

    fn tell(&self, to: &mut Sealing) {
        let Self {
            id,
            status,
            quote,
            means,
            currency,
            amount,
            usd,
            months,
            cluster,
            chart,
            limits: Limits { cpu, mem, storage },
            auto_renewal,
            failure,
            action_url,
            binding,
            previous,
            payment,
            transaction,
            paid_at,
            next_step_at,
        } = self;
        to.uuid(id.uuid());
        to.text(status.code());
        to.uuid(quote.uuid());
        match means {
            Means::Card(method) => {
                to.text("card");
                to.uuid(method.uuid());
            }
            Means::Deposit { address, again_until } => {
                to.text("deposit");
                to.maybe(address.as_deref(), Sealing::text);
                to.maybe(*again_until, Sealing::instant);
            }
        }
        to.text(currency.as_str());
        to.number(*amount);
        to.number(*usd);
        to.integer(*months);
        to.text(cluster);
        to.text(chart);
        for limit in [cpu, mem, storage] {
            to.integer(*limit);
        }
        to.flag(*auto_renewal);
        to.maybe(failure.as_deref(), Sealing::text);
        to.maybe(action_url.as_deref(), Sealing::text);
        to.maybe(binding.as_ref(), |to, Binding { app: App { id, icon_url, project }, term }| {
            let PrepaidTerm { start, end } = term;
            to.text(id);
            to.maybe(icon_url.as_deref(), Sealing::text);
            to.text(project);
            to.instant(*start);
            to.instant(*end);
        });
        to.maybe(previous.map(PrepaymentId::uuid), Sealing::uuid);
        to.maybe(payment.map(PaymentId::uuid), Sealing::uuid);
        to.maybe(transaction.map(TransactionId::uuid), Sealing::uuid);
        to.maybe(*paid_at, Sealing::instant);
        to.maybe(*next_step_at, Sealing::instant);
    }
}

impl Sealed for Reversal {
    const KIND: &'static str = "reversal";

    fn owner(&self) -> AccountId {
        self.account()
    }

    fn name(&self) -> String {
        format!("{} {}", self.told.provider, self.told.reference)
    }

    fn tell(&self, to: &mut Sealing) {
        let Self { told, booked, beyond, taken_by, returned_by } = self;
        let ReversalReport {
            payment,
            provider,
            reference,
            kind,
            currency,
            amount,
            status,
            withdrawn,
            reinstated,
            is_open,
        } = told;
        to.uuid(payment.uuid());
        to.text(provider);
        to.text(reference);
        to.text(kind.code());
        to.text(currency.as_str());
        to.number(*amount);
        to.text(status);
        to.number(*withdrawn);
        to.number(*reinstated);
        to.flag(*is_open);
        to.number(*booked);
        to.number(*beyond);
        to.maybe(taken_by.map(TransactionId::uuid), Sealing::uuid);
        to.maybe(returned_by.map(TransactionId::uuid), Sealing::uuid);
    }
}
