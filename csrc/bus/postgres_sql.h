/* SPDX-License-Identifier: MIT */
/* What the statements of postgres_open.h are made of. */
#ifndef FQ_BUS_POSTGRES_SQL_H
#define FQ_BUS_POSTGRES_SQL_H

/* NULL for data over FQ_EVENT_DATA_MAX. What takes less than the first number,
 * compressed, as nearly all does, is looked at no further: PostgreSQL
 * compresses to no less than 1/255. */
#define FQ_SQL_DATA                                                           \
    "CASE WHEN pg_column_size(data) < 262144 "                                \
    "OR octet_length(data::text) <= 67108864 THEN data END"
#define FQ_SQL_EVENT_COLUMNS                                                  \
    "id, xid::text, channel, event_type, " FQ_SQL_DATA ", tenant_id, "        \
    "boundary, meta, "                                                        \
    "(extract(epoch FROM created_at) * 1000000)::bigint::text"
/* Each half is one look into the index on (xid, id). */
#define FQ_SQL_SINCE                                                          \
    "(SELECT * FROM fraiseql.outbox WHERE xid >= $1::xid8 UNION ALL "         \
    "SELECT * FROM fraiseql.outbox "                                          \
    "WHERE xid = ANY ($2::xid8[]) AND xid < $1::xid8) o "

/* At most $6 events of history: those of FQ_SQL_SINCE that $4 sees; of what $3
 * sees the ids behind $5, and after these the rest. */
#define FQ_SQL_HISTORY                                                        \
    "(SELECT " FQ_SQL_EVENT_COLUMNS " FROM " FQ_SQL_SINCE                     \
    "WHERE NOT (SELECT is_long FROM way) "                                    \
    "AND xid < pg_snapshot_xmax($4::pg_snapshot) "                            \
    "AND pg_visible_in_snapshot(xid, $4::pg_snapshot) AND (id > $5::bigint "  \
    "OR NOT pg_visible_in_snapshot(xid, $3::pg_snapshot)) "                   \
    "ORDER BY pg_visible_in_snapshot(xid, $3::pg_snapshot) DESC, id "         \
    "LIMIT $6::bigint) "

/* The same where there are more rows than that is good for, which are one large
 * transaction mostly: it would read and sort all of them for each page. Each
 * transaction has its ids in order, so what is taken of each is a page at most.
 * For small ones it is four times the work. */
#define FQ_SQL_IS_LONG                                                        \
    "way AS (SELECT count(*) > 4096 AS is_long FROM ("                        \
    "(SELECT 1 FROM fraiseql.outbox WHERE xid >= $1::xid8 "                   \
    "AND xid < pg_snapshot_xmax($4::pg_snapshot) "                            \
    "ORDER BY xid, id LIMIT 4097) UNION ALL "                                 \
    "(SELECT 1 FROM unnest($2::xid8[]) s (xid) CROSS JOIN LATERAL "           \
    "(SELECT 1 FROM fraiseql.outbox e WHERE e.xid = s.xid "                   \
    "ORDER BY e.xid, e.id LIMIT 4097) l WHERE s.xid < $1::xid8)) n)"
#define FQ_SQL_XIDS                                                           \
    "x (xid) AS ("                                                            \
    "(SELECT o.xid FROM fraiseql.outbox o WHERE o.xid >= $1::xid8 "           \
    "AND o.xid < pg_snapshot_xmax($4::pg_snapshot) ORDER BY o.xid LIMIT 1) "  \
    "UNION ALL SELECT "                                                       \
    "(SELECT o.xid FROM fraiseql.outbox o WHERE o.xid > x.xid "               \
    "AND o.xid < pg_snapshot_xmax($4::pg_snapshot) ORDER BY o.xid LIMIT 1) "  \
    "FROM x WHERE x.xid IS NOT NULL)"
#define FQ_SQL_LONG_HISTORY                                                   \
    "(SELECT " FQ_SQL_EVENT_COLUMNS " FROM (SELECT l.*, is_rest FROM "        \
    "(SELECT xid, pg_visible_in_snapshot(xid, $3::pg_snapshot) AS is_rest "   \
    "FROM (SELECT xid FROM x WHERE xid IS NOT NULL UNION ALL "                \
    "SELECT xid FROM unnest($2::xid8[]) s (xid) WHERE xid < $1::xid8) u "     \
    "WHERE (SELECT is_long FROM way) "                                        \
    "AND pg_visible_in_snapshot(xid, $4::pg_snapshot)) v "                    \
    "CROSS JOIN LATERAL (SELECT * FROM fraiseql.outbox e "                    \
    "WHERE e.xid = v.xid AND e.id > CASE WHEN is_rest THEN $5::bigint "       \
    "ELSE 0 END ORDER BY e.xid, e.id LIMIT $6::bigint) l) o "                 \
    "ORDER BY is_rest DESC, id LIMIT $6::bigint)"

#define FQ_SQL_NO_MORE                                                        \
    "NULL::text, NULL::json, NULL::text, NULL::text, NULL::json, NULL::text"
/* Of the transactions that $3 sees, from below $1 down to $2, in $7 rows of the
 * outbox, those that matter. The first row of each has the last of its ids. */
#define FQ_SQL_SURVEY                                                         \
    "(SELECT id, xid::text, NULL, " FQ_SQL_NO_MORE                            \
    " FROM (SELECT *, id / $4::bigint AS part, least($5::bigint, "            \
    "min(id / $4::bigint) OVER "                                              \
    "(w ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)) AS low, "          \
    "lead(xid) OVER w IS NULL AS is_last "                                    \
    "FROM (SELECT DISTINCT ON (xid) xid, id FROM (SELECT xid, id "            \
    "FROM fraiseql.outbox WHERE xid < $1::xid8 AND xid >= $2::xid8 "          \
    "AND pg_visible_in_snapshot(xid, $3::pg_snapshot) "                       \
    "ORDER BY xid DESC, id DESC LIMIT $7::bigint) o "                         \
    "ORDER BY xid DESC, id DESC) t WINDOW w AS (ORDER BY xid DESC)) s "       \
    "WHERE part <> low OR is_last ORDER BY s.xid DESC)"
#define FQ_SQL_STRAGGLERS                                                     \
    "(SELECT o.id, s.xid::text, '', " FQ_SQL_NO_MORE                          \
    " FROM unnest($6::xid8[]) s (xid) LEFT JOIN LATERAL "                     \
    "(SELECT e.id FROM fraiseql.outbox e WHERE e.xid = s.xid "                \
    "AND pg_visible_in_snapshot(e.xid, $3::pg_snapshot) "                     \
    "ORDER BY e.xid DESC, e.id DESC LIMIT 1) o ON true)"

#endif
