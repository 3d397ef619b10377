-- What prepayments for apps are priced by, and the prices that were offered.

INSERT INTO resources (code, name, unit, resource_type, aggregation) VALUES
    ('app_cpu',     'App processors', 'milli-core', 'CLOUD', 'LAST'),
    ('app_mem',     'App memory',     'MiB',        'CLOUD', 'LAST'),
    ('app_storage', 'App storage',    'MiB',        'CLOUD', 'LAST')
    ON CONFLICT DO NOTHING;
-- A month is 30 days. Operators set others, for everything or for a cluster or chart alone.
INSERT INTO resource_prices (resource_code, currency, level, price, unit, multiplier, effective_from) VALUES
    ('app_cpu',     'USD', 0, 7,    'core/month', 1000 * 2592000::numeric, '1970-01-01T00:00:00Z'),
    ('app_mem',     'USD', 0, 0.5,  'GiB/month',  1024 * 2592000::numeric, '1970-01-01T00:00:00Z'),
    ('app_storage', 'USD', 0, 0.05, 'GiB/month',  1024 * 2592000::numeric, '1970-01-01T00:00:00Z');

-- What one unit of a currency is worth in another. Append-only: of a pair the one that was observed last holds.
CREATE TABLE exchange_rates (
    id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    base        text        NOT NULL,
    quote       text        NOT NULL,
    rate        numeric     NOT NULL CHECK (rate > 0),
    source      text        NOT NULL,
    observed_at timestamptz NOT NULL,
    CONSTRAINT exchange_rates_two_currencies CHECK (base <> quote)
);
CREATE INDEX exchange_rates_latest ON exchange_rates (base, quote, observed_at DESC, id DESC);
CREATE TRIGGER exchange_rates_are_final BEFORE UPDATE OR DELETE OR TRUNCATE ON exchange_rates
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- An offer to an account: what an app of these limits costs for a term, until it expires.
CREATE TABLE prepay_quotes (
    account_id    bigint      NOT NULL,
    id            uuid        NOT NULL,
    currency      text        NOT NULL,
    amount        numeric     NOT NULL CHECK (amount > 0),
    usd           numeric     NOT NULL CHECK (usd > 0),
    months        integer     NOT NULL CHECK (months BETWEEN 1 AND 12),
    cluster_id    text        NOT NULL,
    chart_name    text        NOT NULL,
    cpu_limit     integer     NOT NULL CHECK (cpu_limit >= 0),
    mem_limit     integer     NOT NULL CHECK (mem_limit >= 0),
    storage_limit integer     NOT NULL CHECK (storage_limit >= 0),
    -- The rate by which `usd` became `amount`, where they differ.
    rate_id       bigint      REFERENCES exchange_rates,
    -- domain/rating/charge.rs as JSON, decimals as strings.
    steps         jsonb       NOT NULL,
    expires_at    timestamptz NOT NULL,
    PRIMARY KEY (account_id, id)
);
