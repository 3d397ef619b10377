//! Lists of codes with what they are called.

use diesel::sql_types::{Integer, Text};

use super::error::StoreError;
use super::sql::statement::{Columns, Statement};
use super::{Conn, execute};
use crate::domain::label::{Label, LabelList};

/// A list, in its order.
pub async fn labels(mut conn: Conn<'_>, list: LabelList) -> Result<Vec<Label>, StoreError> {
    let statement =
        Statement::<(Text, Text, Text)>::new("SELECT code, zh, en FROM code_labels WHERE list = ")
            .value::<Text, _>(list.code())
            .sql(" ORDER BY position, code");
    let found: Vec<(String, String, String)> = statement.load(&mut conn).await?;
    Ok(found.into_iter().map(|(code, zh, en)| Label { code, zh, en }).collect())
}

/// Adds to a list, in the order given.
pub async fn label_insert(conn: Conn<'_>, list: LabelList, labels: &[Label]) -> Result<(), StoreError> {
    let columns = Columns::new()
        .column::<Text, _>("list", labels.iter().map(|_| list.code()))
        .column::<Text, _>("code", labels.iter().map(|label| label.code.clone()))
        .column::<Integer, _>("position", (1i32..).take(labels.len()))
        .column::<Text, _>("zh", labels.iter().map(|label| label.zh.clone()))
        .column::<Text, _>("en", labels.iter().map(|label| label.en.clone()));
    execute(conn, columns.insert_into("code_labels")).await.map(drop)
}
