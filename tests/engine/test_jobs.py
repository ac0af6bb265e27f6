"""The JSON of requests: what an older version has written stays readable."""

from __future__ import annotations

import json

import pytest

from engine.jobs import ComposeRequest, FileSource, Request, StoryRequest, request_from_json, request_to_json


@pytest.mark.parametrize(
    ("written", "request_"),
    [
        ({"kind": "compose", "text": "Rain.", "seconds": 30.0, "seed": None, "format": "mp3"},
         ComposeRequest("Rain.", 30.0, None, "mp3")),
        ({"kind": "compose", "text": "Rain."}, ComposeRequest("Rain.")),
        ({"kind": "story", "source": {"type": "file", "path": "/a", "name": "b"}, "language": "en", "words": None,
          "seed": 4, "candidates": None, "title": None}, StoryRequest(FileSource("/a", "b"), seed=4)),
    ],
)  # fmt: skip
def test_older_requests_are_read(written: dict[str, object], request_: Request) -> None:
    assert request_from_json(json.dumps(written)) == request_


@pytest.mark.parametrize("sketches", [None, 1, 3])
def test_a_request_comes_back_as_it_was(sketches: int | None) -> None:
    asked = ComposeRequest("很久以前 🎵", 20.0, 2**32 - 1, "flac", sketches, 10 << 20)
    assert request_from_json(request_to_json(asked)) == asked
