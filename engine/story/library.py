"""The authored material of the embedded storyteller: reads it, checks it, compiles it for the planner.

Knows the file format (explained in `data/README.md`); knows nothing of emotion targets, of search or of how slots are
filled. A fact is one bit: what a fragment needs and changes becomes masks, so that asking "may this come next?" is a
few machine operations.
"""

from __future__ import annotations

import difflib
import hashlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

DATA = Path(__file__).parent / "data"

PLOT_ROLES: Final = ("open", "quest", "event", "turn", "end")
"""Carry the frame forward, in this order; only `event` may come several times or never."""
COLOUR_ROLES: Final = ("inner", "scene", "memory", "talk")
"""Deepen the moment and leave the plot where it is."""
SHIFT_ROLES: Final = ("lift", "fall", "stir", "settle")
"""Short bridges into a beat of higher or lower valence, higher or lower arousal."""
ROLES: Final = PLOT_ROLES + COLOUR_ROLES + SHIFT_ROLES

PERSON_SLOTS: Final = frozenset(
    ("hero", "he", "him", "his", "himself", "kin", "friend", "friend_he", "friend_him", "friend_his", "friend_himself")
)
SLOT = re.compile(r"\{(\w+)\}")

Pair = tuple[str, str]
"""The same words in English and in Traditional Chinese."""

SUIT_KEYS: Final = ("tempo", "brightness", "loudness", "density")

_TIME_BEFORE: Final = {
    "morning": ("morning", "evening", "night"),
    "day": ("morning", "day"),
    "evening": ("morning", "day", "evening"),
    "night": ("morning", "day", "evening", "night"),
}
"""Time flows forward: when a fragment sets a time and needs none, it may follow only these."""


class MaterialError(ValueError):
    """The authored material is wrong; `problems` holds one sentence for each fault found."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


@dataclass(frozen=True)
class Fragment:
    """One to three sentences in both languages, with what they need and what they change.

    `tag` is the (valence, arousal) the writer meant, on the whole plane [-1, 1]. May come when the story's facts meet
    every mask of `needs` and none of `forbids`; afterwards the facts are `facts & ~clears | sets`.
    """

    role: str
    en: str
    zh: str
    tag: tuple[float, float]
    origin: str
    frame: str | None = None
    needs: tuple[int, ...] = ()
    forbids: int = 0
    clears: int = 0
    sets: int = 0
    suits: tuple[tuple[str, float], ...] = ()

    @property
    def key(self) -> str:
        """What a score belongs to: changes when the English text changes."""
        return hashlib.sha256(self.en.encode()).hexdigest()[:16]

    def may_follow(self, facts: int) -> bool:
        """Whether the facts allow this fragment now."""
        return not facts & self.forbids and all(facts & mask for mask in self.needs)

    def after(self, facts: int) -> int:
        """Return the facts that hold when this fragment has been told."""
        return facts & ~self.clears | self.sets


@dataclass(frozen=True)
class Frame:
    """A plot shape: who goes with the hero, which facts hold at the start, places, titles and slots of its own."""

    name: str
    companion: str
    start: int
    seasons: tuple[str, ...]
    season_bits: tuple[int, ...]
    places: tuple[Pair, ...]
    titles: tuple[Pair, ...]
    slots: Mapping[str, tuple[Pair, ...]]
    suits: tuple[tuple[str, float], ...]
    fragments: tuple[Fragment, ...]


@dataclass(frozen=True)
class Kin:
    """What a companion of one gender is to the hero; `called` stands in for the name where people would not use it."""

    kin: Pair
    called: Pair | None


@dataclass(frozen=True)
class World:
    """What all stories share."""

    bits: Mapping[str, int]
    groups: Mapping[str, int]
    names: Mapping[str, tuple[Pair, ...]]
    kins: Mapping[str, Mapping[str, Kin]]
    slots: Mapping[str, tuple[Pair, ...]]


@dataclass(frozen=True)
class Library:
    """All of the material; `fragments` holds every fragment, frame by frame, then the common ones."""

    world: World
    frames: tuple[Frame, ...]
    common: tuple[Fragment, ...]

    @property
    def fragments(self) -> tuple[Fragment, ...]:
        """Every fragment in a fixed order."""
        return tuple(part for frame in self.frames for part in frame.fragments) + self.common


def load_library(directory: Path = DATA) -> Library:
    """Read `world.toml`, `frames/*.toml` and `colour/*.toml`. Raises `MaterialError` naming every fault at once."""
    return _Reader(directory).read()


def typographic(text: str) -> str:
    """Return English text with curly quotes, which are a nuisance to type in data files."""
    text = re.sub(r'(^|[\s(—])"', r"\1“", text.strip()).replace('"', "”")
    return re.sub(r"(^|[\s(—“])'", r"\1‘", text).replace("'", "’")


class _Reader:
    """Reads one directory and gathers the faults."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.problems: list[str] = []

    def read(self) -> Library:
        world = self._world(self._toml(self.directory / "world.toml"))
        frames = tuple(
            self._frame(path.stem, self._toml(path), world) for path in sorted(self.directory.glob("frames/*.toml"))
        )
        common = tuple(
            fragment
            for path in sorted(self.directory.glob("colour/*.toml"))
            for fragment in self._fragments(f"colour/{path.name}", self._toml(path), world.bits, world, None, {})
        )
        if not frames:
            self.problems.append(f"{self.directory / 'frames'} holds no frame (*.toml).")
        if self.problems:
            raise MaterialError(self.problems)
        return Library(world, frames, common)

    def _toml(self, path: Path) -> dict[str, Any]:
        try:
            return tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            self.problems.append(f"{path} is missing.")
        except tomllib.TOMLDecodeError as error:
            self.problems.append(f"{path}: {error}")
        return {}

    def _world(self, table: dict[str, Any]) -> World:
        bits: dict[str, int] = {}
        groups: dict[str, int] = {}
        for words in table.get("facts", {}).values():
            for word in words:
                if word in bits:
                    self.problems.append(f"world.toml: the fact '{word}' is listed twice.")
                bits[word] = 1 << len(bits)
            mask = sum(bits[word] for word in words)
            groups.update(dict.fromkeys(words, mask))
        kins = {
            name: {
                gender: Kin(_pair(entry["kin"]), _pair(entry["called"]) if "called" in entry else None)
                for gender, entry in genders.items()
            }
            for name, genders in table.get("kin", {}).items()
        }
        return World(bits, groups, _pairs_by_name(table.get("names", {})), kins, _pairs_by_name(table.get("slots", {})))

    def _frame(self, name: str, table: dict[str, Any], world: World) -> Frame:
        origin, head = f"frames/{name}.toml", table.pop("frame", {})
        slots = _pairs_by_name(table.pop("slots", {}))
        bits = dict(world.bits)
        for word in sorted(_flag_words(table) - bits.keys()):
            bits[word] = 1 << len(bits)
        if head.get("companion") not in world.kins:
            self.problems.append(f"{origin}: companion must be one of {', '.join(world.kins)}.")
        seasons = tuple(str(head.get("seasons", "")).split())
        fragments = self._fragments(origin, table, bits, world, name, slots)
        return Frame(
            name=name,
            companion=str(head.get("companion")),
            start=self._mask(str(head.get("start", "")).split(), world.bits, origin),
            seasons=seasons,
            season_bits=tuple(self._mask([season], world.bits, origin) for season in seasons),
            places=tuple(_pair(pair) for pair in head.get("places", [])),
            titles=tuple(_pair(pair) for pair in head.get("titles", [])),
            slots=slots,
            suits=tuple(sorted(head.get("suits", {}).items())),
            fragments=fragments,
        )

    def _fragments(
        self,
        origin: str,
        table: dict[str, Any],
        bits: Mapping[str, int],
        world: World,
        frame: str | None,
        slots: Mapping[str, tuple[Pair, ...]],
    ) -> tuple[Fragment, ...]:
        found = []
        for role, entries in table.items():
            if role not in ROLES or (frame is None and role in PLOT_ROLES):
                self.problems.append(f"{origin}: [[{role}]] is not a role{_did_you_mean(role, ROLES)}.")
                continue
            for number, entry in enumerate(entries, 1):
                where = f"{origin} {role} {number}"
                known = PERSON_SLOTS | world.slots.keys() | (slots.keys() | {"place"} if frame else set())
                fragment = self._fragment(where, role, entry, bits, world, frame)
                self._check_slots(fragment, known)
                found.append(fragment)
        return tuple(found)

    def _fragment(
        self, where: str, role: str, entry: dict[str, Any], bits: Mapping[str, int], world: World, frame: str | None
    ) -> Fragment:
        for key in entry.keys() - {"va", "needs", "sets", "suits", "en", "zh"}:
            self.problems.append(f"{where}: unknown key '{key}'.")
        tag = entry.get("va", [])
        if len(tag) != 2 or not all(-1 <= value <= 1 for value in tag):
            self.problems.append(f"{where}: va must be two numbers from -1 to 1.")
            tag = [0, 0]
        for language in ("en", "zh"):
            if not str(entry.get(language, "")).strip():
                self.problems.append(f"{where}: the text '{language}' is missing.")
        needs, sets = str(entry.get("needs", "")).split(), str(entry.get("sets", "")).split()
        named = {word for clause in needs for word in clause.split("|")}
        for word in sets:
            if role not in ("open", "end") and word in _TIME_BEFORE and not named & _TIME_BEFORE.keys():
                needs.append("|".join(_TIME_BEFORE[word]))
        positive = [clause for clause in needs if not clause.startswith("!")]
        negative = [clause[1:] for clause in needs if clause.startswith("!")]
        return Fragment(
            role=role,
            en=typographic(str(entry.get("en", ""))),
            zh=str(entry.get("zh", "")).strip(),
            tag=(float(tag[0]), float(tag[1])),
            origin=where,
            frame=frame,
            needs=tuple(self._mask(clause.split("|"), bits, where) for clause in positive),
            forbids=self._mask([word for clause in negative for word in clause.split("|")], bits, where),
            clears=sum({world.groups[word] for word in sets if word in world.groups}),
            sets=self._mask(sets, bits, where),
            suits=tuple(sorted(entry.get("suits", {}).items())),
        )

    def _mask(self, words: list[str], bits: Mapping[str, int], where: str) -> int:
        mask = 0
        for word in words:
            if word not in bits:
                self.problems.append(f"{where}: '{word}' is not a fact{_did_you_mean(word, bits)}.")
            mask |= bits.get(word, 0)
        return mask

    def _check_slots(self, fragment: Fragment, known: frozenset[str] | set[str]) -> None:
        for text in (fragment.en, fragment.zh):
            for slot in SLOT.findall(text):
                if slot.lower() not in known:
                    self.problems.append(f"{fragment.origin}: unknown slot {{{slot}}}{_did_you_mean(slot, known)}.")
            if re.search(r"[{}]", SLOT.sub("", text)):
                self.problems.append(f"{fragment.origin}: a brace without its partner.")


def _flag_words(table: Mapping[str, Any]) -> set[str]:
    """A frame's own facts are the words that one of its fragments sets."""
    return {word for entries in table.values() for entry in entries for word in str(entry.get("sets", "")).split()}


def _pair(value: Any) -> Pair:
    english, chinese = value
    return typographic(str(english)), str(chinese)


def _pairs_by_name(table: Mapping[str, Any]) -> dict[str, tuple[Pair, ...]]:
    return {name: tuple(_pair(value) for value in values) for name, values in table.items()}


def _did_you_mean(word: str, known: Any) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean '{close[0]}'?)" if close else ""
