"""The worker in audiocraft's environment: the same as everywhere, after audiocraft's surroundings are prepared."""

from __future__ import annotations

from engine.music.audiocraft.shims import prepare


def check() -> None:
    """Import what a job will need, so that a building environment is known to be whole."""
    prepare()
    import engine.music.audiocraft.generator
    import engine.pipeline

    assert engine.pipeline
    assert engine.music.audiocraft.generator


if __name__ == "__main__":
    prepare()
    from engine.worker import main

    main()
