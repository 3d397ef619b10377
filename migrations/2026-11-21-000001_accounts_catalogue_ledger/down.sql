DROP TABLE ledger_check_position, notices, idempotency_keys, ledger_entries, transactions, bills, orders,
    plan_resources, plans, resources, namespaces, accounts;
DROP FUNCTION refuse_change();
DROP SEQUENCE account_numbers;
