-- Cards that customers have given to the payment provider. Their numbers never come here: only what the provider calls them.
CREATE TABLE payment_methods (
    account_id     bigint      NOT NULL,
    id             uuid        NOT NULL,
    provider       text        NOT NULL,
    -- The provider's name for it.
    provider_token text        NOT NULL,
    brand          text        NOT NULL,
    last4          text        NOT NULL,
    expires_on     date        NOT NULL,
    removed_at     timestamptz,
    PRIMARY KEY (account_id, id)
);
CREATE INDEX payment_methods_kept ON payment_methods (account_id, id) WHERE removed_at IS NULL;
