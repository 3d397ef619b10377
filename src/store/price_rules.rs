//! Price rules: read with what they say, appended, ended.

use std::iter::once;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use diesel::sql_types::{BigInt, Jsonb, Nullable, Text, Timestamptz};
use diesel_async::RunQueryDsl;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::Value;

use super::error::StoreError;
use super::once::{KeyedWrite, Stop, created_ids};
use super::sql::row::row;
use super::sql::statement::{Columns, Statement};
use super::{Conn, execute, rows, select_from};
use crate::domain::idempotency::Attempt;
use crate::domain::ids::{AccountId, PriceDefinitionId, PriceRuleId};
use crate::domain::money::CurrencyCode;
use crate::domain::mutation::Mutation;
use crate::domain::price_rule::{
    NewDefinition, PriceDefinition, PriceRule, RULES_MAX, RuleToEnd, RuleToSet, RulesToSet, Stated, end_of,
};
use crate::domain::refusal::{Refusal, RefusalCode};

row! {
    price_definitions => PriceDefinition {
        id: PriceDefinitionId,
        type_: String,
        description: String,
        currency: Option<CurrencyCode>,
        terms: Value,
        created_at: DateTime<Utc>,
    }
    Self { id, kind: type_, description, currency, terms: serde_json::from_value(terms)?, created_at }
}

row! {
    price_rules_with_terms => PriceRule {
        id: PriceRuleId,
        account_id: Option<AccountId>,
        effective_from: DateTime<Utc>,
        effective_until: Option<DateTime<Utc>>,
        created_at: DateTime<Utc>,
        created_by: String,
        definition_id: PriceDefinitionId,
        definition_type: String,
        description: String,
        currency: Option<CurrencyCode>,
        terms: Value,
        defined_at: DateTime<Utc>,
    }
    {
        let definition = PriceDefinition {
            id: definition_id,
            kind: definition_type,
            description,
            currency,
            terms: serde_json::from_value(terms)?,
            created_at: defined_at,
        };
        Self {
            id,
            account: account_id,
            effective_from,
            effective_until,
            definition: Arc::new(definition),
            created_at,
            created_by,
        }
    }
}

/// Whoever sets or ends rules does so alone, so that the order of their numbers is that in which they were set.
const LOCK: &str = "SELECT pg_advisory_xact_lock(4702394921427289929)";

pub async fn rule_by_ids(conn: Conn<'_>, ids: Vec<i64>) -> Result<Vec<PriceRule>, StoreError> {
    let statement = select_from::<PriceRule>("price_rules_with_terms")
        .sql(" WHERE id = ANY(")
        .keys::<BigInt, _>(ids)
        .sql(") ORDER BY created_at, id");
    rows::<PriceRule>(conn, statement).await
}

/// The accounts' own rules, in the order in which they were set.
pub async fn rules_of_accounts(conn: Conn<'_>, accounts: Vec<i64>) -> Result<Vec<PriceRule>, StoreError> {
    let statement = select_from::<PriceRule>("price_rules_with_terms")
        .sql(" WHERE account_id = ANY(")
        .keys::<BigInt, _>(accounts)
        .sql(") ORDER BY created_at, id");
    rows::<PriceRule>(conn, statement).await
}

/// The rules for everyone, in the order in which they were set.
pub async fn rules_of_everyone(conn: Conn<'_>) -> Result<Vec<PriceRule>, StoreError> {
    let statement = select_from::<PriceRule>("price_rules_with_terms")
        .sql(" WHERE account_id IS NULL ORDER BY created_at, id");
    rows::<PriceRule>(conn, statement).await
}

/// Definitions by id, whatever rules use them.
pub async fn definitions(
    conn: Conn<'_>,
    ids: Vec<PriceDefinitionId>,
) -> Result<Vec<PriceDefinition>, StoreError> {
    let statement = select_from::<PriceDefinition>("price_definitions")
        .sql(" WHERE id = ANY(")
        .keys::<BigInt, _>(ids.iter().map(|id| id.0).collect::<Vec<_>>())
        .sql(")");
    rows::<PriceDefinition>(conn, statement).await
}

/// Sets rules, all or none.
impl KeyedWrite for RulesToSet {
    const MUTATION: Mutation = Mutation::named("setPrices");
    type Made = Vec<PriceRule>;

    fn write<'c>(&'c self, conn: Conn<'c>, attempt: &'c Attempt) -> BoxFuture<'c, Result<Vec<String>, Stop>> {
        async move {
            execute(conn, Statement::new(LOCK)).await?;
            self.check_windows(attempt.now)?;
            require_room(conn, self).await?;
            // By the clocks of several servers, and still one after the other.
            let set_at = last_set(conn, self).await?.map_or(attempt.now, |last| last.max(attempt.now));
            let mut ids = Vec::with_capacity(self.rules.len());
            for rule in &self.rules {
                let definition = match &rule.stated {
                    Stated::New(definition) => definition_insert(conn, definition, attempt.now).await?,
                    Stated::Existing(id) => id.0,
                };
                let id = rule_insert(conn, rule, definition, self, (attempt.now, set_at)).await?;
                ids.push(PriceRuleId(id).to_string());
            }
            Ok(ids)
        }
        .boxed()
    }

    fn made<'c>(
        &'c self,
        conn: Conn<'c>,
        _: &'c Attempt,
        created: Vec<String>,
    ) -> BoxFuture<'c, Result<Vec<PriceRule>, StoreError>> {
        rules_created(conn, created).boxed()
    }
}

async fn rules_created(conn: Conn<'_>, created: Vec<String>) -> Result<Vec<PriceRule>, StoreError> {
    let ids = created_ids(&created, PriceRuleId::parse)?;
    rule_by_ids(conn, ids.iter().map(|id| id.0).collect()).await
}

async fn require_room(mut conn: Conn<'_>, wanted: &RulesToSet) -> Result<(), Stop> {
    let statement = Statement::<BigInt>::new("SELECT count(*) FROM price_rules WHERE ");
    let statement = match wanted.account {
        Some(account) => statement.sql("account_id = ").bigint(account.0),
        None => statement.sql("account_id IS NULL"),
    };
    let there: i64 = statement.get_result(&mut conn).await?;
    let more = i64::try_from(wanted.rules.len()).unwrap_or(i64::MAX);
    if there.saturating_add(more) > RULES_MAX {
        let message = format!("an account, or everyone, has at most {RULES_MAX} rules");
        return Err(Refusal::new(RefusalCode::LimitExceeded, "infos", message).into());
    }
    Ok(())
}

async fn definition_insert(
    mut conn: Conn<'_>,
    definition: &NewDefinition,
    now: DateTime<Utc>,
) -> Result<i64, StoreError> {
    let terms =
        serde_json::to_value(&definition.terms).map_err(|error| StoreError::Internal(error.to_string()))?;
    let currency = definition.currency.map(|currency| currency.to_string());
    let statement = Columns::new()
        .column::<Text, _>("kind", once(definition.terms.kind().code()))
        .column::<Text, _>("type", once(definition.kind.clone()))
        .column::<Text, _>("description", once(definition.description.clone()))
        .column::<Nullable<Text>, _>("currency", once(currency))
        .column::<Jsonb, _>("terms", once(terms))
        .column::<Timestamptz, _>("created_at", once(now))
        .insert_row_into("price_definitions")
        .sql(" RETURNING id")
        .returning::<BigInt>();
    Ok(statement.get_result(&mut conn).await?)
}

async fn rule_insert(
    mut conn: Conn<'_>,
    rule: &RuleToSet,
    definition: i64,
    wanted: &RulesToSet,
    (now, set_at): (DateTime<Utc>, DateTime<Utc>),
) -> Result<i64, StoreError> {
    let statement = Columns::new()
        .column::<Nullable<BigInt>, _>("account_id", once(wanted.account.map(|account| account.0)))
        .column::<BigInt, _>("definition_id", once(definition))
        .column::<Timestamptz, _>("effective_from", once(rule.effective_from.unwrap_or(now)))
        .column::<Nullable<Timestamptz>, _>("effective_until", once(rule.effective_until))
        .column::<Timestamptz, _>("created_at", once(set_at))
        .column::<Text, _>("created_by", once(wanted.set_by.clone()))
        .insert_row_into("price_rules")
        .sql(" RETURNING id")
        .returning::<BigInt>();
    Ok(statement.get_result(&mut conn).await?)
}

/// When the last rule of the account, or of everyone, was set.
async fn last_set(mut conn: Conn<'_>, wanted: &RulesToSet) -> Result<Option<DateTime<Utc>>, StoreError> {
    let statement = Statement::<Nullable<Timestamptz>>::new("SELECT max(created_at) FROM price_rules WHERE ");
    let statement = match wanted.account {
        Some(account) => statement.sql("account_id = ").bigint(account.0),
        None => statement.sql("account_id IS NULL"),
    };
    Ok(statement.get_result(&mut conn).await?)
}

/// Ends a rule.
impl KeyedWrite for RuleToEnd {
    const MUTATION: Mutation = Mutation::named("endPriceRule");
    type Made = Vec<PriceRule>;

    fn write<'c>(&'c self, conn: Conn<'c>, attempt: &'c Attempt) -> BoxFuture<'c, Result<Vec<String>, Stop>> {
        async move {
            execute(conn, Statement::new(LOCK)).await?;
            let rule = rule_by_ids(conn, vec![self.rule.0]).await?.pop().ok_or_else(Self::not_found)?;
            let end = end_of(&rule, self.until.unwrap_or(attempt.now), attempt.now)?;
            let statement = Statement::new("UPDATE price_rules SET effective_until = ")
                .instant(end)
                .sql(" WHERE id = ")
                .bigint(self.rule.0);
            execute(conn, statement).await?;
            Ok(vec![self.rule.to_string()])
        }
        .boxed()
    }

    fn made<'c>(
        &'c self,
        conn: Conn<'c>,
        _: &'c Attempt,
        created: Vec<String>,
    ) -> BoxFuture<'c, Result<Vec<PriceRule>, StoreError>> {
        rules_created(conn, created).boxed()
    }
}
