-- Usage: events, each counted once for ever, and what they come to (docs/adr/0011).

-- Whether reports may be negative: what was reported too much is taken back.
ALTER TABLE resources ADD COLUMN allows_corrections boolean NOT NULL DEFAULT false;

-- An event's mark: the same id of the same account counts once. Partitioned by the account and never by time, so that
-- no age of an event makes it count again.
CREATE TABLE usage_marks (
    account_id bigint           NOT NULL,
    event_id   text COLLATE "C" NOT NULL,
    -- A digest of the rest of the event: another event under the same id is told apart from the same one again.
    payload    bigint           NOT NULL,
    PRIMARY KEY (account_id, event_id)
) PARTITION BY HASH (account_id);
DO $$ BEGIN
    FOR part IN 0..15 LOOP
        EXECUTE format('CREATE TABLE usage_marks_%s PARTITION OF usage_marks FOR VALUES WITH (MODULUS 16, REMAINDER %s)',
            lpad(part::text, 2, '0'), part);
    END LOOP;
END $$;

-- The events themselves, by the month (UTC) of their time. What they come to is kept beside them: nothing reads them
-- but people.
CREATE TABLE usage_events (
    account_id    bigint      NOT NULL,
    event_id      text        NOT NULL,
    resource_code text        NOT NULL,
    quantity      numeric     NOT NULL,
    time          timestamptz NOT NULL,
    subject       text,
    datacenter    text,
    attributes    jsonb,
    received_at   timestamptz NOT NULL
) PARTITION BY RANGE (time);

-- Makes the partition of a month. Attaching one does not wait for those who write into the others.
CREATE FUNCTION make_usage_month(month date) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    first date := date_trunc('month', month)::date;
    name text := 'usage_events_' || to_char(first, 'YYYY_MM');
BEGIN
    PERFORM pg_advisory_xact_lock(4702394921427289929);
    IF to_regclass(name) IS NULL THEN
        EXECUTE format('CREATE TABLE %I (LIKE usage_events INCLUDING ALL)', name);
        EXECUTE format('ALTER TABLE usage_events ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', name,
            first::timestamp AT TIME ZONE 'UTC', (first + interval '1 month')::timestamp AT TIME ZONE 'UTC');
    END IF;
END $$;

-- What a subject's events of one local hour come to: their sum, or the greatest.
CREATE TABLE usage_hours (
    account_id    bigint           NOT NULL,
    resource_code text COLLATE "C" NOT NULL,
    hour          timestamptz      NOT NULL,
    -- '' for none.
    subject       text COLLATE "C" NOT NULL,
    quantity      numeric          NOT NULL,
    -- How many events have gone into it: whoever has billed it knows by this whether there have been more since.
    version       bigint           NOT NULL,
    PRIMARY KEY (account_id, resource_code, hour, subject)
) WITH (fillfactor = 80);

-- The last report of a gauge in each 5-minute slot.
CREATE TABLE usage_samples (
    account_id    bigint           NOT NULL,
    resource_code text COLLATE "C" NOT NULL,
    slot          timestamptz      NOT NULL,
    subject       text COLLATE "C" NOT NULL,
    quantity      numeric          NOT NULL,
    -- When that was: of two reports in a slot the later one counts, in whatever order they come.
    reported_at   timestamptz      NOT NULL,
    version       bigint           NOT NULL,
    PRIMARY KEY (account_id, resource_code, slot, subject)
) WITH (fillfactor = 80);
