"""What SQL can try: files, network, settings, state, clocks, other people. Each is tried on the engine itself too."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import ClassVar

import orjson
import pyarrow as pa
import pytest
from tests.query_desk import pointer_table

from safehold.enclave import grammar
from safehold.enclave.contribution import NOTHING, QueryGate, read_share
from safehold.enclave.database import LOCKED, Database
from safehold.enclave.sql import empty_tables, prepare
from safehold.errors import DeniedError, InvalidError, SafeholdError, TamperedError
from safehold.privacy.template import Template
from safehold.sandbox.job import Job, Limits
from safehold.sandbox.launch import Launcher
from safehold.sandbox.parts import pack_parts

TABLES = {"pointer": ["app", "seq", "x"]}
COUNT = Template.of({"release": "events", "epsilon": 1, "rows": 100})


@pytest.fixture(scope="module")
def database():
    found = Database()
    yield found
    found.close()


# what the locked engine itself refuses, whatever the language says
ENGINE = [
    "SELECT * FROM read_csv('{file}')",
    "SELECT * FROM read_text('{file}')",
    "SELECT * FROM read_blob('{file}')",
    "SELECT * FROM read_parquet('{file}')",
    "SELECT * FROM read_json('{file}')",
    "SELECT * FROM sniff_csv('{file}')",
    "SELECT * FROM '{file}'",
    "SELECT * FROM glob('{folder}/*')",
    "SELECT * FROM read_csv('http://127.0.0.1:{port}/x.csv')",
    "SELECT * FROM read_parquet('s3://bucket/x')",
    "COPY (SELECT 1) TO '{folder}/out.csv'",
    "COPY pointer FROM '{file}'",
    "EXPORT DATABASE '{folder}/all'",
    "IMPORT DATABASE '{folder}'",
    "ATTACH '{folder}/other.db' AS other",
    "ATTACH 'http://127.0.0.1:{port}/x.db' AS other",
    "INSTALL httpfs",
    "LOAD httpfs",
    "FORCE INSTALL spatial FROM community",
    "LOAD '{file}'",
    "UPDATE EXTENSIONS",
    "SET enable_external_access = true",
    "RESET enable_external_access",
    "SET lock_configuration = false",
    "SET threads = 8",
    "SET memory_limit = '100GB'",
    "SET temp_directory = '{folder}'",
    "SET python_enable_replacements = true",
    "SET autoload_known_extensions = true",
    "SET GLOBAL allow_unsigned_extensions = true",
    "PRAGMA enable_profiling",
    "PRAGMA memory_limit='10GB'",
    "SELECT * FROM enable_logging()",
    "CREATE SECRET s (TYPE s3, KEY_ID 'a', SECRET 'b')",
    "CREATE PERSISTENT SECRET s (TYPE http)",
    "SELECT * FROM duckdb_secrets()",
    "SELECT getenv('HOME')",
    "SELECT * FROM canary",
    "SELECT * FROM python_map_function(1)",
]
# what the engine would do, and the language has no word for
LANGUAGE = [
    "CREATE TABLE t AS SELECT 1",
    "CREATE MACRO f() AS now()",
    "CREATE FUNCTION f(a) AS a",
    "CREATE TYPE mood AS ENUM ('a')",
    "INSERT INTO pointer VALUES (1)",
    "SET VARIABLE a = 1",
    "PREPARE a AS SELECT 1",
    "EXPLAIN ANALYZE SELECT 1",
    "DESCRIBE pointer",
    "SHOW TABLES",
    "SUMMARIZE pointer",
    "PIVOT pointer ON app USING sum(x)",
    "SELECT 1; SELECT 2",
    "PRAGMA add_parquet_key('a', '0123456789112345')",
    "CHECKPOINT",
    "SELECT getvariable('a')",
    "SELECT setseed(0.5)",
    "SELECT random()",
    "SELECT nextval('s')",
    "SELECT sleep_ms(1000)",
    "SELECT pg_sleep(1)",
    "SELECT write_log('x')",
    "SELECT current_setting('threads')",
    "SELECT * FROM query('SELECT 1')",
    "SELECT * FROM query_table('pointer')",
    "SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT 1'))",
    "SELECT * FROM duckdb_settings()",
    "SELECT * FROM duckdb_memory()",
    "SELECT * FROM duckdb_logs",
    "SELECT * FROM sqlite_master",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM pg_catalog.pg_class",
    "SELECT * FROM system.main.duckdb_views",
    "SELECT * FROM duckdb_logs, (WITH duckdb_logs AS (SELECT 1) SELECT 1)",
    "SELECT x FROM main.pointer",
    "SELECT main.now()",
    "SELECT now()",
    "SELECT today()",
    "SELECT current_timestamp",
    "SELECT CURRENT_DATE",
    "SELECT localtimestamp",
    "SELECT uuidv7()",
    "SELECT uuid()",
    "SELECT txid_current()",
    "SELECT age(TIMESTAMP '2020-01-01')",
    "SELECT list_aggregate([1], 'reservoir_quantile')",
    "SELECT x FROM pointer USING SAMPLE 1",
    "SELECT x FROM pointer TABLESAMPLE 10%",
    "SELECT * FROM pointer AT (VERSION => 1)",
    "SELECT COLUMNS('x') FROM pointer",
    "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT n FROM r",
    "SELECT $1",
    "SELECT 'pointer'::regclass",
    "SELECT * FROM range(3) r, LATERAL (SELECT now())",
    "SELECT list_transform([1], z -> random())",
    "SELECT x FROM pointer WHERE x IN (SELECT random())",
    "SELECT x FROM pointer ORDER BY random()",
    "SELECT sum(x) FILTER (WHERE now() > t) FROM pointer",
    "SELECT lag(x, random()::INTEGER) OVER () FROM pointer",
    "VALUES (now())",
    "SELECT " + "abs(" * 300 + "x" + ")" * 300 + " FROM pointer",
]  # fmt: skip
ALLOWED = [
    "SELECT app AS k, x AS v FROM pointer",
    "SELECT app AS k, count(*) AS v FROM pointer GROUP BY app HAVING count(*) > 2 ORDER BY 2 DESC LIMIT 5",
    "WITH a AS (SELECT app, max(x) AS m FROM pointer GROUP BY 1) SELECT p.app AS k, a.m - p.x AS v FROM pointer p JOIN a USING (app)",
    "SELECT app AS k, x - lag(x) OVER (PARTITION BY app ORDER BY seq) AS v FROM pointer QUALIFY row_number() OVER () < 9",
    "SELECT CASE WHEN x % 2 = 0 THEN 'even' ELSE 'odd' END AS k, x::DOUBLE AS v FROM pointer WHERE app LIKE 'm%'",
    "SELECT u AS v, 'a' AS k FROM pointer, unnest([x, x + 1]) t(u)",
    "SELECT (SELECT max(q.x) FROM pointer q WHERE q.app = p.app) AS v, app AS k FROM pointer p",
    "SELECT 'a' AS k, 1 AS v UNION ALL SELECT app, x FROM pointer",
]


@pytest.mark.parametrize("attack", ENGINE)
def test_the_engine_itself_is_locked(database, tmp_path, attack):
    file = tmp_path / "canary.csv"
    file.write_text("a,b\n1,2\n")
    canary = pa.table({"a": [1]})  # a variable that a replacement scan would find
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.0)
        text = attack.format(file=file, folder=tmp_path, port=server.getsockname()[1])
        database.give({"pointer": pointer_table([("mail", 1)])})
        with pytest.raises(InvalidError):
            database.rows(text, most=10)
        with pytest.raises(BlockingIOError):
            server.accept()
    assert os.listdir(tmp_path) == ["canary.csv"]
    assert file.read_text() == "a,b\n1,2\n"
    del canary


def test_the_attacks_on_files_are_live_without_the_lock(tmp_path):
    import duckdb

    file = tmp_path / "canary.csv"
    file.write_text("a,b\n1,2\n")
    free = duckdb.connect(":memory:")
    assert free.execute("SELECT * FROM read_csv(?)", [str(file)]).fetchall() == [(1, 2)]
    free.execute(f"COPY (SELECT 1) TO '{tmp_path}/out.csv'")
    assert (tmp_path / "out.csv").exists()
    assert free.execute("SELECT count(*) FROM glob(?)", [f"{tmp_path}/*"]).fetchall() == [(2,)]
    free.execute("SET threads = 3")
    free.close()


@pytest.mark.parametrize("attack", [*ENGINE, *LANGUAGE], ids=lambda one: one[:60])
def test_the_language_has_no_word_for_it(database, attack):
    with pytest.raises(InvalidError) as refused:
        database.rebuild(attack.format(file="/f", folder="/d", port=1), TABLES)
    assert refused.value.rule.startswith("sql.")


@pytest.mark.parametrize("sql", ALLOWED, ids=lambda one: one[:60])
def test_ordinary_queries_are_of_the_language_and_mean_the_same_rebuilt(database, sql):
    database.give({"pointer": pointer_table([("mail", 3), ("mail", 5), ("editor", 8)])})
    again = database.rebuild(sql, TABLES)
    assert sorted(map(str, database.rows(again, most=99))) == sorted(
        map(str, database.rows(sql, most=99))
    )


def test_every_function_of_the_language_is_one_whose_value_follows_from_its_arguments(database):
    """Held against what the installed engine says of itself."""
    rows = database.rows(
        "SELECT lower(function_name), function_type, stability, CAST(parameter_types AS VARCHAR)"
        " FROM duckdb_functions()",
        most=99_999,
    )
    # parts of a moment follow from the time zone as well, which is locked
    volatile = {
        name
        for name, _, stability, given in rows
        if stability not in (None, "CONSISTENT")
        and not ("TIME ZONE" in given or "TIMESTAMPTZ" in given or name == "timezone")
    }
    assert volatile >= {"random", "now", "uuid"}, "what is asked here tells them apart"
    assert not volatile & (grammar.FUNCTIONS | grammar.WINDOWS)
    tables = {name for name, kind, _, _ in rows if kind in ("table", "table_macro", "pragma")}
    assert not tables & grammar.FUNCTIONS - {
        "range",
        "generate_series",
        "unnest",
        "histogram",
        "repeat",
    }


def test_no_name_that_the_engine_reads_as_a_function_passes_for_a_column(database):
    rows = database.rows("SELECT DISTINCT lower(function_name) FROM duckdb_functions()", most=9_999)
    words = [name for (name,) in rows if name.isidentifier()]
    spoken = []
    for name in [*words, "user", "session_user", "localtime", "localtimestamp", "current_time"]:
        try:
            database.rows(f"SELECT {name}", most=1)
        except InvalidError:
            continue
        spoken.append(name)
    assert "current_timestamp" in spoken or "current_date" in spoken
    for name in spoken:
        with pytest.raises(InvalidError):
            database.rebuild(f"SELECT {name}", TABLES)


def test_no_text_is_read_as_the_present(database):
    for text in ("now", "today", "tomorrow", "yesterday"):
        for kind in ("TIMESTAMP", "DATE", "TIMESTAMPTZ", "TIME"):
            with pytest.raises(InvalidError):
                database.rows(f"SELECT '{text}'::{kind}", most=1)


def run(recipe: str, people: dict[str, list[tuple[str, int]]], sql: str, *, least: str = "E0"):
    """Return what a real sandbox sends, by person."""
    memory = pack_parts(
        ({"person": person, "stream": "pointer", "window": 1}, pointer_table(rows).select(TABLES["pointer"]))
        for person, rows in people.items()
    )  # fmt: skip
    spec = {"sql": sql, "template": COUNT.to_json(), "tables": TABLES}
    job = Job(
        recipe=recipe,
        spec=orjson.dumps(spec),
        inputs=(memory,),
        limits=Limits.of("sql"),
        least=least,
    )
    try:
        with Jobs().start(job) as running:
            return {
                frame.header.get("person", frame.header["type"]): bytes(frame.body)
                for frame in running.frames()
            }
    finally:
        os.close(memory)


class Jobs(Launcher):
    _recipes: ClassVar = {**Launcher._recipes, "spy": "query_spy"}
    _extra = (Path(__file__).resolve().parents[1],)


def test_one_person_s_rows_reach_nobody_else_s_answer():
    """The same others answer the same, whatever one person holds: a window, a join, state, a fault in the query."""
    others = {f"p{at}": [("mail", at)] * (at + 1) for at in range(4)}
    sql = (
        "SELECT a.x FROM pointer a, pointer b, range(CASE WHEN a.x = 666 THEN 100000000000 ELSE 1 END)"
        " QUALIFY count(*) OVER () > 0"
    )
    calm = run("sql", {**others, "victim": [("mail", 1)]}, sql)
    loud = run("sql", {**others, "victim": [("mail", 666)] * 50}, sql)
    assert calm.keys() == loud.keys()
    assert {one: calm[one] for one in others} == {one: loud[one] for one in others}
    assert [len(orjson.loads(calm[f"p{at}"])[""]) for at in range(4)] == [1, 4, 9, 16]
    assert read_share(COUNT, loud["victim"]) == NOTHING


def test_whoever_takes_over_one_person_s_process_finds_nobody_else_there():
    """As if a fault in the engine ran code: other rows, the way out, other processes. See ``query_spy``."""
    found = run("spy", {f"p{at}": [("mail", at)] for at in range(3)}, "SELECT x FROM pointer")
    assert set(found) == {"p0", "p1", "p2"}
    for body in found.values():
        said = orjson.loads(body)
        assert said == {
            "input": "gone",
            "memory": "none but one's own",
            "parent": "refused",
            "descriptors": 2,
        }


def gate() -> QueryGate:
    return QueryGate(COUNT, frozenset({"a", "b"}))


def test_the_gate_lets_contributions_in_and_nothing_out():
    door = gate()
    assert door.admit({"type": "contribution", "person": "a"}, b'{"":[0,0]}').share.values == {
        "": (0, 0)
    }
    for header, error in (
        ({"type": "contribution", "person": "a"}, TamperedError),
        ({"type": "contribution", "person": "z"}, TamperedError),
        ({"type": "contribution", "person": "b", "note": "x"}, DeniedError),
        ({"type": "derived", "person": "b", "rows": 1}, DeniedError),
        ({"type": "progress", "done": 1, "of": 2}, DeniedError),
        ({"type": "metrics"}, DeniedError),
        ({"type": "refused", "rule": "sql.bind"}, TamperedError),  # rows were seen by then
    ):
        with pytest.raises(error):
            door.admit(header)
    with pytest.raises(TamperedError):
        door.close()


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"1", b'{"":[]}', b'{"":[0.5]}', b'{"":[true]}', b'{"":[1]}', b'{"":["x"]}', b'{"a":[0]}',
     b'{"":[0],"a":[0]}', b'{"":[-1]}', b'{"":0}', b'{"":[' + b"0," * 100 + b"0]}", b" " * (1 << 20) + b'{"":[0]}'],
    ids=range(15),
)  # fmt: skip
def test_a_contribution_that_is_not_within_the_template_counts_as_nothing(body):
    assert read_share(COUNT, body) == NOTHING


def test_a_refusal_says_one_of_a_few_things():
    for header in (
        {"type": "refused", "rule": "Alice earns 7"},
        {"type": "refused", "rule": "sql.bind", "message": "Alice"},
        {"type": "refused"},
    ):
        with pytest.raises(TamperedError):
            gate().admit(header)
    with pytest.raises(InvalidError) as refused:
        gate().admit({"type": "refused", "rule": "sql.bind"})
    assert refused.value.message == "the query names what is not there"


def test_a_query_without_the_columns_of_its_figure_is_refused(database):
    template = Template.of(
        {"release": "sum", "epsilon": 1, "keys": ["a"], "low": 0, "high": 1, "step": 1}
    )
    for sql in (
        "SELECT x AS v FROM pointer",
        "SELECT app AS k FROM pointer",
        "SELECT 1 AS k, 2 AS v, 3 AS v",
    ):
        with pytest.raises(SafeholdError) as refused:
            prepare(database, sql, template, empty_tables(TABLES))
        assert refused.value.rule in ("sql.columns", "sql.bind")


def test_nobody_s_answer_uses_up_what_is_there_for_all(monkeypatch):
    """Time and bytes of a run are shared out before it begins: whoever takes more counts as nothing."""
    from safehold.enclave import sql

    sent = []
    people = {"small": [("mail", 1)], "large": [("mail", 1)] * 100}
    memory = pack_parts(
        ({"person": person, "stream": "pointer", "window": 1}, pointer_table(rows).select(TABLES["pointer"]))
        for person, rows in people.items()
    )  # fmt: skip
    monkeypatch.setattr(sql, "RUN_BYTES", 40)
    spec = {"sql": "SELECT x AS v FROM pointer", "template": COUNT.to_json(), "tables": TABLES}
    sql.main(spec, (memory,), lambda header, body=b"": sent.append((header["person"], bytes(body))))
    assert sorted(sent) == [("large", b""), ("small", b'{"":[0]}')]
    limits = Limits.of("sql")
    assert limits.wall > sql.RUN_S
    assert limits.egress >= 2 * (64 << 20)


def test_on_however_many_processors_what_runs_side_by_side_fits_the_memory_of_the_sandbox(
    monkeypatch,
):
    """Otherwise a few people's queries that take what the engine lets them would end everybody's."""
    from safehold.enclave import sql

    monkeypatch.setattr(sql.os, "sched_getaffinity", lambda _: set(range(64)))
    crew = sql._Crew(None, each=1.0, largest=1, emit=print)
    engine = dict(LOCKED)["memory_limit"].strip("'")
    assert engine.endswith("MB")
    assert crew._most * 2 * int(engine[:-2]) * 10**6 <= Limits.of("sql").memory


def test_how_the_sandbox_of_a_query_fails_is_one_sentence():
    """An error inside could be made to tell of a row; other recipes' errors keep their words."""
    from safehold.app.workshop import SandboxWorkshop
    from safehold.errors import UnavailableError

    memory = pack_parts([({"person": "p", "stream": "pointer", "window": 1}, pointer_table([]))])
    shop, said = SandboxWorkshop(Launcher()), {}
    try:
        for recipe in ("sql:" + "0" * 64, "feature"):
            with (
                shop.start(recipe, {"nothing": 1}, [memory], least="E0") as job,
                pytest.raises(SafeholdError) as failed,
            ):
                list(job.frames())
            said[recipe[:3]] = failed.value
    finally:
        os.close(memory)
    assert isinstance(said["sql"], UnavailableError)
    assert (said["sql"].rule, said["sql"].message) == (
        "sandbox.unsaid",
        "the job did not come to its end",
    )
    assert said["fea"].rule == "enclave.feature.spec"
