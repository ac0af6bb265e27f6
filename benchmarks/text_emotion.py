"""Text emotion: speed beside the plain forward of transformers.

    python -m benchmarks text_emotion

Quality is measured by `tunetale evaluate text-emotion`.
"""

from __future__ import annotations

import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch

from engine.emotion.encoder import EMBEDDED, encoder_folder
from engine.emotion.text import TextEmotion

THREADS, SENTENCES, WORDS, ROUNDS = 2, 256, 20, 5
_VOCABULARY = (
    "the a old king queen fox river forest house child mother wolf night morning song storm light dark tree bird "
    "and then she he they saw heard loved feared found lost ran cried laughed slept died walked sang with under over "
    "into from happy sad quiet angry lonely bright cold warm little great slowly suddenly never always again"
)


def sentences(count: int, seed: int = 0) -> list[str]:
    """Return `count` different sentences of about WORDS words (± 5)."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(WORDS - 5, WORDS + 6, size=count)
    return [" ".join(rng.choice(_VOCABULARY.split(), size=length)).capitalize() + "." for length in lengths]


def best_s(function: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Return the shortest of `rounds` times, in seconds, after one that does not count."""
    function()
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        function()
        times.append(time.perf_counter() - started)
    return min(times)


def plain_transformers() -> Callable[[Sequence[str]], object]:
    """Return the usual way: AutoTokenizer with padding, AutoModel in float32, batches of 32."""
    from transformers import AutoModel, AutoTokenizer

    folder = encoder_folder(EMBEDDED)
    tokenizer: Callable[..., dict[str, torch.Tensor]] = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder).eval()

    def forward(texts: Sequence[str]) -> None:
        with torch.inference_mode():
            for first in range(0, len(texts), 32):
                batch = list(texts[first : first + 32])
                model(**tokenizer(batch, padding=True, truncation=True, max_length=128, return_tensors="pt"))

    return forward


def speed() -> None:
    """Print the speed table."""
    torch.set_num_threads(THREADS)
    many, ours, theirs = sentences(SENTENCES), TextEmotion.load(), plain_transformers()
    half, exact = TextEmotion.load(dtype=torch.bfloat16), TextEmotion.load(dtype=torch.float32)
    print(
        f"{SENTENCES} sentences of about {WORDS} words, {THREADS} threads, best of {ROUNDS} ({platform.processor()})\n"
    )
    print("| way | sentences/s | one sentence, ms |\n|---|---|---|")
    ways: tuple[tuple[str, Callable[[Sequence[str]], object]], ...] = (
        ("TuneTale (fastest precision here)", ours.score),
        ("TuneTale, bfloat16", half.score),
        ("TuneTale, float32", exact.score),
        ("transformers, float32, encoder alone", theirs),
    )
    for name, way in ways:
        batch = best_s(lambda way=way: way(many), 3)  # type: ignore[misc]
        one = best_s(lambda way=way: way(many[:1]), 20)  # type: ignore[misc]
        print(f"| {name} | {SENTENCES / batch:.0f} | {one * 1e3:.1f} |")
    story = "大家高興地唱歌，可是天黑了，風暴來了。" * 10
    print(f"| Chinese lexicon (190 characters) | – | {best_s(lambda: ours.score([story]), 20) * 1e3:.2f} |")


def cold() -> None:
    """Print how long a new process takes until it can score."""
    code = "from engine.emotion.text import TextEmotion; TextEmotion.load().score(['Hello.'])"
    times = []
    for _ in range(3):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        times.append(time.perf_counter() - started)
    print(f"\nCold start, import to first score: {statistics.median(times):.1f} s (median of 3)")


def main() -> None:
    """Print all tables."""
    speed()
    cold()


if __name__ == "__main__":
    main()
