"""Tables of the study database, and the triggers that make them insert-only."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import Engine

FORMAT_VERSION = 1

metadata = sa.MetaData()

meta = sa.Table(
    "meta",
    metadata,
    sa.Column("name", sa.String(40), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)
events = sa.Table(
    "event",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", sa.String(32), nullable=False),
    sa.Column("kind", sa.String(40), nullable=False),
    sa.Column("reader", sa.String(40), nullable=False, index=True),
    sa.Column("payload", sa.Text, nullable=False),
    sa.Column("prev", sa.String(64), nullable=False),
    sa.Column("hash", sa.String(64), nullable=False, unique=True),
    # The last visit of a reader is asked for at every answer, however long the record has grown.
    sa.Index("ix_event_kind_reader_seq", "kind", "reader", "seq"),
)
readers = sa.Table(
    "reader",
    metadata,
    sa.Column("seq", sa.Integer, sa.ForeignKey("event.seq"), primary_key=True),
    sa.Column("reader", sa.String(40), nullable=False, unique=True),
    sa.Column("slot", sa.Integer, nullable=False),
    sa.Column("code_hash", sa.String(64), nullable=False, unique=True),
    sa.Column("expires", sa.String(32), nullable=False),
)
answers = sa.Table(
    "answer",
    metadata,
    sa.Column("seq", sa.Integer, sa.ForeignKey("event.seq"), primary_key=True),
    sa.Column("reader", sa.String(40), sa.ForeignKey("reader.reader"), nullable=False),
    sa.Column("session", sa.Integer, nullable=False),
    sa.Column("trial", sa.String(64), nullable=False),
    sa.Column("item", sa.String(48), nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("value", sa.Text, nullable=False),  # JSON
    sa.Column("seconds", sa.Float),
    sa.Column("at", sa.String(32), nullable=False),
    sa.UniqueConstraint("reader", "trial", "item", "revision", name="one_answer_per_revision"),
)

# First statement of a transaction whose queries all see the same moment.
SNAPSHOT = {
    "sqlite": "BEGIN",
    "postgresql": "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
}

_TABLES = [table.name for table in metadata.sorted_tables]


def create_all(engine: Engine) -> None:
    """Tables and triggers; UPDATE, DELETE and TRUNCATE are refused from then on."""
    with engine.begin() as connection:
        metadata.create_all(connection)
        for statement in _TRIGGERS[engine.dialect.name]():
            connection.execute(sa.text(statement))


def _sqlite_triggers() -> list[str]:
    return [
        f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, '{table} is insert-only'); END"
        for table in _TABLES
        for verb in ("UPDATE", "DELETE")
    ]


def _postgresql_triggers() -> list[str]:
    refuse = (
        "CREATE OR REPLACE FUNCTION reader_study_refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION '% is insert-only', TG_TABLE_NAME; END $$"
    )
    triggers = [
        f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
        f"FOR EACH {'STATEMENT' if verb == 'TRUNCATE' else 'ROW'} "
        "EXECUTE FUNCTION reader_study_refuse()"
        for table in _TABLES
        for verb in ("UPDATE", "DELETE", "TRUNCATE")
    ]
    return [refuse, *triggers]


_TRIGGERS = {"sqlite": _sqlite_triggers, "postgresql": _postgresql_triggers}


def connect(url: str) -> Engine:
    """Engine for a SQLite file or a PostgreSQL address.

    SQLite runs with a write-ahead log, a sync of the disk at each commit and foreign keys; a
    write takes the lock at its beginning, so two writers wait for each other, never fail.

    Raises
    ------
    ValueError
        Another kind of database.
    """
    kind = sa.make_url(url).get_backend_name()
    if kind not in _TRIGGERS:
        raise ValueError(f"DATABASE_URL must begin with sqlite or postgresql+psycopg, got {kind}")
    if kind == "postgresql":
        return sa.create_engine(url, pool_pre_ping=True, isolation_level="READ COMMITTED")
    engine = sa.create_engine(url, connect_args={"timeout": 30})

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # we begin transactions ourselves
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        # Readers need no lock: the log shows them the last committed state.
        if not connection.get_execution_options().get("reading"):
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def lock_chain(connection: sa.Connection) -> None:
    """Let one writer at a time extend the chain; SQLite's BEGIN IMMEDIATE already does."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(7241992)"))
