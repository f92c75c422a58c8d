-- SPDX-License-Identifier: MIT
-- Version 1: the outbox and what readers must know of it.

CREATE SCHEMA fraiseql;

-- One row. Readers tell by it whose history they read, and from where on it
-- is whole.
CREATE TABLE fraiseql.install (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    install_id uuid NOT NULL DEFAULT gen_random_uuid(),
    version integer NOT NULL,
    -- Of transactions below, rows may have been pruned.
    pruned_below xid8 NOT NULL DEFAULT '0'
);
INSERT INTO fraiseql.install (version) VALUES (1);

-- What was published, in the transaction that published it. The id is drawn
-- when the row is written, after the locks on the rows it tells of; CACHE 1
-- keeps the ids of two sessions in the order they were drawn.
CREATE TABLE fraiseql.outbox (
    id bigint NOT NULL GENERATED ALWAYS AS IDENTITY (CACHE 1),
    -- The top-level transaction; readers compare it with snapshots.
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    -- Transactions below had ended when the row was written: once the row is
    -- old, what they wrote has been readable for as long.
    settled xid8 NOT NULL DEFAULT pg_snapshot_xmin(pg_current_snapshot()),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    channel text NOT NULL,
    event_type text NOT NULL,
    data json NOT NULL,
    tenant_id text,
    boundary text,
    meta json,
    PRIMARY KEY (xid, id)
)
-- Rows come at one end and go at the other, in batches: vacuum after each few
-- of these rather than after a fraction of the table.
WITH (
    fillfactor = 100,
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 20000,
    autovacuum_vacuum_insert_scale_factor = 0,
    autovacuum_vacuum_insert_threshold = 200000,
    toast.autovacuum_vacuum_scale_factor = 0,
    toast.autovacuum_vacuum_threshold = 20000
);
