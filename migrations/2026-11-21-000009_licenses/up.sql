-- Licences: resources that are counted by what servers report of themselves.
CREATE TABLE licenses (
    id            bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    resource_code text        NOT NULL UNIQUE REFERENCES resources,
    long_name     text        NOT NULL,
    type          text        NOT NULL CHECK (type IN ('INSTALL', 'INSTANCE', 'STUB')),
    -- The attribute of a report that multiplies it.
    user_metric   text        NOT NULL,
    -- Whether more may be used than is subscribed.
    burstable     boolean     NOT NULL,
    -- Since when, and until when, what is more is charged as burst.
    burst_since   timestamptz,
    burst_until   timestamptz,
    created_at    timestamptz NOT NULL
);
