"""Statistics in chat and on the command line: what is told, what is not enough yet, what leaves the house."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot import admin, ballot, commands, statistics, variants
from bot.__main__ import main
from bot.ballots import SHOWN_FROM
from bot.console.stats import write_table
from bot.contract import Actor, Document, Picture, Posted
from bot.rating import MOST_PER_MINUTE, Reaction
from db import answers, pairs, settings
from db.answers import HEADER, AnswerRecord, account_age
from db.votes import Tally
from engine.errors import Transient, UserError
from engine.evaluation.votes import COLUMNS
from engine.jobs import ComposeRequest
from engine.settings import StageSettings
from engine.training.taste import consented
from tests.bot.core.test_ballot import ballot_of, make_pairs
from tests.fakes.chat import ANNA, BEN, BOSS, CONFIG, GROUP, HOME, MEI, Room, make, room, texts


def voter(number: int) -> Actor:
    return Actor("telegram", f"{500 + number}")


async def rated(at: Room, pairs: list[int], people: int = 4) -> None:
    for number in range(people):
        for pair in pairs:
            await at.desk.ballots.vote(voter(number), pair, (number + pair) % 6, scope_id=None)


async def test_stats_say_what_the_votes_say_with_a_picture(here: Room) -> None:
    await rated(here, await make_pairs(here, 3))
    reply = await statistics.stats(here.desk, BEN, GROUP)
    said = texts(reply)
    assert "12 votes by 4 people about 3 pairs" in said and "95 %:" in said
    assert "No hidden control" in said and "fewer than five pairs" in said
    (picture,) = [part for part in reply.parts if isinstance(part, Picture)]
    assert Path(picture.path).read_bytes().startswith(b"\x89PNG") and "12 votes" in picture.alt


async def test_stats_of_nothing_say_so(here: Room) -> None:
    await make_pairs(here, 1)
    reply = await statistics.stats(here.desk, BEN, GROUP)
    assert "Nobody has rated" in texts(reply)
    assert not [part for part in reply.parts if isinstance(part, Picture)]


def test_a_whole_report_is_five_lines() -> None:
    interval = {"low": 0.1, "high": 0.9}
    summary = {"votes": 9, "raters": 3, "pairs": 3, "mean": 3.0, "sd": 1.0, "interval": interval}
    control = {"votes": 5, "mean": 1.5, "delta": 0.5, "interval": interval}
    found: dict[str, Any] = {
        "all": summary,
        "trusted": summary | {"votes": 8},
        "alpha": {"value": 0.4, "interval": interval},
        "repeats": {"repeats": 6, "within_one": 0.8},
        "controls": {"mismatch": control},
        "alignment": {"distance": {"value": -0.4, "interval": None}},
        "rated_pairs": 7,
        "missing": [],
    }
    for language in ("en", "zh-TW"):
        lines = statistics.report_lines(found, language)
        assert len(lines) == 5 and not any("{" in line for line in lines)


async def test_the_export_names_nobody(here: Room) -> None:
    pairs = await make_pairs(here, 2)
    await rated(here, pairs, 2)
    await here.desk.ballots.vote(voter(0), pairs[0], None, scope_id=None)  # taken back: no row
    reply = await statistics.export(here.desk, BOSS, GROUP)
    (table,) = [part for part in reply.parts if isinstance(part, Document)]
    rows = list(csv.DictReader(io.StringIO((table.data or b"").decode())))
    assert reply.private and len(rows) == 3 and tuple(rows[0]) == HEADER
    assert {len(row["rater"]) for row in rows} == {16} and len({row["rater"] for row in rows}) == 2
    assert not {"500", "501"} & {value for row in rows for value in row.values()}
    assert "Only admins" in texts(await statistics.export(here.desk, BEN, GROUP))


def test_what_is_exported_is_what_the_statistics_read() -> None:
    assert set(COLUMNS) <= set(HEADER)


async def test_only_what_was_agreed_to_is_exported_for_learning(here: Room) -> None:
    pairs = await make_pairs(here, 1)
    await rated(here, pairs, 3)

    async def exported() -> list[AnswerRecord]:
        version = ballot.CONSENT_VERSION
        return await here.desk.ledger.read(lambda conn: list(answers.records(conn, consented=version)))

    await ballot.agree(here.desk, voter(1), GROUP, on=True)
    assert await exported() == []
    await ballot.agree(here.desk, ANNA, GROUP, on=True)
    assert [record.score for record in await exported()] == [(1 + pairs[0]) % 6]
    # `tunetale train pairs --store` reads the same, beside the running bot.
    learned_from = await asyncio.to_thread(consented, here.folder.parent / "store.sqlite")
    assert learned_from == await exported()


def test_discords_ids_tell_the_age_of_an_account() -> None:
    # docs.discord.com, reference, snowflakes: 175928847299117063 was made on 2016-04-30 11:18:25.796 UTC.
    assert account_age("discord", "175928847299117063", 1_462_015_105.796 + 60.0) == pytest.approx(60.0, abs=0.01)
    assert account_age("telegram", "175928847299117063", 2e9) is None
    assert account_age("discord", "maker", 2e9) is None


# --- ratings under cards, through the store ------------------------------------------------------------------------


async def card_of(at: Room, pair: int) -> Posted:
    cards = await at.desk.ballots.unsure("telegram")
    return next(posted for posted, shown in cards if shown == pair)


async def test_reactions_buttons_and_a_restart_are_one_ballot(here: Room) -> None:
    (pair,) = await make_pairs(here, 1)
    card, ballots = await card_of(here, pair), here.desk.ballots
    assert await ballots.reacted(BEN, card, Reaction(3), added=True)
    await ballots.vote(BEN, pair, "5", scope_id=None)
    assert await ballot_of(here, pair) == 5
    here.clock.advance(1.0)
    await ballots.reacted(BEN, card, Reaction(3), added=False)
    assert await ballot_of(here, pair) == 5
    here.clock.advance(60.0)

    async def snapshot() -> dict[str, list[Reaction]]:
        return {BEN.person: [Reaction(1)], MEI.person: [Reaction(4, super=True)], ANNA.person: [Reaction(5)]}

    assert await ballots.reconcile("telegram", card, ballots.now(), snapshot) == 2  # the maker's own does not count
    assert (await ballot_of(here, pair), await ballot_of(here, pair, MEI)) == (1, 4)
    assert await ballot_of(here, pair, ANNA) is None
    assert await ballots.reconcile("telegram", card, ballots.now(), snapshot) == 0
    standing = await ballots.standing(BEN, pair)
    assert (standing.count, standing.mean) == (2, None)  # below SHOWN_FROM one could tell who voted what
    for number in range(SHOWN_FROM - 2):
        await ballots.vote(voter(number), pair, 4, scope_id=None)
    assert (await ballots.standing(BEN, pair)).mean == 3.0


async def test_who_is_blocked_can_only_take_back(here: Room) -> None:
    (pair,) = await make_pairs(here, 1)
    card, ballots = await card_of(here, pair), here.desk.ballots
    await ballots.reacted(BEN, card, Reaction(3), added=True)
    who = {actor.person: await here.desk.fingerprint("telegram", actor.person) for actor in (BEN, MEI)}
    scope = (await here.desk.visit(BOSS, GROUP)).scope_id
    for one in who.values():
        await here.desk.ledger.write(lambda conn, one=one: settings.block(conn, one, scope, 0.0))  # type: ignore[misc]
    assert not await ballots.reacted(BEN, card, Reaction(5), added=True)
    assert not await ballots.reacted(MEI, card, Reaction(1), added=True)
    for score in (5, 0):
        with pytest.raises(UserError) as caught:
            await ballots.vote(MEI, pair, score, scope_id=scope)
        assert caught.value.code == "blocked"

    async def snapshot() -> dict[str, list[Reaction]]:
        return {BEN.person: [Reaction(3), Reaction(5)], MEI.person: [Reaction(1)]}

    assert await ballots.reconcile("telegram", card, ballots.now(), snapshot) == 0
    assert (await ballot_of(here, pair), await ballot_of(here, pair, MEI)) == (3, None)
    assert await ballots.reacted(BEN, card, Reaction(3), added=False)
    assert await ballot_of(here, pair) is None
    await here.desk.ledger.write(lambda conn: settings.unblock(conn, who[MEI.person], scope))
    assert await ballots.reconcile("telegram", card, ballots.now(), snapshot) == 1
    assert await ballot_of(here, pair, MEI) == 1


async def test_a_snapshot_that_fails_changes_nothing_and_events_wait_for_one(here: Room) -> None:
    (pair,) = await make_pairs(here, 1)
    card, ballots = await card_of(here, pair), here.desk.ballots
    await ballots.reacted(BEN, card, Reaction(3), added=True)

    async def broken() -> dict[str, list[Reaction]]:
        raise Transient("down")

    with pytest.raises(Transient):
        await ballots.reconcile("telegram", card, ballots.now(), broken)
    assert await ballot_of(here, pair) == 3
    since = ballots.now()
    here.clock.advance(1.0)

    async def slow() -> dict[str, list[Reaction]]:
        tasks.append(asyncio.ensure_future(ballots.reacted(BEN, card, Reaction(2), added=True)))
        await asyncio.sleep(0)
        assert not tasks[0].done()
        await ballots.vote(MEI, pair, 5, scope_id=None)  # a button never waits
        return {BEN.person: [Reaction(3), Reaction(2)]}

    tasks: list[asyncio.Future[bool]] = []
    await ballots.reconcile("telegram", card, since, slow)
    assert await tasks[0]
    assert (await ballot_of(here, pair), await ballot_of(here, pair, MEI)) == (2, 5)


async def test_a_hundred_votes_in_a_second(here: Room) -> None:
    (pair,) = await make_pairs(here, 1)
    refused = 0
    for number in range(100):
        try:
            await here.desk.ballots.vote(BEN, pair, number % 6, scope_id=None)
        except UserError as error:
            assert error.code == "too_many_votes"
            refused += 1
    assert refused == 100 - MOST_PER_MINUTE
    here.clock.advance(61.0)
    await here.desk.ballots.vote(BEN, pair, 2, scope_id=None)
    assert await ballot_of(here, pair) == 2


@pytest.mark.parametrize(("pair", "code"), [(999, "unknown_pair"), (1, "own_pair")])
async def test_votes_for_what_cannot_be_voted_for(here: Room, pair: int, code: str) -> None:
    await make_pairs(here, 1)
    with pytest.raises(UserError) as caught:
        await here.desk.ballots.vote(ANNA, pair, 3, scope_id=None)
    assert caught.value.code == code
    assert not await here.desk.ballots.reacted(ANNA, Posted("-100", "nothing"), Reaction(3), added=True)


# --- variants ------------------------------------------------------------------------------------------------------


def test_the_better_variant_is_chosen_more_often_and_the_unknown_is_tried() -> None:
    rng = random.Random(1)
    known = {1: Tally(60, 120), 4: Tally(60, 240)}
    assert sum(variants.choose((1, 4), known, rng) == 4 for _ in range(300)) > 290
    assert 60 < sum(variants.choose((1, 4), {}, rng) == 4 for _ in range(200)) < 140
    assert sum(variants.choose((1, 4), {1: Tally(40, 100)}, rng) == 4 for _ in range(300)) > 60


async def test_learning_is_shown_and_can_be_switched_off(here: Room) -> None:
    pairs = await make_pairs(here, 1)
    for who in (ANNA, BEN):
        await ballot.agree(here.desk, who, GROUP, on=True)
    await here.desk.ballots.vote(BEN, pairs[0], 4, scope_id=None)
    visit = await here.desk.visit(BEN, GROUP)
    assert "4.00 with" in (await variants.told(here.desk, visit))[0]
    assert await variants.candidates(here.desk, visit) in variants.STORY_CANDIDATES
    await admin.change(here.desk, BOSS, GROUP, "learning", "off")
    visit = await here.desk.visit(BEN, GROUP)
    assert await variants.candidates(here.desk, visit) is None
    assert "learning is off" in (await variants.told(here.desk, visit))[0]


async def composed(at: Room, text: str) -> tuple[int, int]:
    """Compose, and return the pair and its number of sketches."""
    await commands.compose(at.desk, ANNA, GROUP, text)
    lease = await at.claim()
    await at.queue.finish(lease.token, make(lease))
    await at.deliver()
    row = await at.desk.ledger.read(lambda conn: pairs.of_job(conn, lease.job.id))
    assert row is not None and isinstance(lease.job.request, ComposeRequest) and lease.job.request.sketches is not None
    return row.id, lease.job.request.sketches


async def test_what_is_learned_of_music_is_about_sketches(here: Room) -> None:
    for who in (ANNA, BEN):
        await ballot.agree(here.desk, who, GROUP, on=True)
    variants._rng.seed(1)
    made = [await composed(here, f"A calm day, number {number}.") for number in range(12)]
    most = CONFIG.engine.stages.sketches
    assert {sketches for _, sketches in made} == {0, most}
    for pair, sketches in made:
        await here.desk.ballots.vote(BEN, pair, 1 if sketches == 0 else 5, scope_id=None)
    visit = await here.desk.visit(BEN, GROUP)
    (line,) = await variants.told(here.desk, visit)
    assert "composing" in line and "1.00 with 0 sketch" in line and f"5.00 with {most} sketch" in line
    chosen = [await variants.sketches(here.desk, visit, random.Random(seed)) for seed in range(40)]
    assert chosen.count(most) > 30
    found = await here.desk.ledger.read(lambda conn: list(answers.records(conn)))
    assert {record.variant for record in found} == {"teller-1, sketches: 0", f"teller-1, sketches: {most}"}
    await admin.change(here.desk, BOSS, GROUP, "learning", "off")
    assert await variants.sketches(here.desk, await here.desk.visit(BEN, GROUP)) is None


@pytest.mark.parametrize("stages", [StageSettings(sketches=0), StageSettings(composer="musicgen")])
async def test_a_composer_that_does_not_sketch_has_no_variants(tmp_path: Path, stages: StageSettings) -> None:
    config = replace(CONFIG, engine=replace(CONFIG.engine, stages=stages))
    async with room(tmp_path, config) as at:
        assert await variants.sketches(at.desk, await at.desk.visit(BEN, GROUP, add=True)) is None
        assert await variants.candidates(at.desk, await at.desk.visit(BEN, GROUP)) in variants.STORY_CANDIDATES


# --- the command line ----------------------------------------------------------------------------------------------


async def test_the_command_line_reads_beside_a_running_store(
    here: Room, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await rated(here, await make_pairs(here, 2, place=HOME))
    store = ["--store", str(tmp_path / "store.sqlite")]
    assert await asyncio.to_thread(main, ["stats", *store, "--json", "--plots", str(tmp_path / "plots")]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["all"]["votes"] == 8 and printed["schema"] == 1
    assert Path(printed["figures"]["means"]["path"]).is_file()
    assert await asyncio.to_thread(main, ["stats", *store, "--csv", str(tmp_path / "votes.csv")]) == 0
    assert len((tmp_path / "votes.csv").read_text().splitlines()) == 9


def test_a_store_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stats", "--store", str(tmp_path / "none.sqlite")]) == 2
    assert "There is no store" in capsys.readouterr().err


def test_a_table_to_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for target in (tmp_path / "none" / "votes.csv", tmp_path / "file" / "votes.csv"):
        with pytest.raises(UserError, match="cannot be written"):
            write_table(target, "a,b\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]
