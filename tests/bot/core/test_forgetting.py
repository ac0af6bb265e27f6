"""`/forgetme` and `/mydata` over every table that there is: the tables are read from the database itself."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

from bot import privacy
from bot.contract import Document, Reply
from bot.press import press
from db import about, people
from tests.fakes.chat import ANNA, HOME, Room, button, room

HOUSE = {"house", "block"}
"""Tables about nobody: the house's settings, and fingerprints from which nobody can read who it is."""
UNNAMED = {"audit": "person_id", "campaign": "person_id"}
"""Tables that keep the row and forget who it was."""
MARK = "a word that nobody else says; "
ROWS = """
INSERT INTO chat (id, platform, key, first_seen, kind) VALUES (10, 'telegram', '-100', 0, 'group'),
    (11, 'telegram', '1', 0, 'private');
INSERT INTO person (id, platform, key, first_seen, language) VALUES (1, 'telegram', '1', 0, 'en'),
    (2, 'telegram', '4', 0, 'en');
INSERT INTO setting VALUES (11, 'language', '"en"');
INSERT INTO turn VALUES (1, 'story', 1);
INSERT INTO upload VALUES ('{name}', 1, 4, 0);
INSERT INTO job (id, kind, version, args, person_id, chat_id, state, attempt, run_after, created, ended, result)
    VALUES (1, 'story', 1, '{{"secret": 1}}', 1, 10, 'done', 1, 0, 0, 1, '{{}}'),
    (2, 'compose', 1, '{{}}', 1, 11, 'done', 1, 0, 0, 1, '{{}}'),
    (3, 'story', 1, '{{}}', 2, 10, 'done', 1, 0, 0, 1, '{{}}'),
    (4, 'story', 1, '{{}}', 2, 10, 'done', 1, 0, 0, 1, '{{}}');
INSERT INTO job_upload VALUES (1, '{name}');
INSERT INTO pair (id, job_id, kind, person_id, chat_id, created, folder, distance, better_than_shuffled, aligned_by)
    VALUES (1, 1, 'story', 1, 10, 0, '1-1', .1, .9, 'x'), (2, 3, 'story', 2, 10, 0, '3-1', .1, .9, 'x');
INSERT INTO outbox (id, job_id, platform, nonce, send_after, created) VALUES (1, 1, 'telegram', 'n', 0, 0);
INSERT INTO sent_part VALUES (1, 0, 'm');
INSERT INTO follow VALUES (1, 'telegram', '-100', '5', 'en');
INSERT INTO block VALUES (10, 'fingerprint', 0);
INSERT INTO audit (at, person_id, chat_id, action, detail) VALUES (0, 1, 10, 'pause', '');
INSERT INTO vote VALUES (2, 1, 4, 'button', 0, 0, 10, 1), (1, 2, 3, 'button', 0, 0, 10, 1);
INSERT INTO vote_event (pair_id, person_id, score, via, at) VALUES (2, 1, 4, 'button', 0);
INSERT INTO campaign (id, scope_id, name, raters, each, person_id, created) VALUES (1, 10, 'c', 1, 1, 1, 0);
INSERT INTO campaign_pair VALUES (1, 1);
INSERT INTO deal (person_id, pair_id, story_id, condition, dealt, expires) VALUES (1, 2, 2, 'match', 0, 9);
INSERT INTO publication VALUES (1, 0);
INSERT INTO consent VALUES (1, 1, 0);
INSERT INTO credit VALUES (1, 1);
INSERT INTO plain VALUES (1, 4);
"""
"""A row of Anna's (person 1) in every table."""


async def fill(here: Room) -> Path:
    """Give Anna a row in every table, and files; return her recording."""
    name = "ab" * 32
    rows = [row for row in ROWS.format(name=name).split(";\n") if row.strip()]

    def write(conn: sqlite3.Connection) -> None:
        for row in rows:
            conn.execute(row)

    await here.desk.ledger.write(write)
    here.desk.inbox.folder.mkdir(parents=True)
    (here.desk.inbox.folder / name).write_bytes(b"song")
    for folder in ("1-1", "3-1"):
        (here.folder / folder).mkdir()
        (here.folder / folder / "story.txt").write_text("a story")
    return here.desk.inbox.folder / name


def tables(conn: sqlite3.Connection) -> dict[str, int]:
    return {name: conn.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in about.links(conn)}


async def forget(here: Room) -> None:
    sure = await privacy.forgetme(here.desk, ANNA, HOME)
    await press(here.desk, ANNA, HOME, button(sure, "yes"))


async def test_every_table_has_a_row_of_hers_here(here: Room) -> None:
    """A table that is added later fails this test until it is written down above, and what becomes of it."""
    await fill(here)
    counts = await here.desk.ledger.read(tables)
    assert {name for name, count in counts.items() if not count} <= {"house"}


async def test_my_data_is_complete(here: Room) -> None:
    await fill(here)
    reply: Reply = await privacy.mydata(here.desk, ANNA, HOME)
    (document,) = [part for part in reply.parts if isinstance(part, Document)]
    assert document.data is not None
    given = json.loads(document.data)["tables"]
    assert set(given) == set(await here.desk.ledger.read(tables)) - HOUSE


async def test_nothing_is_left(here: Room) -> None:
    song = await fill(here)
    before = await here.desk.ledger.read(tables)
    await forget(here)

    def check(conn: sqlite3.Connection) -> None:
        assert people.find(conn, "telegram", ANNA.person) is None
        for table, columns in about.person_columns(conn).items():
            for column in columns:
                assert conn.execute(f'SELECT count(*) FROM "{table}" WHERE "{column}" = 1').fetchone() == (0,), table
        after = tables(conn)
        # Ben's chat, person, jobs 3 (4 told her music, and went with it), pair 2, and what is nobody's.
        kept = {"person": 1, "chat": 1, "job": 1, "pair": 1, "block": 1, "audit": 1, "campaign": 1}
        assert {name: count for name, count in after.items() if count and name != "house"} == kept
        assert {name for name in before if name not in kept and name != "house"} <= {
            name for name, count in after.items() if not count
        }
        for table, column in UNNAMED.items():
            assert conn.execute(f'SELECT "{column}" FROM "{table}"').fetchall() == [(None,)]
        assert conn.execute("SELECT votes, score_sum FROM pair").fetchall() == [(0, 0)]

    await here.desk.ledger.read(check)
    assert not song.exists() and not (here.folder / "1-1").exists()
    assert (here.folder / "3-1" / "story.txt").exists(), "Ben keeps his"


async def test_the_words_are_gone_from_the_disk(tmp_path: Path) -> None:
    """Not only the rows: pages that are free would keep the words readable in the file."""
    async with room(tmp_path) as here:
        await fill(here)
        await here.desk.ledger.write(
            lambda conn: conn.execute("UPDATE job SET args = ? WHERE id = 1", (json.dumps({"words": MARK * 200}),))
        )
        await forget(here)
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or MARK.encode() not in path.read_bytes(), path
