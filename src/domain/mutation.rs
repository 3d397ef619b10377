//! The mutations that keys and approvals name.

use super::codes::coded_enum;

coded_enum! {
    /// A mutation that an idempotency key belongs to, or that may wait for another operator, by its name in the schema.
    Mutation {
        Recharge = "recharge",
        Prepay = "prepay",
        Checkout = "checkout",
        Subscribe = "subscribe",
        Refund = "refund",
        PayOrder = "payOrder",
        PayBill = "payBill",
        RenewOrder = "renewOrder",
        CancelOrder = "cancelOrder",
        SetAutoRenewal = "setAutoRenewal",
        AdjustBalance = "adjustBalance",
        SetPrices = "setPrices",
        EndPriceRule = "endPriceRule",
        Rerate = "rerate",
        VoidBill = "voidBill",
        VoidUsage = "voidUsage",
        PayOut = "payOut",
        CreateAccount = "createAccount",
        UpdateAccount = "updateAccount",
        DecideApproval = "decideApproval",
        EraseAccount = "eraseAccount",
        CreatePlan = "createPlan",
        SetResourcePrices = "setResourcePrices",
        SetExchangeRate = "setExchangeRate",
        AddPaymentMethod = "addPaymentMethod",
        QuotePrepay = "quotePrepay",
    }
}
