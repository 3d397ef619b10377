//! Codes with what they are called, in the languages that labels are kept in.

use super::codes::coded_enum;
use super::order::{OrderState, OrderType};

/// A language that labels are kept in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    Zh,
    /// Also for every other language.
    #[default]
    En,
}

impl Language {
    /// The language that an Accept-Language header prefers: its first one that labels are kept in, by weight.
    pub fn accepted(header: &str) -> Self {
        let weighted = header.split(',').map(|part| {
            let (tag, parameter) = part.split_once(';').unwrap_or((part, "q=1"));
            let weight = parameter.trim().strip_prefix("q=").unwrap_or("0");
            (tag.trim(), thousandths(weight.trim()))
        });
        let known = weighted.filter(|(_, weight)| *weight > 0).filter_map(|(tag, weight)| {
            let primary = tag.split(['-', '_']).next()?.to_ascii_lowercase();
            match primary.as_str() {
                "zh" => Some((Self::Zh, weight)),
                "en" => Some((Self::En, weight)),
                _ => None,
            }
        });
        // Of equal weights the first one counts.
        known
            .reduce(|best, next| if next.1 > best.1 { next } else { best })
            .map_or(Self::En, |(language, _)| language)
    }
}

/// A weight such as `0.8`, in thousandths; what is none is 0.
fn thousandths(weight: &str) -> u32 {
    let (whole, places) = weight.split_once('.').unwrap_or((weight, ""));
    let digits = format!("{places:0<3}");
    let places = digits.get(..3).and_then(|places| places.parse::<u32>().ok());
    let whole = whole.parse::<u32>().ok().and_then(|whole| whole.checked_mul(1000));
    whole.zip(places).and_then(|(whole, places)| whole.checked_add(places)).unwrap_or(0)
}

coded_enum! {
    /// A list of codes that the provider keeps.
    LabelList {
        ResourceType = "RESOURCE_TYPE",
        Datacenter = "DATACENTER",
    }
}

/// A code, and what it is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    pub code: String,
    pub zh: String,
    pub en: String,
}

impl Label {
    pub fn in_language(&self, language: Language) -> &str {
        match language {
            Language::Zh => &self.zh,
            Language::En => &self.en,
        }
    }
}

fn label(code: &str, zh: &str, en: &str) -> Label {
    Label { code: code.to_owned(), zh: zh.to_owned(), en: en.to_owned() }
}

/// The kinds of order.
pub fn order_types() -> Vec<Label> {
    let named = |kind: &OrderType| match kind {
        OrderType::New => label(kind.code(), "新增", "New"),
        OrderType::Renew => label(kind.code(), "续约", "Renewal"),
        OrderType::Change => label(kind.code(), "变更", "Change"),
    };
    OrderType::ALL.iter().map(named).collect()
}

/// Where orders stand.
pub fn order_states() -> Vec<Label> {
    let named = |state: &OrderState| match state {
        OrderState::Unpaid => label(state.code(), "待支付", "Unpaid"),
        OrderState::Active => label(state.code(), "使用中", "Active"),
        OrderState::Expiring => label(state.code(), "即将到期", "Expiring"),
        OrderState::Suspended => label(state.code(), "已暂停", "Suspended"),
        OrderState::Ended => label(state.code(), "已结束", "Ended"),
        OrderState::Cancelled => label(state.code(), "已取消", "Cancelled"),
    };
    OrderState::ALL.iter().map(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_is_the_best_weighted_one_that_is_known() {
        for (header, expected) in [
            ("zh-CN,zh;q=0.9,en;q=0.8", Language::Zh),
            ("en-GB,en;q=0.9", Language::En),
            ("fr, zh;q=0.5, en;q=0.7", Language::En),
            ("fr, de;q=0.5", Language::En),
            ("", Language::En),
            ("ZH_tw", Language::Zh),
            ("en;q=0, zh;q=0.1", Language::Zh),
            ("zh;q=x", Language::En),
            ("en; q=0.2, zh ; q=0.3", Language::Zh),
        ] {
            assert_eq!(Language::accepted(header), expected, "{header}");
        }
    }
}
