"""Form and cast → the notes of a section. Joins harmony, melody, accompaniment and percussion; makes no sound.

Each decision draws from a generator named after seed, section and purpose, so a section does not depend on how many
numbers another one drew, and a theme has the same chords wherever it returns.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from engine.music import accompaniment, harmony, melody, percussion
from engine.music.accompaniment import Slot, Sound
from engine.music.form import Form, Phrase, Section
from engine.music.orchestra import Cast, Instrument, Role
from engine.music.percussion import Hit
from engine.music.score import TICKS, Note

EMPHASIS: dict[Role, int] = {"lead": 10, "counter": -4, "figure": -1, "pad": -8, "bass": 2}
"""Added to the section's velocity: the melody is in front."""

HUMAN_S = 0.006
"""Standard deviation of an onset from the grid: players scatter by 5–20 ms (Goebl & Palmer 2009)."""

STRUM_S = 0.014
"""Delay from string to string in a strummed or rolled chord."""

PLUCKED = frozenset(
    {"nylon guitar", "steel guitar", "jazz guitar", "clean guitar", "harp", "banjo", "dulcimer", "harpsichord"}
)

RING_S = 1.3
"""How long the last chord is held beyond the end of the last beat."""

DYING_SHARE = 0.4
"""Share of controller 11 that is lost during the final bar; its gain is cubed, so 13 dB."""

SWING = 1 / 6
"""Delay of the off-beat eighth in quarters: triplet feel."""

Player = tuple[Role, Instrument]


@dataclass(frozen=True)
class Draft:
    """What the players of one section have to play, and the swell of sustained ones (tick, player, 0–127)."""

    notes: dict[Player, list[Note]]
    drums: list[Note]
    swells: list[tuple[int, Player, int]]


def arrange(form: Form, index: int, cast: Cast, motif: melody.Motif, seed: int) -> Draft:
    """Write one section."""
    return _Writer(form, index, cast, motif, seed).write()


def section_chords(form: Form, index: int, seed: int) -> list[Slot]:
    """Return the chords of a section with onset and length in quarters from its start.

    A theme's statement and answer begin with the same two chords, as the halves of a period do; the last half bar of
    a section prepares the key of the next.
    """
    section = form.sections[index]
    following = form.sections[index + 1] if index + 1 < len(form.sections) else None
    rng = Random(f"{seed} harmony {index}")
    slots: list[Slot] = []
    for phrase in section.phrases:
        lengths = _chord_lengths(phrase, form.meter, section.character.arousal, rng)
        numerals = _numerals(section, phrase, len(lengths), seed, rng)
        onset = float(phrase.first_bar * form.meter)
        for length, numeral in zip(lengths, numerals, strict=True):
            slots.append((onset, length, harmony.coloured(numeral, section.key, section.character, rng)))
            onset += length
    if following is not None and following.key != section.key and section.bars > 1:
        onset, length, chord = slots[-1]
        lead = harmony.coloured(harmony.pivot(following.key, rng), following.key, section.character, rng)
        if length > 2:
            slots[-1:] = [(onset, length - 2, chord), (onset + length - 2, 2.0, lead)]
        else:
            slots[-1] = (onset, length, lead)
    return slots


def _chord_lengths(phrase: Phrase, meter: int, arousal: float, rng: Random) -> list[float]:
    """One chord a bar; faster before a cadence, and the faster the more aroused. The final bar has one chord."""
    lengths: list[float] = []
    for bar in range(phrase.bars):
        before_last = bar == phrase.bars - 2
        split = meter == 4 and (
            (before_last and rng.random() < 0.4 + 0.3 * arousal)
            or (phrase.bars == 1 and phrase.cadence != "final")
            or (arousal > 0.6 and bar == 1 and phrase.bars > 2 and rng.random() < 0.3)
        )
        lengths += [meter / 2, meter / 2] if split else [float(meter)]
    return lengths


def _numerals(section: Section, phrase: Phrase, count: int, seed: int, rng: Random) -> list[str]:
    how, key = section.character, section.key
    theme = Random(f"{seed} theme {section.theme} {key.mode} {phrase.idea == 'contrast'}")
    tonic = "I" if key.is_major else "i"
    if phrase.idea == "contrast":
        nexts = harmony.GRAPHS[key.mode][tonic]
        known = {name: weight for name, weight in nexts.items() if name in harmony.GRAPHS[key.mode]}
        opening = theme.choices(list(known), list(known.values()))[0]
    else:
        opening = tonic
    cadence = "half" if phrase.cadence == "link" and key.mode != "phrygian" else phrase.cadence
    if count < 4:
        return harmony.progression(key, count, cadence, opening, how, rng)
    first, second = harmony.progression(key, 4, "half", opening, how, theme)[:2]
    return [first, *harmony.progression(key, count - 1, cadence, second, how, rng)]


class _Writer:
    """Writes one section; only `write` is called from outside, once."""

    def __init__(self, form: Form, index: int, cast: Cast, motif: melody.Motif, seed: int) -> None:
        self.form, self.index, self.cast, self.seed = form, index, cast, seed
        self.section = form.sections[index]
        self.how = self.section.character
        self.motif = melody.transformed(motif, self.section.transform)
        self.last = index == len(form.sections) - 1
        self.next = None if self.last else form.sections[index + 1]
        self.start = self.section.first_bar * form.meter
        self.last_bar = (self.section.bars - 1) * form.meter
        self.lean = 0.6 * (self.next.character.velocity - self.how.velocity) if self.next else 0.0
        self.slots = section_chords(form, index, seed)
        self.notes: dict[Player, list[Note]] = defaultdict(list)
        self.drums: list[Note] = []
        self.swells: list[tuple[int, Player, int]] = []
        self.tune: dict[float, int] = {}
        self.human = self.rng("human")

    def rng(self, purpose: str) -> Random:
        return Random(f"{self.seed} {purpose} {self.index}")

    def write(self) -> Draft:
        self._melody()
        for i, phrase in enumerate(self.section.phrases):
            self._accompany(i, phrase)
        self._pad_and_counter()
        self._percussion()
        if self.last:
            self._die_away()
        return Draft(dict(self.notes), self.drums, self.swells)

    # --- melody ------------------------------------------------------------------------------------------------

    def _lead(self, phrase: Phrase) -> Instrument:
        lead = self.cast.player("lead", self.how.valence, self.how.arousal)
        if phrase.idea == "contrast" and len(self.section.phrases) >= 4 and phrase.round % 2 == 1:
            return self.cast.counter
        return lead

    def _melody(self) -> None:
        rng = self.rng("melody")
        for i, phrase in enumerate(self.section.phrases):
            if phrase.idea == "interlude":
                continue
            instrument = self._lead(phrase)
            closing = accompaniment.chord_at(self.slots, (phrase.first_bar + phrase.bars) * self.form.meter - 0.01)[2]
            events = melody.phrase_events(self.motif, phrase, self.form.meter, self.how, self.section.key, closing, rng)
            harmonies = [(slot[0], slot[2]) for slot in self.slots]
            register = _sit(self.how.register + 2 * (phrase.idea == "contrast"), instrument)
            shift = register - self.how.register
            events = [melody.Event(e.onset, e.length, e.step, e.stress, e.pull + shift, e.goals) for e in events]
            line = melody.pitched(events, harmonies, self.section.key, self.how, instrument.low, instrument.high)
            sounds = []
            for k, (event, pitch) in enumerate(zip(events, line, strict=True)):
                breath = 0.85 if k == len(events) - 1 and not self._is_final(event.onset) else 1.0
                length = accompaniment.detached(event.length, self.how.gate) * breath
                sounds.append(Sound(event.onset, length, pitch, 3 * event.stress - 3))
                self.tune[event.onset] = pitch
            self._play("lead", instrument, sounds, phrase)
            if self.how.arousal > 0.55 and i % 2 == 1:
                octave = -12 if register > 66 else 12
                double = [s for s in sounds if self.cast.counter.low <= s.pitch + octave <= self.cast.counter.high]
                self._play(
                    "counter",
                    self.cast.counter,
                    [Sound(s.onset, s.length, s.pitch + octave, s.accent - 4) for s in double],
                    phrase,
                )

    # --- accompaniment -----------------------------------------------------------------------------------------

    def _accompany(self, i: int, phrase: Phrase) -> None:
        meter, how = self.form.meter, self.how
        figure_player = self.cast.player("figure", how.valence, how.arousal)
        low, high = max(43, figure_player.low), min(79, figure_player.high)
        centre = min(max(how.register - 11, low + 6), high - 6)
        voiced = accompaniment.voicings(self.slots, centre, 4 if how.arousal > -0.3 else 3, low, high)
        rng = Random(f"{self.seed} patterns {self.index} {i // 2}")
        figures, basses = accompaniment.FIGURES[meter], accompaniment.BASSES[meter]
        if i // 2 % 2:  # a pedal that never moves would be dull
            basses = tuple(line for line in basses if "P" not in line.steps)
        figure_pattern = accompaniment.choose(figures, how, rng)
        bass_pattern = accompaniment.choose(basses, how, rng)
        calm_end = self.last or (self.next is not None and self.next.character.arousal < how.arousal - 0.3)
        ending = i == len(self.section.phrases) - 1 and calm_end
        body = phrase.bars - 1 if ending else phrase.bars
        bass_player = self.cast.player("bass", how.valence, how.arousal)
        bass_low = max(bass_player.low, 31)
        for pattern, bass_line, first, bars in (
            (figure_pattern, bass_pattern, phrase.first_bar, body),
            (figures[0], basses[0], phrase.first_bar + body, phrase.bars - body),
        ):
            sounds = accompaniment.figure(pattern, self.slots, first, bars, meter, voiced, how.gate)
            self._play("figure", figure_player, sounds, phrase)
            tonic = self.section.key.tonic
            line = accompaniment.bass(bass_line, self.slots, first, bars, meter, tonic, bass_low, how.gate)
            self._play("bass", bass_player, line, phrase)

    def _pad_and_counter(self) -> None:
        how = self.how
        opening = self.index == 0 and len(self.section.phrases) > 1
        pad_player = self.cast.player("pad", how.valence, how.arousal)
        low, high = max(46, pad_player.low), min(76, pad_player.high)
        for i, phrase in enumerate(self.section.phrases):
            start, end = phrase.first_bar * self.form.meter, (phrase.first_bar + phrase.bars) * self.form.meter
            slots = [slot for slot in self.slots if start <= slot[0] < end]
            if not (opening and i == 0) and (how.arousal < 0.45 or self.cast.style.kit == percussion.ORCHESTRA_KIT):
                voiced = accompaniment.voicings(slots, min(max(how.register - 9, low + 5), high - 5), 3, low, high)
                self._play("pad", pad_player, accompaniment.pad(slots, voiced), phrase)
                self._swell(("pad", pad_player), phrase)
            sings = i % 2 == 1 or phrase.idea == "interlude"
            if sings and how.arousal <= 0.55:
                player = self.cast.counter
                top = round(min(player.high, how.register))
                line = accompaniment.counter(slots, self.tune, max(player.low, top - 15), max(top, player.low + 12))
                self._play("counter", player, line, phrase)
                self._swell(("counter", player), phrase)

    def _swell(self, player: Player, phrase: Phrase) -> None:
        """Let sustained voices grow towards the middle of the phrase and fade to its end."""
        start, span = phrase.first_bar * self.form.meter, phrase.bars * self.form.meter
        for k in range(2 * span):
            value = round(104 + 18 * math.sin(math.pi * k / (2 * span)))
            self.swells.append((self._tick(start + k / 2), player, value))

    def _die_away(self) -> None:
        """Let what is held in the final bar fade like something plucked."""
        start = (self.section.bars - 1) * self.form.meter
        span = self.form.meter + RING_S / self.section.quarter_s
        final = self._tick(start)
        self.swells = [swell for swell in self.swells if swell[0] < final or swell[1] not in self.notes]
        swelling = {player for _, player, _ in self.swells}
        for player in self.notes:
            loudest = 104 if player in swelling else 127
            steps = round(loudest * DYING_SHARE)  # one at a time: larger steps of the controller would be heard
            for k in range(steps + 1):
                self.swells.append((self._tick(start + span * k / steps), player, loudest - k))

    # --- percussion --------------------------------------------------------------------------------------------

    def _percussion(self) -> None:
        how, meter, rng = self.how, self.form.meter, self.rng("percussion")
        kit = self.cast.style.kit
        groove = percussion.choose(kit, self.cast.style.swing, meter, how, rng)
        before = self.form.sections[self.index - 1].character if self.index else None
        hits: list[Hit] = []
        if before and how.drive > 0.3 and how.arousal >= before.arousal - 0.1:
            hits += percussion.crash(0.0, kit, 0.55 + 0.35 * how.drive)
        rising = self.next is not None and self.next.character.arousal > how.arousal - 0.3
        for phrase in self.section.phrases:
            ends_section = phrase is self.section.phrases[-1]
            stop = 1 if ends_section and (self.last or not rising) else 0
            if groove:
                hits += percussion.strokes(groove, phrase.first_bar, phrase.bars - stop, meter)
            to_next = self.next.character.drive if self.next and ends_section else how.drive
            filling = (ends_section and rising) or (not ends_section and phrase.bars >= 4 and rng.random() < 0.6)
            if filling and max(how.drive, to_next) > 0.3:
                bar = phrase.first_bar + phrase.bars - 1
                new = percussion.fill(bar, meter, kit, how, rng)
                hits = [h for h in hits if h.onset < new[0].onset or h.key == percussion.KICK] + new
        if self.last and groove and how.drive > 0.35:
            hits += percussion.crash((self.section.bars - 1.0) * meter, kit, 0.6 + 0.3 * how.drive)
        for hit in hits:
            velocity = self._dynamics(hit.onset) * hit.strength
            tick = self._tick(self._swung(hit.onset))
            self.drums.append(Note(tick, TICKS // 8, hit.key, _velocity(velocity + self.human.gauss(0, 2.5))))

    # --- from quarters to ticks --------------------------------------------------------------------------------

    def _is_final(self, onset: float) -> bool:
        return self.last and onset >= self.last_bar

    def _swung(self, onset: float) -> float:
        return onset + SWING if self.cast.style.swing and onset % 1 == 0.5 else onset

    def _tick(self, quarters: float) -> int:
        return round((self.start + quarters) * TICKS)

    def _dynamics(self, onset: float) -> float:
        """Lean towards the loudness of the next section during the last bar."""
        into = (onset - self.last_bar) / self.form.meter
        return self.how.velocity + into * self.lean if into > 0 else self.how.velocity

    def _play(self, role: Role, player: Instrument, sounds: Sequence[Sound], phrase: Phrase) -> None:
        quarter_s = self.section.quarter_s
        start, span = phrase.first_bar * self.form.meter, phrase.bars * self.form.meter
        strum = STRUM_S / quarter_s * TICKS if player.name in PLUCKED else 0.0
        together: dict[float, int] = {}
        for sound in sounds:
            arch = 4.0 * math.sin(math.pi * (sound.onset - start) / span)
            base = self._dynamics(sound.onset) + EMPHASIS[role] + sound.accent + arch
            if role == "figure":
                base -= 7 * max(0.0, self.how.arousal)  # many short notes are loud enough
            order = together[sound.onset] = together.get(sound.onset, -1) + 1
            scatter = self.human.gauss(0, HUMAN_S) / quarter_s * TICKS if sound.onset else 0.0
            tick = max(0, self._tick(self._swung(sound.onset)) + round(scatter + strum * order))
            length = sound.length + (RING_S / quarter_s if self._is_final(sound.onset) else 0.0)
            velocity = _velocity(base + self.human.gauss(0, 2.5))
            self.notes[role, player].append(Note(tick, max(60, round(length * TICKS)), sound.pitch, velocity))


def _sit(register: float, instrument: Instrument) -> float:
    """Return the register an instrument sings in: near the wanted one, but within its comfortable middle."""
    middle = (instrument.low + instrument.high) / 2
    return max(middle - 9, min(middle + 9, register))


def _velocity(value: float) -> int:
    return max(12, min(127, round(value)))
