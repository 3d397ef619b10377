DROP VIEW told_price_rules;
ALTER TABLE idempotency_keys DROP COLUMN price_rule_ids;
DROP TABLE price_rules;
DROP TABLE price_definitions;
DROP FUNCTION price_rules_are_only_ended();
DROP FUNCTION price_definitions_never_change();
