//! Values as columns keep them: which SQL types a type of the domain may be kept as, and how it is written and read there.
//!
//! These are traits of the store's own, as the domain knows nothing of the database, and neither its types nor diesel's traits are
//! the store's (docs/adr/0030).

use chrono::{DateTime, NaiveDate, Utc};
use diesel::deserialize::{FromSql, Result};
use diesel::pg::{Pg, PgValue};
use diesel::sql_types::{
    Array, BigInt, Binary, Bool, Date, Integer, Jsonb, Nullable, Numeric, SmallInt, Text, Timestamptz,
    Uuid as SqlUuid,
};
use rust_decimal::Decimal;
use uuid::Uuid;

use super::numeric::Exact;
use crate::domain::account::{AccountKind, AccountStatus, Hash, Suspension};
use crate::domain::approval::ApprovalState;
use crate::domain::bill::BillStatus;
use crate::domain::billing_run::RunState;
use crate::domain::burst::Cycle;
use crate::domain::ids::{
    self, AccountId, LicenseId, OwnedId, PlanId, PriceDefinitionId, PriceRuleId, ResourcePriceId,
    with_owned_ids,
};
use crate::domain::license::LicenseType;
use crate::domain::money::CurrencyCode;
use crate::domain::mutation::Mutation;
use crate::domain::notice::NoticeKind;
use crate::domain::order::{OrderState, OrderType};
use crate::domain::payment::{PaymentPurpose, PaymentState};
use crate::domain::period::BillPeriod;
use crate::domain::plan::Aggregation;
use crate::domain::prepay::{DepositState, PrepaymentStatus};
use crate::domain::reversal::ReversalKind;
use crate::domain::transaction::{Ledger, TransactionKind, TransactionStatus};
use crate::domain::unmatched::OutsideKind;

/// A value that is written to columns of SQL type `ST`.
pub trait ToColumn<ST> {
    /// What goes down the wire.
    type Wire: Send + Sync + 'static;

    fn wire(&self) -> Self::Wire;
}

/// A value that is read from columns of SQL type `ST`.
pub trait FromColumn<ST>: Sized {
    fn from_column(value: PgValue<'_>) -> Result<Self>;

    /// Where the column may be NULL, or must not be.
    fn from_nullable(value: Option<PgValue<'_>>) -> Result<Self> {
        Self::from_column(value.ok_or("it is NULL")?)
    }
}

impl<ST, T: ToColumn<ST>> ToColumn<Nullable<ST>> for Option<T> {
    type Wire = Option<T::Wire>;

    fn wire(&self) -> Self::Wire {
        self.as_ref().map(T::wire)
    }
}

impl<ST, T: FromColumn<ST>> FromColumn<Nullable<ST>> for Option<T> {
    fn from_column(value: PgValue<'_>) -> Result<Self> {
        T::from_column(value).map(Some)
    }

    fn from_nullable(value: Option<PgValue<'_>>) -> Result<Self> {
        value.map(T::from_column).transpose()
    }
}

impl<ST, T: ToColumn<ST>> ToColumn<ST> for &T {
    type Wire = T::Wire;

    fn wire(&self) -> Self::Wire {
        T::wire(self)
    }
}

/// What diesel itself writes and reads.
macro_rules! as_they_are {
    ($($name:ty: $sql:ty),* $(,)?) => {$(
        impl ToColumn<$sql> for $name {
            type Wire = Self;

            fn wire(&self) -> Self {
                self.clone()
            }
        }

        impl FromColumn<$sql> for $name {
            fn from_column(value: PgValue<'_>) -> Result<Self> {
                FromSql::<$sql, Pg>::from_sql(value)
            }
        }
    )*};
}
as_they_are! {
    bool: Bool,
    i16: SmallInt,
    i32: Integer,
    i64: BigInt,
    String: Text,
    Vec<u8>: Binary,
    Uuid: SqlUuid,
    NaiveDate: Date,
    DateTime<Utc>: Timestamptz,
    serde_json::Value: Jsonb,
}

/// Arrays, as diesel reads them.
macro_rules! arrays {
    ($($item:ty: $sql:ty),* $(,)?) => {$(
        impl FromColumn<Array<$sql>> for Vec<$item> {
            fn from_column(value: PgValue<'_>) -> Result<Self> {
                FromSql::<Array<$sql>, Pg>::from_sql(value)
            }
        }
    )*};
}
arrays! {
    String: Text,
    Exact: Numeric,
}

impl ToColumn<Text> for &'static str {
    type Wire = Self;

    fn wire(&self) -> Self {
        self
    }
}

impl ToColumn<Numeric> for Decimal {
    type Wire = Self;

    fn wire(&self) -> Self {
        *self
    }
}

impl FromColumn<Numeric> for Decimal {
    fn from_column(value: PgValue<'_>) -> Result<Self> {
        FromSql::<Numeric, Pg>::from_sql(value).map(|Exact(number)| number)
    }
}

/// Enumerations are kept as their codes.
macro_rules! coded {
    ($($name:ty),* $(,)?) => {$(
        impl ToColumn<Text> for $name {
            type Wire = &'static str;

            fn wire(&self) -> &'static str {
                self.code()
            }
        }

        impl FromColumn<Text> for $name {
            fn from_column(value: PgValue<'_>) -> Result<Self> {
                parsed(value, Self::from_code)
            }
        }
    )*};
}
coded![
    AccountKind,
    AccountStatus,
    Aggregation,
    ApprovalState,
    BillPeriod,
    BillStatus,
    DepositState,
    LicenseType,
    NoticeKind,
    OrderState,
    OrderType,
    OutsideKind,
    PaymentPurpose,
    PaymentState,
    PrepaymentStatus,
    ReversalKind,
    RunState,
    Suspension,
    TransactionKind,
    TransactionStatus,
];

/// What is kept as its text.
macro_rules! texts {
    ($($name:ty = $parse:expr),* $(,)?) => {$(
        impl ToColumn<Text> for $name {
            type Wire = String;

            fn wire(&self) -> String {
                self.to_string()
            }
        }

        impl FromColumn<Text> for $name {
            fn from_column(value: PgValue<'_>) -> Result<Self> {
                parsed(value, $parse)
            }
        }
    )*};
}
texts![CurrencyCode = CurrencyCode::parse, Ledger = Ledger::parse, chrono_tz::Tz = |name| name.parse().ok(),];

impl ToColumn<Text> for Mutation {
    type Wire = String;

    fn wire(&self) -> String {
        self.name().to_owned()
    }
}

impl FromColumn<Text> for Mutation {
    fn from_column(value: PgValue<'_>) -> Result<Self> {
        parsed(value, |name| Some(Self::kept(name)))
    }
}

/// Reads a text without a copy of it.
fn parsed<T>(value: PgValue<'_>, parse: impl FnOnce(&str) -> Option<T>) -> Result<T> {
    let text = std::str::from_utf8(value.as_bytes())?;
    parse(text).ok_or_else(|| format!("\"{text}\" is not known").into())
}

/// The ids of what accounts own.
macro_rules! owned_ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        impl ToColumn<SqlUuid> for ids::$name {
            type Wire = Uuid;

            fn wire(&self) -> Uuid {
                self.uuid()
            }
        }

        impl FromColumn<SqlUuid> for ids::$name {
            fn from_column(value: PgValue<'_>) -> Result<Self> {
                FromSql::<SqlUuid, Pg>::from_sql(value).map(|id| OwnedId::from_uuid(id).into())
            }
        }
    )*};
}
with_owned_ids!(owned_ids);

/// Newtypes, kept as what is in them.
macro_rules! newtypes {
    ($($name:ident($inner:ty): $sql:ty),* $(,)?) => {$(
        impl ToColumn<$sql> for $name {
            type Wire = $inner;

            fn wire(&self) -> $inner {
                self.0
            }
        }

        impl FromColumn<$sql> for $name {
            fn from_column(value: PgValue<'_>) -> Result<Self> {
                FromSql::<$sql, Pg>::from_sql(value).map(Self)
            }
        }
    )*};
}
newtypes![
    AccountId(i64): BigInt,
    LicenseId(i64): BigInt,
    PlanId(Uuid): SqlUuid,
    PriceDefinitionId(i64): BigInt,
    PriceRuleId(i64): BigInt,
    ResourcePriceId(i64): BigInt,
];

/// Texts in their order.
impl ToColumn<Jsonb> for Vec<String> {
    type Wire = serde_json::Value;

    fn wire(&self) -> serde_json::Value {
        self.as_slice().into()
    }
}

impl FromColumn<Jsonb> for Vec<String> {
    fn from_column(value: PgValue<'_>) -> Result<Self> {
        let texts = <serde_json::Value as FromSql<Jsonb, Pg>>::from_sql(value)?;
        Ok(serde_json::from_value(texts)?)
    }
}

impl ToColumn<Integer> for Cycle {
    type Wire = i32;

    fn wire(&self) -> i32 {
        self.number()
    }
}

impl FromColumn<Integer> for Cycle {
    fn from_column(value: PgValue<'_>) -> Result<Self> {
        FromSql::<Integer, Pg>::from_sql(value).map(Self::numbered)
    }
}

impl ToColumn<Binary> for Hash {
    type Wire = Vec<u8>;

    fn wire(&self) -> Vec<u8> {
        self.to_vec()
    }
}

impl FromColumn<Binary> for Hash {
    fn from_column(value: PgValue<'_>) -> Result<Self> {
        Self::try_from(value.as_bytes()).map_err(|_| "a hash is not 32 bytes long".into())
    }
}
