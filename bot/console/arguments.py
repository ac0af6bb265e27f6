"""The words of the command line. Knows what can be typed; does nothing."""

from __future__ import annotations

import argparse
from pathlib import Path

from engine.dispatch import OneSentenceParser
from engine.jobs import VERSION
from engine.music.composer import SECONDS
from engine.story.storyteller import CANDIDATES, WORDS


def parser() -> argparse.ArgumentParser:
    """Return the parser of `tunetale`. Its `parse_args` raises `UserError` on a mistake."""
    main = OneSentenceParser(
        prog="tunetale",
        description="Turns music into an emotionally similar story, and a story into emotionally similar music.",
    )
    main.add_argument("--version", action="version", version=f"TuneTale {VERSION}")
    commands = main.add_subparsers(dest="command", required=True, metavar="COMMAND")

    common = OneSentenceParser(add_help=False)
    common.add_argument("--config", type=Path, metavar="FILE", help="configuration (default: config.toml if present)")
    common.add_argument("--store", type=Path, metavar="FILE", help="keep jobs and results in this store")

    made = OneSentenceParser(add_help=False)
    made.add_argument("--seed", type=int, metavar="N", help="same input and seed, same result")
    made.add_argument("--out", type=Path, metavar="DIR", help="where the files go (default: ./tunetale-out/…)")
    made.add_argument("--json", action="store_true", help="print the result as JSON on stdout")

    story = commands.add_parser("story", parents=[common, made], help="music in, story out")
    story.add_argument("sources", nargs="+", metavar="SOURCE", help="audio files, folders or http(s) links")
    story.add_argument("--language", default="en", metavar="LANG", help="en (default) or zh-TW")
    low, high = WORDS["en"]
    low_zh, high_zh = WORDS["zh-TW"]
    story.add_argument(
        "--words", type=int, metavar="N", help=f"length: {low}–{high} words, for zh-TW {low_zh}–{high_zh} characters"
    )
    story.add_argument(
        "--candidates",
        type=int,
        metavar="N",
        help="write {}–{} stories, keep one (default: as configured; fragments 1)".format(*CANDIDATES),
    )
    story.add_argument("--title", metavar="T", help="title of the story")
    story.add_argument("--then-compose", action="store_true", help="compose from the story too, and tell the drift")

    compose = commands.add_parser("compose", parents=[common, made], help="story in, music out")
    compose.add_argument("text", nargs="?", metavar="TEXT", help="the story; - reads it from stdin")
    compose.add_argument("--file", type=Path, metavar="F", help="read the story from a file")
    compose.add_argument(
        "--seconds", type=float, default=60.0, metavar="N", help="length: {:g}–{:g} (default 60)".format(*SECONDS)
    )
    compose.add_argument("--format", default="ogg", metavar="F", help="ogg (default), mp3, wav or flac")
    compose.add_argument("--then-story", action="store_true", help="tell the music's story too, and tell the drift")

    emotion = commands.add_parser("emotion", parents=[common], help="the emotion of music or text in numbers")
    emotion.add_argument("sources", nargs="*", metavar="SOURCE", help="audio files, folders or http(s) links")
    emotion.add_argument("--text", metavar="TEXT", help="score the sentences of this text")
    emotion.add_argument("--text-file", type=Path, metavar="F", help="score the sentences of this file; - for stdin")
    emotion.add_argument("--lines", action="store_true", help="one text per line, one row per line")
    form = emotion.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON on stdout")
    form.add_argument("--csv", action="store_true", help="print CSV on stdout")

    run = commands.add_parser("run", parents=[common], help="the bots and the engine")
    run.add_argument("--until-idle", action="store_true", help="finish what is in the store, then end")

    stats = commands.add_parser("stats", parents=[common], help="what people's votes say")
    shape = stats.add_mutually_exclusive_group()
    shape.add_argument("--json", action="store_true", help="print JSON on stdout")
    shape.add_argument("--csv", type=Path, metavar="F", help="write all answers to a table; people are hashes")
    stats.add_argument("--plots", type=Path, metavar="DIR", help="draw the pictures there")
    stats.add_argument("--consented", action="store_true", help="only what people agreed to have learned from")

    doctor = commands.add_parser("doctor", parents=[common], help="check this installation")
    doctor.add_argument("--no-jobs", action="store_true", help="only look, run nothing")
    doctor.add_argument("--deep", action="store_true", help="also run the neural backends, with tiny models")

    models = commands.add_parser("models", help="fetch models of the hub, or list those that are locked")
    deeds = models.add_subparsers(dest="deed", required=True, metavar="DEED")
    bring = deeds.add_parser("fetch", parents=[common], help="download models and lock their commits and hashes")
    bring.add_argument("names", nargs="*", metavar="NAME", help="hub names (default: those that the settings use)")
    bring.add_argument("--revision", metavar="REV", help="branch, tag or commit (default: the locked one, or main)")
    bring.add_argument("--update", action="store_true", help="bring the newest commit instead of the locked one")
    bring.add_argument("--audiocraft", action="store_true", help="MusicGen as audiocraft reads it")
    shown = deeds.add_parser("list", parents=[common], help="what is locked, and whether it is here")
    shown.add_argument("--check", action="store_true", help="read every file and compare its hash")

    setup = commands.add_parser("setup", parents=[common], help="install what is optional")
    setup.add_argument("what", choices=["audiocraft"], metavar="audiocraft", help="MusicGen through Meta's own library")
    setup.add_argument("--torch-index", default="", metavar="URL", help="package index for torch (CPU or CUDA builds)")
    setup.add_argument("--index", default="", metavar="URL", help="package index for everything else")

    for name, described, what in (
        (
            "backup",
            "copy the store and its files into one archive, also beside a running bot",
            "an archive, or a folder of dated ones",
        ),
        ("restore", "put a backup in the place of the store", "an archive that `tunetale backup` wrote"),
    ):
        kept = commands.add_parser(name, parents=[common], help=described)
        kept.add_argument("file", type=Path, metavar="F", help=what)

    for name, described in (
        ("train", "train a model of this project"),
        ("evaluate", "measure a model or a backend of this project"),
    ):  # what follows is read by the program that is started, options and all: nothing here begins an option
        program = commands.add_parser(name, help=described, add_help=False, prefix_chars="\0")
        program.add_argument("rest", nargs=argparse.REMAINDER, metavar="WHAT …")
    return main
