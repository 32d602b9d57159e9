"""The tables of a journal in PostgreSQL, and everything that is asked of them.

``@`` stands for the schema of the log. Names are always qualified, so that nothing in a search path
can stand in for a table. The triggers are a second line against a slip of the hand: whoever owns
the tables can switch them off, and what is changed then is found by the tree.
"""

from __future__ import annotations

from typing import Final

NAMES: Final = ("head", "idem", "journal", "meta", "sidecar", "state", "tile")

TABLES: Final = """
CREATE SCHEMA @;
CREATE TABLE @.meta(one boolean PRIMARY KEY DEFAULT true CHECK (one),
  origin text NOT NULL, vkey text NOT NULL);
CREATE TABLE @.journal(first bigint PRIMARY KEY, count integer NOT NULL, body bytea NOT NULL);
CREATE TABLE @.sidecar(first bigint PRIMARY KEY, body bytea NOT NULL);
CREATE TABLE @.tile(place bigint PRIMARY KEY, data bytea NOT NULL);
CREATE TABLE @.state(one boolean PRIMARY KEY DEFAULT true CHECK (one), size bigint NOT NULL,
  root bytea NOT NULL, time bigint NOT NULL, note bytea NOT NULL, exported bigint NOT NULL);
CREATE TABLE @.head(size bigint PRIMARY KEY, note bytea NOT NULL);
CREATE TABLE @.idem(key bytea PRIMARY KEY, place bigint NOT NULL);
ALTER TABLE @.journal ALTER COLUMN body SET STORAGE EXTERNAL;
ALTER TABLE @.sidecar ALTER COLUMN body SET STORAGE EXTERNAL;
ALTER TABLE @.tile ALTER COLUMN data SET STORAGE EXTERNAL;
CREATE FUNCTION @.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'a ledger is only ever added to' USING ERRCODE = 'restrict_violation';
END $$;
CREATE FUNCTION @.forward() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.size < OLD.size OR NEW.time < OLD.time OR NEW.exported < OLD.exported THEN
    RAISE EXCEPTION 'a ledger never goes back' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE FUNCTION @.renamed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.one IS DISTINCT FROM OLD.one OR NEW.origin IS DISTINCT FROM OLD.origin OR NOT (
    right(NEW.vkey, length(OLD.vkey) + 1) = ' ' || OLD.vkey
    OR left(OLD.vkey, length(NEW.vkey) + 1) = NEW.vkey || ' ') THEN
    RAISE EXCEPTION 'a key joins the old one, or the old one goes'
      USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER refuse BEFORE DELETE OR TRUNCATE ON @.meta EXECUTE FUNCTION @.refuse();
CREATE TRIGGER renamed BEFORE UPDATE ON @.meta FOR EACH ROW EXECUTE FUNCTION @.renamed();
CREATE TRIGGER refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON @.journal EXECUTE FUNCTION @.refuse();
CREATE TRIGGER refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON @.tile EXECUTE FUNCTION @.refuse();
CREATE TRIGGER refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON @.idem EXECUTE FUNCTION @.refuse();
CREATE TRIGGER refuse BEFORE UPDATE OR TRUNCATE ON @.sidecar EXECUTE FUNCTION @.refuse();
CREATE TRIGGER refuse BEFORE DELETE OR TRUNCATE ON @.head EXECUTE FUNCTION @.refuse();
CREATE TRIGGER refuse BEFORE DELETE OR TRUNCATE ON @.state EXECUTE FUNCTION @.refuse();
CREATE TRIGGER forward BEFORE UPDATE ON @.state FOR EACH ROW EXECUTE FUNCTION @.forward();
REVOKE ALL ON ALL TABLES IN SCHEMA @ FROM PUBLIC;
REVOKE ALL ON SCHEMA @ FROM PUBLIC;
"""
NAME: Final = "INSERT INTO @.meta(origin, vkey) VALUES(%s, %s)"
BEGIN: Final = "INSERT INTO @.state(size, root, time, note, exported) VALUES(0, %b, 0, %b, -1)"

SESSION: Final = """
SELECT set_config('search_path', '', false),
  set_config('default_transaction_isolation', 'read committed', false),
  set_config('idle_session_timeout', '0', false),
  set_config('tcp_keepalives_idle', '10', false),
  set_config('tcp_keepalives_interval', '5', false),
  set_config('tcp_keepalives_count', '3', false),
  CASE WHEN current_setting('statement_timeout') = '0' THEN set_config('statement_timeout', '120s', false) END,
  CASE WHEN current_setting('lock_timeout') = '0' THEN set_config('lock_timeout', '30s', false) END
"""
DURABLE: Final = """
SELECT current_setting('server_version_num')::int, current_setting('fsync'),
  current_setting('full_page_writes'), current_setting('synchronous_commit'),
  current_setting('synchronous_standby_names')
"""
RELATIONS: Final = """
SELECT relname::text, relkind::text, relpersistence::text FROM pg_catalog.pg_class
WHERE relkind IN ('r', 'v', 'm', 'f', 'p')
  AND relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = %s)
"""
HOLDS: Final = """
SELECT pid FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND granted AND pid = %s::int
  AND classid::bigint = %s::bigint AND objid::bigint = %s::bigint AND objsubid = 1
"""
# One statement is one transaction and one round trip. Everything hangs on the row that moved.
COMMIT: Final = """
WITH moved AS (
  UPDATE @.state SET size = %(after)s::bigint, root = %(root)b, time = %(time)s::bigint,
    note = %(note)b
  WHERE size = %(before)s::bigint AND root = %(before_root)b AND pg_backend_pid() = %(pid)s::int
  RETURNING size - %(before)s::bigint AS count
), leaves AS (
  INSERT INTO @.journal SELECT %(before)s::bigint, count::int, %(body)b FROM moved
), sealed AS (
  INSERT INTO @.sidecar SELECT %(before)s::bigint, %(sidecars)b FROM moved
), tiles AS (
  INSERT INTO @.tile SELECT place, substring(%(tiles)b::bytea FROM (n * 8192 - 8191)::int FOR 8192)
  FROM moved, unnest(%(places)s::bigint[]) WITH ORDINALITY AS of(place, n)
), named AS (
  UPDATE @.meta SET vkey = %(vkeys)s::text FROM moved WHERE %(vkeys)s::text IS NOT NULL
), keys AS (
  INSERT INTO @.idem SELECT substring(%(keys)b::bytea FROM (n * 32 - 31)::int FOR 32), place
  FROM moved, unnest(%(indexes)s::bigint[]) WITH ORDINALITY AS of(place, n)
)
SELECT (SELECT count(*) FROM moved), pg_backend_pid(),
  current_setting('fsync') = 'on' AND current_setting('full_page_writes') = 'on'
"""
ADD_HEAD: Final = """
INSERT INTO @.head(size, note) VALUES(%s, %b) ON CONFLICT (size) DO UPDATE SET note = EXCLUDED.note
"""
EXPORTED: Final = "UPDATE @.state SET exported = %s"

IDENTITY: Final = "SELECT origin, vkey FROM @.meta"
STATE: Final = "SELECT size, root, time, note, exported FROM @.state"
HEAD_OF: Final = "SELECT size, note FROM @.head WHERE size = %s::bigint"
HEAD_FROM: Final = """
SELECT size, note FROM @.head WHERE size >= %s::bigint ORDER BY size LIMIT 1
"""
NEWEST_HEAD: Final = "SELECT size, note FROM @.head ORDER BY size DESC LIMIT 1"
FIND: Final = "SELECT place FROM @.idem WHERE key = %b"
TILE: Final = "SELECT data FROM @.tile WHERE place = %s::bigint"
ROW_START: Final = "SELECT coalesce(max(first), 0) FROM @.journal WHERE first <= %s::bigint"
ROWS: Final = """
SELECT first, count, body FROM @.journal WHERE first >= %s::bigint ORDER BY first LIMIT %s::int
"""
ROW_OF: Final = """
SELECT first, count, body FROM @.journal WHERE first <= %s::bigint ORDER BY first DESC LIMIT 1
"""
SIDECAR: Final = """
SELECT first, body FROM @.sidecar WHERE first <= %s::bigint ORDER BY first DESC LIMIT 1
"""


def at(query: str, schema: str) -> bytes:
    """Return a query for one schema, whose name is hexadecimal and needs no quotes."""
    return query.replace("@", schema).encode()


class Statements(dict[str, bytes]):
    """The queries above for one schema, made when they are first asked for."""

    def __init__(self, schema: str) -> None:
        super().__init__()
        self._schema = schema

    def __missing__(self, query: str) -> bytes:
        self[query] = at(query, self._schema)
        return self[query]
