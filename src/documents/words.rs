use crate::documents::invoice::{Invoice, Language};

/// The labels of an invoice in one language.
pub struct Words {
    /// How browsers and PDF readers name the language.
    pub tag: &'static str,
    pub invoice: &'static str,
    pub draft: &'static str,
    pub draft_note: &'static str,
    pub number: &'static str,
    pub issued_on: &'static str,
    pub period: &'static str,
    pub bill_to: &'static str,
    pub namespace: &'static str,
    pub account: &'static str,
    pub tax_id: &'static str,
    pub item: &'static str,
    pub amount: &'static str,
    pub usd_value: &'static str,
    pub subtotal: &'static str,
    pub total: &'static str,
    pub worth: &'static str,
    pub no_items: &'static str,
}

static ENGLISH: Words = Words {
    tag: "en",
    invoice: "Invoice",
    draft: "DRAFT",
    draft_note: "This is a draft. Figures may still change.",
    number: "Invoice number",
    issued_on: "Issue date",
    period: "Billing period",
    bill_to: "Bill to",
    namespace: "Namespace",
    account: "Account",
    tax_id: "Tax ID",
    item: "Item",
    amount: "Amount",
    usd_value: "Value (USD)",
    subtotal: "Subtotal",
    total: "Total",
    worth: "Value of everything (USD)",
    no_items: "Nothing was billed in this period.",
};

/// The title is 账单 (bill), not 发票: that is the name of the tax office's own form in China, which this is not.
static CHINESE: Words = Words {
    tag: "zh-CN",
    invoice: "账单",
    draft: "草稿",
    draft_note: "本账单为草稿，金额仍可能变动。",
    number: "账单编号",
    issued_on: "出账日期",
    period: "账期",
    bill_to: "客户",
    namespace: "命名空间",
    account: "账户",
    tax_id: "税号",
    item: "项目",
    amount: "金额",
    usd_value: "折合 (USD)",
    subtotal: "小计",
    total: "总计",
    worth: "全部折合 (USD)",
    no_items: "本账期没有费用。",
};

impl Words {
    /// The labels in a language.
    pub fn of(language: Language) -> &'static Words {
        match language {
            Language::Zh => &CHINESE,
            Language::En => &ENGLISH,
        }
    }

    /// The head of the amounts' column.
    pub fn amount_in(&self, asset: &str) -> String {
        format!("{} ({asset})", self.amount)
    }

    /// What the total of an invoice is called.
    pub fn total_in(&self, currency: &str) -> String {
        format!("{} ({currency})", self.total)
    }

    /// How the whole document is called.
    pub fn document_title(&self, invoice: &Invoice) -> String {
        let number = invoice.number.as_deref().unwrap_or(self.draft);
        format!("{} {number}", self.invoice)
    }

    /// The labelled facts about the invoice itself.
    pub fn facts<'a>(&self, invoice: &'a Invoice) -> Vec<(&'static str, &'a str)> {
        let mut facts = Vec::new();
        facts.extend(invoice.number.as_deref().map(|number| (self.number, number)));
        facts.extend(invoice.issued_on.as_deref().map(|day| (self.issued_on, day)));
        facts.push((self.period, invoice.period.as_str()));
        facts
    }
}
