//! What is sealed of each kind of row: all that the engine writes of it. Each tells its fields one by one, so that one that is
//! added later does not compile before it was thought of here.

use super::{Sealed, Sealing};
use crate::domain::account::{Account, Head, Manager};
use crate::domain::bill::Bill;
use crate::domain::burst::{BurstState, Cycle};
use crate::domain::closing::{ClosedMonth, Month};
use crate::domain::idempotency::{IdempotencyRecord, OutcomeIds};
use crate::domain::ids::{AccountId, BillId, OrderId, PaymentId, PrepaymentId, TransactionId};
use crate::domain::order::{Order, Subscription};
use crate::domain::record::{Content, Record};
use crate::domain::transaction::Transaction;

impl Sealed for Account {
    const KIND: &'static str = "account";

    fn owner(&self) -> AccountId {
        self.id
    }

    fn name(&self) -> String {
        self.id.to_string()
    }

    fn tell(&self, to: &mut Sealing) {
        let Self {
            id,
            namespace,
            external_id,
            name,
            kind,
            parent,
            status,
            suspension,
            suspended_at,
            suspension_held_until,
            currency,
            time_zone,
            manager,
            credit_limit,
            balance,
            overdrawn,
            purchased,
            last_number,
            closed_until,
            closed_at,
            erased_at,
            on_demand_rate,
            burst: BurstState { cycle, rate, warned },
            head: Head { seq, hash, time },
            created_at,
        } = self;
        to.integer(id.0);
        to.text(namespace);
        to.maybe(external_id.as_deref(), Sealing::text);
        to.text(name);
        to.text(kind.code());
        to.maybe(parent.map(|parent| parent.0), Sealing::integer);
        to.text(status.code());
        to.maybe(suspension.map(|reason| reason.code()), Sealing::text);
        to.maybe(*suspended_at, Sealing::instant);
        to.maybe(*suspension_held_until, Sealing::instant);
        to.text(currency.as_str());
        to.text(time_zone.name());
        to.maybe(manager.as_ref(), |to, Manager { name, email }| {
            to.text(name);
            to.maybe(email.as_deref(), Sealing::text);
        });
        to.maybe(*credit_limit, Sealing::number);
        to.number(*balance);
        to.flag(*overdrawn);
        to.flag(*purchased);
        to.integer(*last_number);
        to.maybe(*closed_until, Sealing::instant);
        to.maybe(*closed_at, Sealing::instant);
        to.number(*on_demand_rate);
        to.maybe(cycle.map(Cycle::number), Sealing::integer);
        to.maybe(*rate, Sealing::number);
        to.flag(*warned);
        to.integer(*seq);
        to.bytes(hash);
        to.maybe(*time, Sealing::instant);
        to.instant(*created_at);
        erased_at.iter().for_each(|at| to.instant(*at));
    }
}

impl Sealed for Order {
    const KIND: &'static str = "order";

    fn owner(&self) -> AccountId {
        self.account()
    }

    fn name(&self) -> String {
        self.id.to_string()
    }

    fn tell(&self, to: &mut Sealing) {
        let Self {
            id,
            name,
            order_type,
            state,
            previous,
            plan,
            subscription,
            exclusive,
            quantity,
            region,
            datacenter,
            resource_type,
            product_name,
            bill_period,
            currency,
            price,
            once_price,
            seq,
            seq_count,
            auto_renewal,
            comment,
            created_at,
            delivered_at,
            expires_at,
            anchor_at,
            anchor_months,
            renewed_by,
            cancelled_at,
            next_step_at,
        } = self;
        to.uuid(id.uuid());
        to.text(name);
        to.text(order_type.code());
        to.text(state.code());
        to.maybe(previous.map(OrderId::uuid), Sealing::uuid);
        to.maybe(plan.map(|plan| plan.0), Sealing::uuid);
        to.maybe(subscription.as_ref(), |to, Subscription { resource, amount, months }| {
            to.text(resource);
            to.number(*amount);
            to.integer(*months);
        });
        to.flag(*exclusive);
        to.integer(*quantity);
        to.maybe(region.as_deref(), Sealing::text);
        to.maybe(datacenter.as_deref(), Sealing::text);
        to.text(resource_type);
        to.text(product_name);
        to.text(bill_period.code());
        to.text(currency.as_str());
        to.number(*price);
        to.maybe(*once_price, Sealing::number);
        to.integer(*seq);
        to.integer(*seq_count);
        to.flag(*auto_renewal);
        to.maybe(comment.as_deref(), Sealing::text);
        to.instant(*created_at);
        to.maybe(*delivered_at, Sealing::instant);
        to.maybe(*expires_at, Sealing::instant);
        to.instant(*anchor_at);
        to.integer(*anchor_months);
        to.maybe(renewed_by.map(OrderId::uuid), Sealing::uuid);
        to.maybe(*cancelled_at, Sealing::instant);
        to.maybe(*next_step_at, Sealing::instant);
    }
}

impl Sealed for Bill {
    const KIND: &'static str = "bill";

    fn owner(&self) -> AccountId {
        self.account()
    }

    fn name(&self) -> String {
        self.id.to_string()
    }

    fn tell(&self, to: &mut Sealing) {
        let Self {
            id,
            order,
            status,
            currency,
            amount,
            once_amount,
            cycle_amount,
            credit_amount,
            replaced_amount,
            withheld_amount,
            start_time,
            end_time,
            seq,
            seq_count,
            due_at,
            last_paid_at,
            paid_by,
            refunded_amount,
            credited_amount,
            next_step_at,
            datacenter,
            correction_of,
            created_at,
        } = self;
        to.uuid(id.uuid());
        to.maybe(order.map(OrderId::uuid), Sealing::uuid);
        to.text(status.code());
        to.text(currency.as_str());
        for part in [amount, once_amount, cycle_amount, credit_amount, replaced_amount, withheld_amount] {
            to.number(*part);
        }
        to.instant(*start_time);
        to.instant(*end_time);
        to.integer(*seq);
        to.integer(*seq_count);
        to.instant(*due_at);
        to.maybe(*last_paid_at, Sealing::instant);
        to.maybe(paid_by.map(TransactionId::uuid), Sealing::uuid);
        to.number(*refunded_amount);
        to.number(*credited_amount);
        to.maybe(*next_step_at, Sealing::instant);
        to.maybe(datacenter.as_deref(), Sealing::text);
        to.maybe(correction_of.map(BillId::uuid), Sealing::uuid);
        to.instant(*created_at);
    }
}

impl Sealed for Transaction {
    const KIND: &'static str = "transaction";

    fn owner(&self) -> AccountId {
        self.account()
    }

    fn name(&self) -> String {
        self.id.to_string()
    }

    fn tell(&self, to: &mut Sealing) {
        self.tell_of_posting(to);
        let Self { status, refunded_amount, balance_after, .. } = self;
        to.text(status.code());
        to.number(*refunded_amount);
        to.maybe(*balance_after, Sealing::number);
    }
}

impl Transaction {
    /// What never changes of it.
    pub(in crate::domain) fn tell_of_posting(&self, to: &mut Sealing) {
        let Self {
            id,
            kind,
            status: _,
            currency,
            amount,
            debit,
            credit,
            description,
            payment_method,
            order,
            bill,
            refund_of,
            refunded_amount: _,
            balance_after: _,
            region,
            created_at,
        } = self;
        to.uuid(id.uuid());
        to.text(kind.code());
        to.text(currency.as_str());
        to.number(*amount);
        to.text(&debit.to_string());
        to.text(&credit.to_string());
        to.text(description);
        to.text(payment_method);
        to.maybe(order.map(OrderId::uuid), Sealing::uuid);
        to.maybe(bill.map(BillId::uuid), Sealing::uuid);
        to.maybe(refund_of.map(TransactionId::uuid), Sealing::uuid);
        to.maybe(region.as_deref(), Sealing::text);
        to.instant(*created_at);
    }
}

/// The answer of a key, and whose key it is.
impl Sealed for (AccountId, IdempotencyRecord) {
    const KIND: &'static str = "key";

    fn owner(&self) -> AccountId {
        self.0
    }

    fn name(&self) -> String {
        self.1.key.clone()
    }

    fn tell(&self, to: &mut Sealing) {
        let (account, IdempotencyRecord { key, mutation, fingerprint, created_at, .. }) = self;
        let OutcomeIds { transaction, order, bill, payment, prepayment, approval, created } = &self.1.made;
        to.integer(account.0);
        to.text(key);
        to.text(mutation.name());
        to.bytes(fingerprint);
        to.maybe(transaction.map(TransactionId::uuid), Sealing::uuid);
        to.maybe(order.map(OrderId::uuid), Sealing::uuid);
        to.maybe(bill.map(BillId::uuid), Sealing::uuid);
        to.maybe(payment.map(PaymentId::uuid), Sealing::uuid);
        to.maybe(prepayment.map(PrepaymentId::uuid), Sealing::uuid);
        to.instant(*created_at);
        if let Some(approval) = approval {
            to.uuid(approval.uuid());
        }
        if !created.is_empty() {
            to.text("created");
            created.iter().for_each(|id| to.text(id));
        }
    }
}

impl Sealed for ClosedMonth {
    const KIND: &'static str = "closed month";

    fn owner(&self) -> AccountId {
        self.account
    }

    fn name(&self) -> String {
        format!("{} from {}", self.period.format("%Y-%m"), self.month.start)
    }

    fn tell(&self, to: &mut Sealing) {
        let Self {
            account,
            month: Month { start, end },
            period,
            revision,
            usage_version,
            bill,
            usage_amount,
            amount,
            billed_amount,
            withheld_amount,
            forgiven_amount,
            unrated,
            closed_at,
        } = self;
        to.integer(account.0);
        to.instant(*start);
        to.instant(*end);
        to.date(*period);
        to.integer(*revision);
        to.integer(*usage_version);
        to.maybe(bill.map(BillId::uuid), Sealing::uuid);
        for part in [usage_amount, amount, billed_amount, withheld_amount, forgiven_amount] {
            to.number(*part);
        }
        to.instant(*closed_at);
        unrated.iter().for_each(|code| to.text(code));
    }
}

impl Sealed for Record {
    const KIND: &'static str = "record";

    fn owner(&self) -> AccountId {
        self.account()
    }

    fn name(&self) -> String {
        self.id.to_string()
    }

    fn tell(&self, to: &mut Sealing) {
        let Self {
            id,
            bill,
            order,
            resource_type,
            product_name,
            datacenter,
            start_time,
            end_time,
            currency,
            price,
            content,
            created_at,
        } = self;
        to.uuid(id.uuid());
        to.uuid(bill.uuid());
        to.maybe(order.as_ref().map(|order| order.id.uuid()), Sealing::uuid);
        to.text(resource_type);
        to.text(product_name);
        to.maybe(datacenter.as_deref(), Sealing::text);
        to.instant(*start_time);
        to.instant(*end_time);
        to.text(currency.as_str());
        to.number(*price);
        // A prepaid period's record is its payment, which is sealed as such.
        if let Content::Rated(lines) = content {
            to.bytes(&serde_json::to_vec(lines).unwrap_or_default());
        }
        to.instant(*created_at);
    }
}
