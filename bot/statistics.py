"""`/stats` and the exports: what people's votes say, in five lines and a picture; all of them as a table for admins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bot import gate
from bot.contract import Actor, Document, Part, Picture, Place, Reply, Text
from bot.desk import Desk, use_case
from bot.replies import say
from bot.study import study, tidy_csv
from bot.variants import told
from db import answers, campaigns
from engine.errors import UserError
from engine.jobs import Language

FOLDER = "stats"
"""Inside the folder of results; each picture there is replaced by the next of its kind."""


@use_case
async def stats(desk: Desk, actor: Actor, place: Place) -> Reply:
    """Show what the votes about this server's or chat's pairs say."""
    visit = await desk.visit(actor, place, add=True)
    scope_id, language = visit.scope_id, visit.language
    records = await desk.ledger.read(lambda conn: list(answers.records(conn, scope_id=scope_id)))
    plots = desk.queue.folder / FOLDER / f"{scope_id}-{language}"
    found = await study(tidy_csv(records), plots, language)
    lines = [*report_lines(found, language), *await told(desk, visit)]
    parts: list[Part] = [Text(say(language, "stats.title"), "heading"), *(Text(line) for line in lines)]
    overview = found["figures"].get("overview")
    if overview is not None:
        parts.append(Picture(Path(overview["path"]), "stats.png", overview["alt"]))
    return Reply(tuple(parts), language=language)


@use_case
async def export(desk: Desk, actor: Actor, place: Place, campaign: str | None = None) -> Reply:
    """Give an admin all answers of this server or chat, or of a campaign, as CSV with hashes for people."""
    visit = await gate.admin(desk, actor, place)
    scope_id = visit.scope_id
    assert scope_id is not None  # an admin's visit adds the place
    campaign_id = None
    if campaign is not None:
        row = await desk.ledger.read(lambda conn: campaigns.by_name(conn, scope_id, campaign))
        if row is None:
            raise UserError(f"There is no campaign {campaign} here.", code="unknown_campaign")
        campaign_id = row.id
    records = await desk.ledger.read(
        lambda conn: list(answers.records(conn, scope_id=scope_id, campaign_id=campaign_id))
    )
    table = Document("votes.csv", data=tidy_csv(records).encode())
    text = Text(say(visit.language, "stats.export", answers=len(records)))
    return Reply((text, table), private=True, language=visit.language)


def report_lines(report: dict[str, Any], language: Language) -> list[str]:
    """Return a report (as JSON) in at most five lines, and what is missing for more."""
    lines = []
    everyone, trusted = report["all"], report["trusted"]
    if everyone["votes"]:
        lines.append(_mean(everyone, language, "stats.mean"))
    if trusted["votes"] and trusted["votes"] != everyone["votes"]:
        lines.append(_mean(trusted, language, "stats.trusted"))
    alpha, repeats = report["alpha"], report["repeats"]
    if alpha is not None:
        line = say(
            language, "stats.alpha", value=f"{alpha['value']:.2f}", interval=_interval(alpha["interval"], language)
        )
        if repeats is not None:
            line += " " + say(language, "stats.repeats", share=f"{repeats['within_one']:.0%}", count=repeats["repeats"])
        lines.append(line)
    for name in ("mismatch", "plain"):
        control = report["controls"].get(name)
        if control is not None and control["delta"] is not None:
            value, interval = f"{control['delta']:+.2f}", _interval(control["interval"], language)
            lines.append(say(language, f"stats.{name}", value=value, interval=interval, mean=f"{control['mean']:.2f}"))
    measure = report["alignment"].get("distance")
    if measure is not None:
        value, interval = f"{measure['value']:+.2f}", _interval(measure["interval"], language)
        lines.append(say(language, "stats.measure", value=value, interval=interval, pairs=report["rated_pairs"]))
    return lines + [say(language, f"missing.{name}") for name in report["missing"]]


def _mean(found: dict[str, Any], language: Language, key: str) -> str:
    sd = "–" if found["sd"] is None else f"{found['sd']:.2f}"
    return say(
        language,
        key,
        votes=found["votes"],
        raters=found["raters"],
        pairs=found["pairs"],
        mean=f"{found['mean']:.2f}",
        interval=_interval(found["interval"], language),
        sd=sd,
    )


def _interval(found: dict[str, float] | None, language: Language) -> str:
    if found is None:
        return say(language, "stats.no_interval")
    return say(language, "stats.interval", low=f"{found['low']:.2f}", high=f"{found['high']:.2f}")
