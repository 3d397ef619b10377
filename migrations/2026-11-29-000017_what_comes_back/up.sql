-- What was given back of the thing that a bill is for, beside refunds of its payment. Null is zero: few bills have any of these,
-- and each purchase writes a bill.
ALTER TABLE bills
    -- Counted towards the order that took the place of this one's.
    ADD COLUMN credited_amount numeric,
    -- What open bills of the same month asked for that this one takes the place of; and
    ADD COLUMN replaced_amount numeric,
    -- what is not credited, as it had been given back already; negative where such a part is asked for no more. Both or neither.
    ADD COLUMN withheld_amount numeric;
ALTER TABLE bills DROP CONSTRAINT bills_amount_is_its_parts;
ALTER TABLE bills ADD CONSTRAINT bills_amount_is_its_parts
    CHECK (amount = once_amount + cycle_amount - credit_amount + coalesce(replaced_amount + withheld_amount, 0)) NOT VALID;
CREATE INDEX bills_corrections ON bills (account_id, correction_of) WHERE correction_of IS NOT NULL;

-- A credit that was counted before is known by the bill of the order that it was counted for: of the replaced order's
-- paid bills, the last ones first.
WITH credits AS (
    SELECT c.account_id, o.previous_id, c.credit_amount
    FROM bills c JOIN orders o ON o.account_id = c.account_id AND o.id = c.order_id
    WHERE c.credit_amount > 0 AND o.previous_id IS NOT NULL
), shares AS (
    SELECT b.account_id, b.id, k.credit_amount, b.once_amount + b.cycle_amount - b.refunded_amount AS room,
        coalesce(sum(b.once_amount + b.cycle_amount - b.refunded_amount) OVER (
            PARTITION BY b.account_id, b.order_id ORDER BY b.seq DESC
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS taken
    FROM credits k JOIN bills b ON b.account_id = k.account_id AND b.order_id = k.previous_id AND b.status = 'PAID'
)
UPDATE bills b SET credited_amount = least(s.room, s.credit_amount - s.taken)
FROM shares s
WHERE b.account_id = s.account_id AND b.id = s.id AND s.credit_amount > s.taken AND s.room > 0;

ALTER TABLE closed_months
    -- What corrections did not credit, as it had been given back already.
    ADD COLUMN withheld_amount numeric NOT NULL DEFAULT 0,
    -- What its bills asked for that operators have made void.
    ADD COLUMN forgiven_amount numeric NOT NULL DEFAULT 0;

ALTER TABLE transactions DROP CONSTRAINT transactions_kind_check;
ALTER TABLE transactions ADD CONSTRAINT transactions_kind_check CHECK (kind IN
    ('RECHARGE', 'CHECKOUT', 'BILL_PAYMENT', 'RENEWAL', 'BURST', 'PREPAYMENT', 'REFUND', 'ADJUSTMENT', 'PAYOUT')) NOT VALID;
