-- SPDX-License-Identifier: MIT
-- Version 2: prune knows a number of events and of bytes, too.

DROP FUNCTION IF EXISTS fraiseql.prune(interval, integer);
