//! The mutations that keys and approvals name.

use std::borrow::Cow;
use std::fmt;

/// Those that may wait for another operator.
pub const REFUND: &str = "refund";
pub const ADJUST_BALANCE: &str = "adjustBalance";
pub const PAY_OUT: &str = "payOut";
pub const UPDATE_ACCOUNT: &str = "updateAccount";
/// Those whose keys are answered before anybody else is asked.
pub const ADD_PAYMENT_METHOD: &str = "addPaymentMethod";
pub const QUOTE_PREPAY: &str = "quotePrepay";

/// A mutation that an idempotency key belongs to, or that may wait for another operator, by its name in the schema. What is kept may be of
/// a later version, whose mutations are not known here.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Mutation(Cow<'static, str>);

impl Mutation {
    pub const fn named(name: &'static str) -> Self {
        Self(Cow::Borrowed(name))
    }

    /// As it was kept.
    pub fn kept(name: &str) -> Self {
        Self(Cow::Owned(name.to_owned()))
    }

    pub fn name(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Mutation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
