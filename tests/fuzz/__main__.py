"""Fuzzes with atheris (libFuzzer): `python -m tests.fuzz decode|config [--seconds N] [--corpus DIR]`.

What is found is written beside the corpus as crash-…, timeout-… or oom-…, and the exit code is not 0.
"""

from __future__ import annotations

import argparse
import importlib
import resource
import sys
from pathlib import Path

import atheris

INSTRUMENTED = ["engine.media", "engine.errors", "bot.config", "tomllib", "difflib", "tests.fuzz.targets"]
MEMORY_BYTES = 4 << 30
"""Room for the instrumented program; the product gives its child less."""
ONE_INPUT_S = 20
"""An input that takes longer is a finding; the product ends its child after 60 s."""
MOST_BYTES = {"decode": 65_536, "config": 8_192}


def main() -> None:
    """Write the seeds, then let atheris run."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", choices=sorted(MOST_BYTES))
    parser.add_argument("--seconds", type=int, default=300)
    parser.add_argument("--corpus", type=Path, default=None, help="kept between runs; by default fuzz-out/TARGET")
    arguments = parser.parse_args()
    target: str = arguments.target
    corpus: Path = arguments.corpus or Path("fuzz-out", target)
    corpus.mkdir(parents=True, exist_ok=True)
    # Both read their modules' code again, so that its branches are counted.
    with atheris.instrument_imports(include=INSTRUMENTED):
        targets = importlib.import_module("tests.fuzz.targets")
    for number, seed in enumerate(importlib.import_module("tests.fuzz.seeds").SEEDS[target]()):
        Path(corpus, f"seed-{number:02}").write_bytes(seed)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    options = [
        f"-max_total_time={arguments.seconds}",
        f"-timeout={ONE_INPUT_S}",
        f"-max_len={MOST_BYTES[target]}",
        f"-artifact_prefix={corpus.parent}/",
        "-rss_limit_mb=3072",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], *options, str(corpus)], targets.TARGETS[target])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
