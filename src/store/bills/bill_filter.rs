//! What a list of bills is narrowed by.

use diesel::sql_types::Text;

use crate::domain::bill::BillStatus;
use crate::domain::ids::OrderId;
use crate::domain::viewer::Scope;
use crate::store::accounts::account_list::like_anywhere;
use crate::store::list::{Narrow, Window};
use crate::store::sql::statement::Statement;

/// What a list of bills is narrowed by; conditions are joined by AND.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BillFilter {
    /// Of the bill's start.
    pub start: Window,
    pub status: Option<BillStatus>,
    /// In the number of the bill or its order, or in the order's name; anywhere, without regard to case.
    pub search: Option<String>,
    pub order: Option<OrderId>,
}

impl BillFilter {
    /// Whether everybody's are narrowed by when they begin: those have an index of it.
    pub(in crate::store) fn is_by_start(&self, scope: Scope) -> bool {
        scope == Scope::All && self.start != Window::default()
    }

    /// Keeps those that begin in the window.
    pub(in crate::store) fn begun<ST>(&self, mut statement: Statement<ST>) -> Statement<ST> {
        if let Some(from) = self.start.from {
            statement = statement.sql(" AND t.start_time >= ").instant(from);
        }
        if let Some(to) = self.start.to {
            statement = statement.sql(" AND t.start_time < ").instant(to);
        }
        statement
    }

    fn is_of_open_ones(&self) -> bool {
        matches!(self.status, Some(BillStatus::Unpaid | BillStatus::Overdue))
    }
}

impl Narrow for BillFilter {
    fn along<ST>(&self, _: Scope, mut statement: Statement<ST>) -> Statement<ST> {
        if let Some(order) = self.order {
            statement = statement.sql(" AND t.order_id = ").uuid(order.uuid());
        }
        if self.is_of_open_ones() {
            statement.sql(" AND t.status IN ('UNPAID', 'OVERDUE')")
        } else {
            statement
        }
    }

    fn kept<ST>(&self, _: Scope, mut statement: Statement<ST>) -> Statement<ST> {
        // Written so that the index is out of the question: rows are walked in their order.
        if let Some(from) = self.start.from {
            statement = statement.sql(" AND t.start_time + interval '0' >= ").instant(from);
        }
        if let Some(to) = self.start.to {
            statement = statement.sql(" AND t.start_time + interval '0' < ").instant(to);
        }
        if let Some(status) = self.status {
            statement = statement.sql(" AND t.status = ").value::<Text, _>(status.code());
        }
        if let Some(search) = &self.search {
            let pattern = like_anywhere(search);
            statement = statement
                .sql(" AND (t.number ILIKE ")
                .text(pattern.clone())
                .sql(" OR EXISTS (SELECT 1 FROM orders o WHERE o.account_id = t.account_id AND o.id = t.order_id AND (o.number ILIKE ")
                .text(pattern.clone())
                .sql(" OR o.name ILIKE ")
                .text(pattern)
                .sql(")))");
        }
        statement
    }

    fn is_walked(&self, _: Scope) -> bool {
        let Self { start, status, search, order } = self;
        // An order has few.
        order.is_none() && (*start != Window::default() || status.is_some() || search.is_some())
    }
}

/// Bills as they are counted: in whatever order.
pub(in crate::store) struct Counted<'f>(pub &'f BillFilter);

impl Narrow for Counted<'_> {
    fn along<ST>(&self, scope: Scope, statement: Statement<ST>) -> Statement<ST> {
        let statement = self.0.along(scope, statement);
        if self.0.is_by_start(scope) { self.0.begun(statement) } else { statement }
    }

    fn kept<ST>(&self, scope: Scope, statement: Statement<ST>) -> Statement<ST> {
        self.0.kept(scope, statement)
    }

    fn is_walked(&self, scope: Scope) -> bool {
        self.0.is_walked(scope)
    }
}
