//! Price rules: read with what they say, appended, ended.

use std::iter::once;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use diesel::sql_types::{Array, BigInt, Jsonb, Nullable, Text, Timestamptz};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use serde_json::Value;

use super::error::StoreError;
use super::keyed::{Key, Made, Stop, made};
use super::seals::Sealer;
use super::sql::row::row;
use super::sql::statement::{Columns, Statement};
use super::{Conn, execute, keys, rows, select_from};
use crate::domain::account::Hash;
use crate::domain::fingerprint::Fingerprints;
use crate::domain::ids::{AccountId, PriceDefinitionId, PriceRuleId};
use crate::domain::money::CurrencyCode;
use crate::domain::mutation::Mutation;
use crate::domain::price_rule::{
    NewDefinition, PriceDefinition, PriceRule, RULES_MAX, RuleToEnd, RuleToSet, RulesToSet, Stated, end_of,
};
use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::seal::SealKeys;

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
    told_price_rules => PriceRule {
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

/// Whom the keys of rules for everyone belong to: no account has this number.
const PROVIDER: AccountId = AccountId(0);

pub async fn rule_by_ids(conn: Conn<'_>, ids: Vec<i64>) -> Result<Vec<PriceRule>, StoreError> {
    let statement = select_from::<PriceRule>("told_price_rules")
        .sql(" WHERE id = ANY(")
        .value::<Array<BigInt>, _>(ids)
        .sql(") ORDER BY id");
    rows::<PriceRule>(conn, statement).await
}

/// The accounts' own rules, in the order in which they were set.
pub async fn rules_of_accounts(conn: Conn<'_>, accounts: Vec<i64>) -> Result<Vec<PriceRule>, StoreError> {
    let statement = select_from::<PriceRule>("told_price_rules")
        .sql(" WHERE account_id = ANY(")
        .value::<Array<BigInt>, _>(accounts)
        .sql(") ORDER BY id");
    rows::<PriceRule>(conn, statement).await
}

/// The rules for everyone, in the order in which they were set.
pub async fn rules_of_everyone(conn: Conn<'_>) -> Result<Vec<PriceRule>, StoreError> {
    let statement = select_from::<PriceRule>("told_price_rules").sql(" WHERE account_id IS NULL ORDER BY id");
    rows::<PriceRule>(conn, statement).await
}

/// Definitions by id, whatever rules use them.
pub async fn definitions(
    conn: Conn<'_>,
    ids: Vec<PriceDefinitionId>,
) -> Result<Vec<PriceDefinition>, StoreError> {
    let statement = select_from::<PriceDefinition>("price_definitions")
        .sql(" WHERE id = ANY(")
        .value::<Array<BigInt>, _>(ids.iter().map(|id| id.0).collect::<Vec<_>>())
        .sql(")");
    rows::<PriceDefinition>(conn, statement).await
}

/// Rules as they are.
type Rules = Vec<PriceRule>;

/// Sets rules, all or none; a key that has set them before answers them as they are now.
pub async fn rules_set(
    conn: &mut AsyncPgConnection,
    wanted: &RulesToSet,
    asked: Fingerprints,
    seals: &SealKeys,
) -> Made<Rules> {
    let owner = wanted.account.unwrap_or(PROVIDER);
    let key = Key { owner, key: &wanted.key, mutation: Mutation::SetPrices, asked, seals };
    let outcome = conn
        .transaction(async |conn| {
            let conn: Conn<'_> = conn;
            execute(conn, Statement::new(LOCK)).await?;
            if let Some(ids) = held(conn, &key).await? {
                return Ok(rule_by_ids(conn, ids).await?);
            }
            wanted.check_windows()?;
            require_room(conn, wanted).await?;
            let mut ids = Vec::with_capacity(wanted.rules.len());
            for rule in &wanted.rules {
                let definition = match &rule.stated {
                    Stated::New(definition) => definition_insert(conn, definition, wanted).await?,
                    Stated::Existing(id) => id.0,
                };
                ids.push(rule_insert(conn, rule, definition, wanted).await?);
            }
            keep(conn, &key, ids.clone(), wanted.now).await?;
            let rules = rule_by_ids(conn, ids).await?;
            if wanted.dry_run { Err(Stop::Tried(rules)) } else { Ok(rules) }
        })
        .await;
    made(outcome)
}

async fn require_room(mut conn: Conn<'_>, wanted: &RulesToSet) -> Result<(), Stop<Rules>> {
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
    wanted: &RulesToSet,
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
        .column::<Timestamptz, _>("created_at", once(wanted.now))
        .insert_into("price_definitions")
        .sql(" RETURNING id")
        .returning::<BigInt>();
    Ok(statement.get_result(&mut conn).await?)
}

async fn rule_insert(
    mut conn: Conn<'_>,
    rule: &RuleToSet,
    definition: i64,
    wanted: &RulesToSet,
) -> Result<i64, StoreError> {
    let statement = Columns::new()
        .column::<Nullable<BigInt>, _>("account_id", once(wanted.account.map(|account| account.0)))
        .column::<BigInt, _>("definition_id", once(definition))
        .column::<Timestamptz, _>("effective_from", once(rule.effective_from.unwrap_or(wanted.now)))
        .column::<Nullable<Timestamptz>, _>("effective_until", once(rule.effective_until))
        .column::<Timestamptz, _>("created_at", once(wanted.now))
        .column::<Text, _>("created_by", once(wanted.set_by.clone()))
        .insert_into("price_rules")
        .sql(" RETURNING id")
        .returning::<BigInt>();
    Ok(statement.get_result(&mut conn).await?)
}

/// Ends a rule; a key that has ended it before answers it as it is now.
pub async fn rule_end(
    conn: &mut AsyncPgConnection,
    ending: &RuleToEnd,
    fingerprint: Hash,
    seals: &SealKeys,
) -> Made<Rules> {
    let outcome = conn
        .transaction(async |conn| {
            let conn: Conn<'_> = conn;
            execute(conn, Statement::new(LOCK)).await?;
            let id = ending.rule.0;
            let not_found = || Refusal::new(RefusalCode::NotFound, "ruleId", "there is no such rule");
            let rule = rule_by_ids(conn, vec![id]).await?.pop().ok_or_else(not_found)?;
            let key = Key {
                owner: rule.account.unwrap_or(PROVIDER),
                key: &ending.key,
                mutation: Mutation::EndPriceRule,
                asked: fingerprint.into(),
                seals,
            };
            if let Some(ids) = held(conn, &key).await? {
                return Ok(rule_by_ids(conn, ids).await?);
            }
            let end = end_of(&rule, ending.until.unwrap_or(ending.now), ending.now)?;
            let statement = Statement::new("UPDATE price_rules SET effective_until = ")
                .instant(end)
                .sql(" WHERE id = ")
                .bigint(id);
            execute(conn, statement).await?;
            keep(conn, &key, vec![id], ending.now).await?;
            let rules = rule_by_ids(conn, vec![id]).await?;
            if ending.dry_run { Err(Stop::Tried(rules)) } else { Ok(rules) }
        })
        .await;
    made(outcome)
}

/// The rules that a key has set or ended, if it was used for the same before.
async fn held(conn: Conn<'_>, key: &Key<'_>) -> Result<Option<Vec<i64>>, Stop<Rules>> {
    if !key.is_held::<Rules>(conn).await? {
        return Ok(None);
    }
    Ok(Some(keys::price_rules_of_key(conn, key.owner.0, key.key.to_owned()).await?))
}

async fn keep(conn: Conn<'_>, key: &Key<'_>, rules: Vec<i64>, now: DateTime<Utc>) -> Result<(), StoreError> {
    keys::price_rules_answer_insert(conn, key.owner, key.answer(now), rules, &Sealer::of_new(key.seals)).await
}
