/// The language of an invoice's labels; names and titles stay as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    Zh,
    En,
}

/// What is billed for a period. All figures are text already, so that every form of the invoice shows the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invoice {
    /// None: a draft.
    pub number: Option<String>,
    pub issued_on: Option<String>,
    /// Like `2026-11`.
    pub period: String,
    pub provider: Provider,
    pub customer: Party,
    pub groups: Vec<Group>,
    /// The currency that the customer is billed in, like `EUR`.
    pub currency: String,
    /// What is billed in it.
    pub total: String,
    /// What all groups are worth in USD, where that is known and says more than the total.
    pub worth: Option<String>,
}

impl Invoice {
    /// Whether the worth of anything on it is known.
    pub fn has_worths(&self) -> bool {
        let has_worth =
            |group: &Group| group.total_usd.is_some() || group.items.iter().any(|item| item.usd.is_some());
        self.groups.iter().any(has_worth)
    }
}

/// Stands where a worth is not known.
pub const UNKNOWN: &str = "–";

/// Who bills.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provider {
    pub name: String,
    /// Line by line.
    pub address: Vec<String>,
    pub tax_id: Option<String>,
    pub logo: Option<Logo>,
}

/// A PNG picture with its size in pixels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logo {
    pub png: Vec<u8>,
    pub width: u32,
    pub height: u32,
}

/// Who is billed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Party {
    pub name: String,
    pub namespace: String,
    pub account: String,
}

/// The items that are billed in one asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Like `USD` or `USDT_ERC20`.
    pub asset: String,
    pub items: Vec<Item>,
    pub total_amount: String,
    /// Its value in USD, where that is known.
    pub total_usd: Option<String>,
}

/// A line of a group's table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    pub title: String,
    /// In the group's asset.
    pub amount: String,
    /// The amount's value in USD, where that is known.
    pub usd: Option<String>,
}
