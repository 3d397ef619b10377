//! What a list of orders is narrowed by.

use diesel::sql_types::Text;

use crate::domain::account::AccountKind;
use crate::domain::order::{OrderState, OrderType};
use crate::domain::viewer::Scope;
use crate::store::accounts::account_list::like_anywhere;
use crate::store::list::{self, Narrow, Window};
use crate::store::sql::statement::Statement;

/// What a list of orders is narrowed by; conditions are joined by AND.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OrderFilter {
    /// Of creation.
    pub window: Window,
    pub order_type: Option<OrderType>,
    /// In the number or the name, anywhere, without regard to case.
    pub search: Option<String>,
    pub resource_type: Option<String>,
    pub account_kind: Option<AccountKind>,
    pub state: Option<OrderState>,
}

impl OrderFilter {
    /// All conditions but those of the window and the word.
    pub(in crate::store) fn restrict_others<ST>(&self, mut statement: Statement<ST>) -> Statement<ST> {
        if let Some(order_type) = self.order_type {
            statement = statement.sql(" AND t.type = ").value::<Text, _>(order_type.code());
        }
        if let Some(state) = self.state {
            statement = statement.sql(" AND t.state = ").value::<Text, _>(state.code());
        }
        if let Some(resource_type) = &self.resource_type {
            statement = statement.sql(" AND t.resource_type = ").text(resource_type.clone());
        }
        if let Some(kind) = self.account_kind {
            statement = list::of_kind(statement, kind);
        }
        statement
    }
}

impl Narrow for OrderFilter {
    fn along<ST>(&self, _: Scope, statement: Statement<ST>) -> Statement<ST> {
        self.window.restrict(statement)
    }

    fn kept<ST>(&self, _: Scope, statement: Statement<ST>) -> Statement<ST> {
        let statement = self.restrict_others(statement);
        match &self.search {
            Some(word) => matching(statement, word),
            None => statement,
        }
    }

    fn is_walked(&self, _: Scope) -> bool {
        let Self { window: _, order_type, search, resource_type, account_kind, state } = self;
        order_type.is_some()
            || search.is_some()
            || resource_type.is_some()
            || account_kind.is_some()
            || state.is_some()
    }
}

/// Keeps the orders with the word.
fn matching<ST>(statement: Statement<ST>, word: &str) -> Statement<ST> {
    let pattern = like_anywhere(word);
    // Written so that the index is out of the question: rows are walked in their order.
    statement
        .sql(" AND (t.number || '' ILIKE ")
        .text(pattern.clone())
        .sql(" OR t.name || '' ILIKE ")
        .text(pattern)
        .sql(")")
}
