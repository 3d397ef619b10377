-- Locks: nothing that was there before.
--
-- Accounts that a machine whose clock was wrong has dated into the future, and that are to be followed there: decisions are dated at
-- their last entry until its time has come (docs/adr/0022). An operator says so, as the owner of the schema; servers read it.
CREATE TABLE accepted_futures (
    account_id  bigint      PRIMARY KEY,
    -- Nothing dated later is accepted.
    until       timestamptz NOT NULL,
    reason      text        NOT NULL,
    accepted_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
