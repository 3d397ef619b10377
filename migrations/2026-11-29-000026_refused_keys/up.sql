-- Keys whose commands were refused lately: one that arrived before, and waits at another server, is not carried out after its
-- client was told so. Rows are kept for some minutes (src/store/keys.rs).
CREATE TABLE refused_keys (
    account_id bigint      NOT NULL,
    key        text        NOT NULL,
    refused_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, key)
);
CREATE INDEX refused_keys_oldest ON refused_keys (refused_at);
