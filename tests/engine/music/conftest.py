"""A composer in windows, for the modules that bring a fixture `load`. Imports no library at run time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from engine.music.windowed import WindowedComposer
    from tests.engine.music.composing import Load


@pytest.fixture(scope="module")
def composer(load: Load) -> Iterator[WindowedComposer]:
    composer = load()
    yield composer
    composer.close()


@pytest.fixture
def gathering(load: Load) -> Iterator[WindowedComposer]:
    """Waits for two windows before it starts."""
    composer = load(batch=2, wait_s=60.0)
    yield composer
    composer.close()
