-- Locks: usage_events and usage_marks, as long as the last 40 days of both are read and an index of the first is built.
--
-- One odd row holds up nobody: what cannot be rated, and events that were taken back (docs/adr/0011, docs/adr/0012).

-- The codes of the resources that could not be rated when the month was rated last: they are not charged until they can be.
ALTER TABLE closed_months ADD COLUMN unrated jsonb NOT NULL DEFAULT '[]';

-- The hour or, of a gauge, the 5-minute slot that an event counts in: there it is found again. NULL: it was gone, or
-- older than what may still be billed, before this was kept.
ALTER TABLE usage_marks ADD COLUMN bucket timestamptz;
-- Of those that may still be billed; whoever migrates plans for one account's look-ups otherwise.
SET LOCAL enable_hashjoin = on;
SET LOCAL enable_mergejoin = on;
SET LOCAL enable_seqscan = on;
UPDATE usage_marks m SET bucket = CASE WHEN r.aggregation IN ('SUM', 'MAX') THEN date_trunc('hour', e.time, a.time_zone)
        ELSE date_bin('5 minutes', e.time, '1970-01-01T00:00:00Z') END
    FROM usage_events e JOIN resources r ON r.code = e.resource_code JOIN accounts a ON a.id = e.account_id
    WHERE m.account_id = e.account_id AND m.event_id = e.event_id AND e.time > now() - interval '40 days';
-- Partitions that are made later have it, too.
CREATE INDEX usage_events_of_account ON usage_events (account_id, time);

-- Events that were taken back, as they were, and why. They are gone from `usage_events` and from what they went into; their marks
-- stay.
CREATE TABLE voided_events (
    account_id      bigint           NOT NULL,
    event_id        text COLLATE "C" NOT NULL,
    resource_code   text             NOT NULL,
    quantity        numeric          NOT NULL,
    time            timestamptz      NOT NULL,
    subject         text,
    datacenter      text,
    attributes      jsonb,
    received_at     timestamptz      NOT NULL,
    bucket          timestamptz      NOT NULL,
    -- The key that it was taken back with.
    idempotency_key text             NOT NULL,
    reason          text             NOT NULL,
    voided_by       text             NOT NULL,
    voided_at       timestamptz      NOT NULL,
    PRIMARY KEY (account_id, event_id)
);
-- Each adds to the version of its month.
CREATE INDEX voided_events_by_bucket ON voided_events (account_id, bucket);
CREATE TRIGGER voided_events_are_final BEFORE UPDATE OR DELETE OR TRUNCATE ON voided_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
