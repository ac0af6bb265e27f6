"""Does music that is composed for stories follow them? Beats of stories, and what a listener hears in each beat.

Two kinds of story: sections of real tales, whose feeling stays near the middle of the plane, and texts put together
from single sentences so that their beats reach over the whole plane. Knows texts, composers and listeners.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray

from engine.emotion.beats import beats_of_sentences
from engine.emotion.beatwise import Listen, hear_by_beat
from engine.emotion.calibration import Calibration
from engine.emotion.curve import Beat, EmotionCurve
from engine.emotion.sentences import split
from engine.emotion.words import Words
from engine.evaluation.metrics import bootstrap_interval, pearson_r
from engine.media.recording import ANALYSIS_RATE_HZ
from engine.music.composer import Brief, Composer, Describer, Music
from engine.report import silent

SENTENCES = (6, 40)
"""A section of a tale is used when it has so many sentences."""
TURNS = 4
SENTENCES_A_TURN = 3
"""A text put together has so many turns, of so many sentences each."""
REACH = 0.65
"""Places on the music scale from which a text's turns are drawn; few sentences lie beyond."""

Scorer = Callable[[Sequence[str]], NDArray[np.float32]]
"""Texts → valence, arousal [n, 2 or more] on the text scale."""
Measure = Callable[[tuple[Beat, ...], NDArray[np.float32], int], float]
"""Beats, mono samples and number of a piece → share of random stories that would fit it worse."""


def tale_texts(tales: Sequence[Sequence[str]], count: int, seed: int) -> list[list[str]]:
    """Return the sentences of `count` random sections, at most one of a tale."""
    rng = np.random.default_rng(seed)
    found = []
    for tale in rng.permutation(len(tales)).tolist():
        fitting = [sentences for sentences in map(split, tales[tale]) if SENTENCES[0] <= len(sentences) <= SENTENCES[1]]
        if fitting:
            found.append(list(fitting[int(rng.integers(len(fitting)))]))
    return found[:count]


def plane_texts(sentences: Sequence[str], places: NDArray[np.float32], count: int, seed: int) -> list[list[str]]:
    """Return `count` texts of TURNS turns, each of the sentences nearest to a random place; `places` [n, 2] are the
    sentences' own on the music scale. No sentence is used twice."""
    rng = np.random.default_rng(seed)
    free = np.ones(len(sentences), dtype=np.bool_)
    texts = []
    for _ in range(count):
        text: list[str] = []
        for target in rng.uniform(-REACH, REACH, (TURNS, 2)):
            distance = np.where(free, np.hypot(*(places - target).T), np.inf)
            near = np.argsort(distance, kind="stable")[:SENTENCES_A_TURN]
            free[near] = False
            text += [sentences[i] for i in near]
        texts.append(text)
    return texts


def beats_of(texts: Sequence[Sequence[str]], seconds: float, scorer: Scorer) -> list[tuple[Beat, ...]]:
    """Return the beats of each text, given as its sentences, as `compose` finds them."""
    words, calibration = Words.load(), Calibration.load()
    return [
        beats_of_sentences(
            calibration.to_music(scorer(text)[:, :2]), [len(one) for one in text], seconds, words, calibration
        )
        for text in texts
    ]


@dataclass(frozen=True, eq=False)
class Followed:
    """Wanted and heard (valence, arousal) of every beat, [n, 2] each, and the number of the piece it belongs to.

    `better` has the share of random stories that fit worse, one for each piece, or is empty.
    """

    wanted: NDArray[np.float64]
    heard: NDArray[np.float64]
    piece: tuple[int, ...]
    better: tuple[float, ...] = ()

    def r(self, axis: int) -> float:
        """Pearson r over all beats; axis 0 is valence, 1 arousal."""
        return pearson_r(self.wanted[:, axis], self.heard[:, axis])

    def interval(self, axis: int, seed: int) -> tuple[float, float]:
        """95 % interval of `r`, by a bootstrap that draws whole pieces."""
        return bootstrap_interval(pearson_r, self.wanted[:, axis], self.heard[:, axis], groups=self.piece, seed=seed)

    def mae(self, axis: int) -> float:
        """Mean absolute difference of wanted and heard."""
        return float(np.abs(self.wanted[:, axis] - self.heard[:, axis]).mean())

    def constant_mae(self, axis: int) -> float:
        """The same when every beat were heard as the mean of what was wanted."""
        return float(np.abs(self.wanted[:, axis] - self.wanted[:, axis].mean()).mean())


def follow(
    stories: Sequence[tuple[Beat, ...]],
    composer: Composer,
    describer: Describer,
    listen: Listen,
    seconds: float,
    say: Callable[[int], None] = lambda _: None,
    measure: Measure | None = None,
) -> Followed:
    """Compose for each story (the seed is its number), and hear each beat. `say` is told how many are done."""
    wanted, heard, piece, better = [], [], [], []
    for number, beats in enumerate(stories):
        description = describer.describe(beats, "", number)
        mono = as_heard(composer.compose(Brief(description, beats, seconds, number), silent))
        curve = hear_by_beat(mono, beats, listen)
        if measure is not None:
            better.append(measure(beats, mono, number))
        for beat in beats:
            wanted.append((beat.valence, beat.arousal))
            heard.append(curve.mean_between(beat.start_s, beat.end_s))
            piece.append(number)
        say(number + 1)
    return Followed(np.array(wanted), np.array(heard), tuple(piece), tuple(better))


def as_heard(music: Music) -> NDArray[np.float32]:
    """Return finished music as the models take it: mono at `ANALYSIS_RATE_HZ`."""
    mono: NDArray[np.float32] = soxr.resample(music.samples.mean(axis=1), music.rate_hz, ANALYSIS_RATE_HZ)
    return mono.astype(np.float32)


def hear(music: Music, listen: Listen) -> EmotionCurve:
    """Return what the listener hears in finished music."""
    return listen(as_heard(music))
