ALTER TABLE accounts
    -- Since when it is suspended, while it is.
    ADD COLUMN suspended_at timestamptz,
    -- Until when what is overdue does not suspend it again.
    ADD COLUMN suspension_held_until timestamptz,
    -- What an hour of all its live orders on demand costs.
    ADD COLUMN on_demand_rate numeric NOT NULL DEFAULT 0;
CREATE INDEX accounts_held ON accounts (suspension_held_until, id) WHERE suspension_held_until IS NOT NULL;

-- When accounts were suspended: what runs on demand is not charged for these times.
CREATE TABLE account_suspensions (
    account_id bigint      NOT NULL,
    from_time  timestamptz NOT NULL,
    to_time    timestamptz NOT NULL,
    PRIMARY KEY (account_id, from_time, to_time),
    CONSTRAINT account_suspensions_window CHECK (from_time < to_time)
);

-- What was on demand of an account that was closed ended with it.
UPDATE orders o SET state = 'CANCELLED', expires_at = coalesce(a.closed_at, now()),
    cancelled_at = coalesce(a.closed_at, now()), next_step_at = NULL
FROM accounts a
WHERE a.id = o.account_id AND a.status = 'CLOSED' AND o.bill_period = 'HOUR'
    AND o.state IN ('ACTIVE', 'EXPIRING', 'SUSPENDED');
UPDATE accounts a SET on_demand_rate = o.rate
FROM (SELECT account_id, sum(price * quantity) AS rate FROM orders
      WHERE bill_period = 'HOUR' AND state IN ('ACTIVE', 'EXPIRING', 'SUSPENDED') GROUP BY account_id) o
WHERE a.id = o.account_id;
-- What has run on demand beside a suspension was charged: it is suspended from now on.
UPDATE accounts SET suspended_at = now() WHERE status = 'SUSPENDED';
UPDATE orders o SET next_step_at = now()
FROM accounts a
WHERE a.id = o.account_id AND a.status = 'SUSPENDED' AND o.bill_period = 'HOUR' AND o.state = 'ACTIVE';

-- Renewals that wait for money.
CREATE INDEX orders_awaiting_renewal ON orders (account_id, expires_at)
    WHERE auto_renewal AND renewed_by IS NULL AND state IN ('EXPIRING', 'SUSPENDED');

-- Who is active beside a bill that lapsed was let by an operator: for seven days more.
UPDATE accounts a SET suspension_held_until = now() + interval '7 days'
WHERE a.status = 'ACTIVE' AND EXISTS (SELECT FROM bills b WHERE b.account_id = a.id AND b.order_id IS NULL
    AND b.status = 'OVERDUE' AND b.due_at < now() - interval '7 days');
-- What is overdue is looked at every day.
UPDATE bills SET next_step_at = now() WHERE status = 'OVERDUE' AND next_step_at IS NULL;
-- What is over asks for nothing that is still open.
UPDATE bills b SET status = 'VOID', next_step_at = NULL
FROM orders o
WHERE o.account_id = b.account_id AND o.id = b.order_id AND o.state = 'ENDED' AND b.status IN ('UNPAID', 'OVERDUE');
