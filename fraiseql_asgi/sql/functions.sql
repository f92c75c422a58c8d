-- SPDX-License-Identifier: MIT
-- The functions of the current version; installing replaces them all.
--
-- They run as the owner of the schema, so that whoever publishes needs
-- nothing but the right to call them, and look names up in pg_catalog only.
--
-- The doorbell: a notification without content wakes the readers, who poll as
-- well. NOTIFY makes commits wait for each other, so a transaction rings only
-- for readers that sleep, and when it gets one of four gates without waiting.
-- 1718771051 are our locks: 0 to 3 are the gates; 4 is held by a reader that
-- sleeps, and shared by transactions that have seen that none does. It cannot
-- fall asleep before these have ended, so none of them goes unheard. Nobody
-- rings when the queue of notifications is nearly full, because a session
-- listens and never ends its transaction: NOTIFY would fail the transaction.

CREATE OR REPLACE FUNCTION fraiseql.publish(
    channel text,
    event_type text,
    data jsonb,
    tenant_id text DEFAULT NULL,
    boundary text DEFAULT NULL,
    meta jsonb DEFAULT NULL
) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog
AS $$
DECLARE
    event_id bigint;
BEGIN
    IF octet_length(channel) NOT BETWEEN 1 AND 1024 OR channel IS NULL THEN
        RAISE EXCEPTION 'fraiseql.publish: channel must have 1 to 1024 bytes'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF starts_with(channel, '$fraiseql:') THEN
        RAISE EXCEPTION 'fraiseql.publish: channels that begin with $fraiseql: are reserved'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF octet_length(event_type) NOT BETWEEN 1 AND 1024 OR event_type IS NULL THEN
        RAISE EXCEPTION 'fraiseql.publish: event_type must have 1 to 1024 bytes'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF jsonb_typeof(data) IS DISTINCT FROM 'object' THEN
        RAISE EXCEPTION 'fraiseql.publish: data must be a JSON object, not %',
            coalesce(jsonb_typeof(data), 'NULL')
            USING ERRCODE = 'invalid_parameter_value',
                HINT = 'jsonb_build_object(''id'', 1) makes one.';
    END IF;
    IF octet_length(tenant_id) > 1024 OR octet_length(boundary) > 1024 THEN
        RAISE EXCEPTION 'fraiseql.publish: tenant_id and boundary must have at most 1024 bytes'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF meta IS NOT NULL AND (jsonb_typeof(meta) <> 'object' OR octet_length(meta::text) > 65536) THEN
        RAISE EXCEPTION 'fraiseql.publish: meta must be a JSON object of at most 65536 bytes'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    INSERT INTO fraiseql.outbox AS o (channel, event_type, data, tenant_id, boundary, meta)
    VALUES (channel, event_type, data, nullif(tenant_id, ''), nullif(boundary, ''), meta)
    RETURNING o.id INTO event_id;
    IF NOT pg_try_advisory_xact_lock_shared(1718771051, 4) THEN
        IF pg_try_advisory_xact_lock(1718771051, pg_backend_pid() % 4)
            AND pg_notification_queue_usage() < 0.9
        THEN
            PERFORM pg_notify('fraiseql', '');
        END IF;
    END IF;
    RETURN event_id;
END
$$;

COMMENT ON FUNCTION fraiseql.publish(text, text, jsonb, text, text, jsonb) IS
'Publishes an event when the transaction commits; returns its id.';

-- What servers publish through: many events, checked by them, in one
-- statement; the ids come in the order of the arrays.
CREATE OR REPLACE FUNCTION fraiseql.publish_batch(
    channels text[],
    event_types text[],
    datas text[],
    tenant_ids text[],
    boundaries text[],
    metas text[]
) RETURNS SETOF bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog
AS $$
BEGIN
    IF EXISTS (SELECT FROM unnest(channels) AS c WHERE starts_with(c, '$fraiseql:')) THEN
        RAISE EXCEPTION 'fraiseql.publish: channels that begin with $fraiseql: are reserved'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN QUERY
    INSERT INTO fraiseql.outbox AS o (channel, event_type, data, tenant_id, boundary, meta)
    SELECT b.c, b.e, b.d::json, b.t, b.b, b.m::json
    FROM unnest(channels, event_types, datas, tenant_ids, boundaries, metas)
        WITH ORDINALITY AS b (c, e, d, t, b, m, n)
    ORDER BY b.n
    RETURNING o.id;
    IF NOT pg_try_advisory_xact_lock_shared(1718771051, 4) THEN
        IF pg_try_advisory_xact_lock(1718771051, pg_backend_pid() % 4)
            AND pg_notification_queue_usage() < 0.9
        THEN
            PERFORM pg_notify('fraiseql', '');
        END IF;
    END IF;
END
$$;

-- What servers say to each other, through the same table, so that it comes in
-- order with everything else: whoever may call this may end the connections of
-- any client.
CREATE OR REPLACE FUNCTION fraiseql.control(kinds text[], datas text[]) RETURNS SETOF bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog
AS $$
BEGIN
    RETURN QUERY
    INSERT INTO fraiseql.outbox AS o (channel, event_type, data)
    SELECT '$fraiseql:control', b.k, b.d::json
    FROM unnest(kinds, datas) WITH ORDINALITY AS b (k, d, n)
    ORDER BY b.n
    RETURNING o.id;
    IF NOT pg_try_advisory_xact_lock_shared(1718771051, 4) THEN
        IF pg_try_advisory_xact_lock(1718771051, pg_backend_pid() % 4) THEN
            PERFORM pg_notify('fraiseql', '');
        END IF;
    END IF;
END
$$;

-- For SQL: in the transaction that takes a right away.
CREATE OR REPLACE FUNCTION fraiseql.disconnect(
    user_id text DEFAULT NULL,
    tenant_id text DEFAULT NULL,
    connection_id text DEFAULT NULL,
    code integer DEFAULT 4403,
    reason text DEFAULT 'Forbidden'
) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog
AS $$
BEGIN
    IF user_id IS NULL AND tenant_id IS NULL AND connection_id IS NULL THEN
        RAISE EXCEPTION 'fraiseql.disconnect: needs user_id, tenant_id or connection_id'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF code IS NULL OR NOT (code = 1000 OR code BETWEEN 3000 AND 4999) THEN
        RAISE EXCEPTION 'fraiseql.disconnect: code must be 1000, or from 3000 to 4999'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM fraiseql.control(ARRAY['disconnect'], ARRAY[json_build_object(
        'user_id', user_id, 'tenant_id', tenant_id, 'connection_id', connection_id,
        'code', code, 'reason', reason)::text]);
END
$$;

COMMENT ON FUNCTION fraiseql.disconnect(text, text, text, integer, text) IS
'Closes the connections of a client, on all servers, when the transaction commits.';

-- Deletes up to `batch` rows that are no longer to be kept: their transactions
-- had all ended `keep` ago, or `max_events` have come since, or so many that
-- they are `max_bytes` by the mean of the last (NULL: does not matter). Notes
-- that the history no longer reaches back to them. Returns how many went.
--
-- Where the history may end is read from the rows themselves: every old row
-- says below which transaction all had ended when it was written. So a long
-- transaction's rows are kept `keep` from its commit on, not from when they
-- were written. The halving below finds the youngest old row or one near it;
-- any old row is right. Events are counted by their ids, of which some are
-- missing where transactions were rolled back.
CREATE OR REPLACE FUNCTION fraiseql.prune(
    keep interval DEFAULT '1 hour',
    batch integer DEFAULT 10000,
    max_events bigint DEFAULT NULL,
    max_bytes bigint DEFAULT NULL
) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog
AS $$
DECLARE
    cutoff timestamptz := clock_timestamp() - keep;
    last_id bigint := pg_sequence_last_value('fraiseql.outbox_id_seq');
    cutoff_id bigint := last_id - max_events;
    mean numeric;
    horizon xid8;
    low bigint;
    high bigint;
    middle bigint;
    probe record;
    n_deleted bigint;
BEGIN
    IF keep < interval '0' OR max_events < 0 OR max_bytes < 0 OR batch < 1 OR batch IS NULL THEN
        RAISE EXCEPTION 'fraiseql.prune: limits must not be negative and batch at least 1'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT i.pruned_below INTO horizon FROM fraiseql.install i FOR UPDATE;
    IF max_bytes IS NOT NULL THEN
        -- 150: what is beside the texts, in the table and in the index.
        SELECT avg(150 + pg_column_size(o.data) + coalesce(pg_column_size(o.meta), 0)
            + octet_length(o.channel) + octet_length(o.event_type)) INTO mean
        FROM (SELECT * FROM fraiseql.outbox l ORDER BY l.xid DESC, l.id DESC LIMIT 500) o;
        cutoff_id := greatest(cutoff_id, last_id - floor(max_bytes / mean)::bigint);
    END IF;
    SELECT o.xid::text::bigint INTO low FROM fraiseql.outbox o ORDER BY o.xid LIMIT 1;
    SELECT o.xid::text::bigint INTO high FROM fraiseql.outbox o ORDER BY o.xid DESC LIMIT 1;
    WHILE low <= high LOOP
        middle := low + (high - low) / 2;
        SELECT o.id, o.xid::text::bigint AS xid, o.settled, o.created_at INTO probe
        FROM fraiseql.outbox o WHERE o.xid >= middle::text::xid8
        ORDER BY o.xid, o.id LIMIT 1;
        IF probe.created_at <= cutoff OR probe.id <= cutoff_id THEN
            horizon := greatest(horizon, probe.settled);
            low := probe.xid + 1;
        ELSE
            high := middle - 1;
        END IF;
    END LOOP;
    DELETE FROM fraiseql.outbox
    WHERE ctid = ANY (ARRAY(
        SELECT o.ctid FROM fraiseql.outbox o WHERE o.xid < horizon ORDER BY o.xid LIMIT batch
    ));
    GET DIAGNOSTICS n_deleted = ROW_COUNT;
    IF n_deleted > 0 THEN
        UPDATE fraiseql.install i SET pruned_below = horizon WHERE i.pruned_below < horizon;
    END IF;
    RETURN n_deleted;
END
$$;

COMMENT ON FUNCTION fraiseql.prune(interval, integer, bigint, bigint) IS
'Deletes up to batch events older than keep, or beyond a number; returns how many.';

REVOKE ALL ON FUNCTION fraiseql.publish(text, text, jsonb, text, text, jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION
    fraiseql.publish_batch(text[], text[], text[], text[], text[], text[]) FROM PUBLIC;
REVOKE ALL ON FUNCTION fraiseql.control(text[], text[]) FROM PUBLIC;
REVOKE ALL ON FUNCTION fraiseql.disconnect(text, text, text, integer, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION fraiseql.prune(interval, integer, bigint, bigint) FROM PUBLIC;
