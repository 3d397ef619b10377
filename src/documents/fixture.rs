use crate::documents::invoice::{Group, Invoice, Item, Logo, Party, Provider};

/// 320 by 80 pixels.
pub const PNG: &[u8] = include_bytes!("fixture/logo.png");

/// An invoice with so many items in two assets.
pub fn invoice(items: usize) -> Invoice {
    let item = |index: usize| Item {
        title: format!("应用 app-{index} 计算与存储 (cluster eu-{})", index % 3),
        amount: format!("{}.{:02}", index * 7 + 1, index % 100),
        usd: Some(format!("{}.{:02}", index * 7 + 1, index % 100)),
    };
    let group = |asset: &str, range: std::ops::Range<usize>| Group {
        asset: asset.to_owned(),
        items: range.map(item).collect(),
        total_amount: "1,234,567.891234567890123456".to_owned(),
        total_usd: Some("45,678.90".to_owned()),
    };
    Invoice {
        number: Some("INV-2026-000123".to_owned()),
        issued_on: Some("2026-12-01".to_owned()),
        period: "2026-11".to_owned(),
        provider: Provider {
            name: "Cloud Provider Ltd.".to_owned(),
            address: vec!["1 Main Street".to_owned(), "Singapore 048616".to_owned()],
            tax_id: Some("SG-201912345K".to_owned()),
            logo: Some(Logo { png: PNG.to_vec(), width: 320, height: 80 }),
        },
        customer: Party {
            name: "杭州某某科技有限公司".to_owned(),
            namespace: "team-blue".to_owned(),
            account: "3f0c7b6e-5d1a-4c55-9d5e-0c1d2b3a4f5e".to_owned(),
        },
        groups: vec![group("USD", 0..items / 2), group("ANKR_ERC20", items / 2..items)],
        currency: "CNY".to_owned(),
        total: "654,321.09".to_owned(),
        worth: Some("91,357.80".to_owned()),
    }
}
