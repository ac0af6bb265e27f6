"""How varied and how well fitting are the stories? Tells stories for random smooth courses of feeling and counts.

Knows prompts, stories and a judge that scores texts. The judge here is TuneTale's own text model, the one that also
scored the fragments: it finds faults of the search, it is no independent opinion.

Run: `python -m engine.evaluation.storyteller [--pieces 100] [--language en|zh-TW] [--words N] [--show N]`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from engine.emotion.calibration import Calibration
from engine.emotion.curve import Beat
from engine.emotion.sentences import split
from engine.emotion.setting import Setting
from engine.emotion.text import TextEmotion
from engine.evaluation.metrics import pearson_r
from engine.jobs import Language
from engine.report import silent
from engine.story.embedded import EmbeddedStoryteller
from engine.story.storyteller import Prompt, Story, Storyteller
from engine.story.wording import count_words

Judge = Callable[[Sequence[str]], NDArray[np.float32]]
"""Texts -> [n, 2 or more], valence and arousal first, on the text scale."""

CAVEAT = "Judged by TuneTale's own text model, which is no independent judge."
DEFAULT_WORDS: dict[Language, int] = {"en": 250, "zh-TW": 420}


@dataclass(frozen=True)
class Figures:
    """What was counted; shares in [0, 1], distances on the text scale."""

    stories: int
    commonest_share: float
    commonest: str
    repeats_inside: int
    distinct2_overall: float
    distinct2_within: float
    titles_share: float
    distance: float
    valence_r: float
    arousal_r: float
    length_error: float
    slowest_s: float


def random_prompt(seed: int, language: Language, words: int) -> Prompt:
    """Return a prompt for 3 to 10 beats whose feeling follows a slow wave, like that of a piece of music."""
    rng = np.random.default_rng(seed)
    beats = int(rng.integers(3, 11))
    calibration = Calibration.load()
    place = np.linspace(0, 1, beats)
    axes = [
        rng.uniform(-0.7, 0.7)
        + rng.uniform(0.5, 1.3) * np.sin(2 * np.pi * (rng.uniform(0.3, 1.3) * place + rng.random()))
        for _ in range(2)
    ]
    music = np.clip(np.stack(axes, axis=1) * calibration.music.sd + calibration.music.mean, -1, 1)
    borders = np.concatenate([[0.0], np.cumsum(rng.uniform(12, 40, beats))])
    return Prompt(
        beats=tuple(
            Beat(float(borders[i]), float(borders[i + 1]), float(music[i, 0]), float(music[i, 1]), "target")
            for i in range(beats)
        ),
        targets=tuple((float(v), float(a)) for v, a in calibration.to_text(music)),
        language=language,
        words=words,
        seed=seed,
        setting=Setting(float(rng.uniform(60, 170)), *(float(value) for value in rng.random(3))),
    )


def measure(storyteller: Storyteller, judge: Judge, prompts: Sequence[Prompt]) -> tuple[Figures, list[Story]]:
    """Tell one story for each prompt and count."""
    stories, seconds = [], []
    for prompt in prompts:
        begin = time.perf_counter()
        stories.append(storyteller.tell(prompt, silent)[0])
        seconds.append(time.perf_counter() - begin)
    sentences = [[sentence for text in story.paragraphs for sentence in split(text)] for story in stories]
    used = Counter(sentence for found in sentences for sentence in set(found))
    commonest, times = used.most_common(1)[0]
    heard = np.concatenate([judge(story.twin or story.paragraphs)[:, :2] for story in stories]).astype(np.float64)
    wanted = np.concatenate([np.array(prompt.targets) for prompt in prompts])
    lengths = [sum(count_words(text, story.language) for text in story.paragraphs) for story in stories]
    bigrams = [_bigrams(story) for story in stories]
    return (
        Figures(
            stories=len(stories),
            commonest_share=times / len(stories),
            commonest=commonest,
            repeats_inside=sum(len(found) - len(set(found)) for found in sentences),
            distinct2_overall=_distinct([pair for found in bigrams for pair in found]),
            distinct2_within=float(np.mean([_distinct(found) for found in bigrams])),
            titles_share=len({story.title for story in stories}) / len(stories),
            distance=float(np.linalg.norm(heard - wanted, axis=1).mean()),
            valence_r=pearson_r(wanted[:, 0], heard[:, 0]),
            arousal_r=pearson_r(wanted[:, 1], heard[:, 1]),
            length_error=float(np.mean([abs(n / p.words - 1) for n, p in zip(lengths, prompts, strict=True)])),
            slowest_s=max(seconds),
        ),
        stories,
    )


def _bigrams(story: Story) -> list[tuple[str, str]]:
    """Return pairs of neighbouring words (Chinese: characters) within paragraphs."""
    pairs: list[tuple[str, str]] = []
    for text in story.paragraphs:
        if story.language == "en":
            units = [word.strip("“”‘’.,;:!?—").lower() for word in text.split()]
        else:
            units = [character for character in text if character.isalnum()]
        pairs += pairwise(units)
    return pairs


def _distinct(pairs: Sequence[tuple[str, str]]) -> float:
    """Distinct-2 (Li et al. 2016, NAACL): share of different pairs."""
    return len(set(pairs)) / len(pairs) if pairs else float("nan")


def print_figures(figures: Figures, console: Console) -> None:
    """Print one table."""
    table = Table("measure", "value", title=f"{figures.stories} stories")
    table.add_row("commonest sentence, share of stories", f"{figures.commonest_share:.1%}")
    table.add_row("  which is", figures.commonest)
    table.add_row("repeated sentences inside stories", str(figures.repeats_inside))
    table.add_row("distinct-2 over all", f"{figures.distinct2_overall:.3f}")
    table.add_row("distinct-2 within a story", f"{figures.distinct2_within:.3f}")
    table.add_row("different titles", f"{figures.titles_share:.0%}")
    table.add_row("mean distance of paragraphs to targets", f"{figures.distance:.3f}")
    table.add_row("pooled r, valence", f"{figures.valence_r:.2f}")
    table.add_row("pooled r, arousal", f"{figures.arousal_r:.2f}")
    table.add_row("mean error in length", f"{figures.length_error:.1%}")
    table.add_row("slowest story", f"{figures.slowest_s:.2f} s")
    console.print(table)


def main(arguments: Sequence[str]) -> int:
    """Run the evaluation from a command line."""
    parser = argparse.ArgumentParser(prog="engine.evaluation.storyteller", description=__doc__)
    parser.add_argument("--pieces", type=int, default=100)
    parser.add_argument("--language", choices=sorted(DEFAULT_WORDS), default="en")
    parser.add_argument("--words", type=int, default=None)
    parser.add_argument("--show", type=int, default=0, help="print so many of the stories")
    asked = parser.parse_args(arguments)
    words = asked.words or DEFAULT_WORDS[asked.language]
    model = TextEmotion.load()
    prompts = [random_prompt(seed, asked.language, words) for seed in range(asked.pieces)]
    figures, stories = measure(EmbeddedStoryteller.load(), lambda texts: model.score(texts).values, prompts)
    console = Console(highlight=False)
    for prompt, story in zip(prompts[: asked.show], stories, strict=False):
        console.print(f"\n[bold]{story.title}[/bold] (seed {prompt.seed})")
        for (valence, arousal), text in zip(prompt.targets, story.paragraphs, strict=True):
            console.print(f"[dim]{valence:+.2f} {arousal:+.2f}[/dim] {text}")
    console.print(CAVEAT)
    print_figures(figures, console)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
