"""No secret reaches the log, wherever it stands in a line or trace."""

from __future__ import annotations

import io
import logging

import pytest

from bot.logs import HIDDEN, QUIET, Redacting, set_up

TELEGRAM = "123456789:AAF-abcdefghijklmnopqrstuvwxyz_0123"
DISCORD = "MTk4NjIyNDgzNDcxOTI1MjQ4.Cl2FMQ.ZnCjm1XVW7vRze4b7Cq4se7kKWs"


@pytest.fixture
def log() -> tuple[logging.Logger, io.StringIO]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(Redacting(["hunter2", ""]))
    logger = logging.getLogger("tests.redacted")
    logger.handlers, logger.propagate = [handler], False
    logger.setLevel(logging.DEBUG)
    return logger, stream


@pytest.mark.parametrize("secret", ["hunter2", TELEGRAM, DISCORD])
def test_secrets_are_hidden(log: tuple[logging.Logger, io.StringIO], secret: str) -> None:
    logger, stream = log
    logger.info("POST https://api.telegram.org/bot%s/getMe", secret)
    logger.debug("headers %r", {"Authorization": f"Bot {secret}"})
    try:
        raise RuntimeError(f"failed with {secret}")
    except RuntimeError:
        logger.exception("it broke")
    said = stream.getvalue()
    assert secret not in said and said.count(HIDDEN) >= 3 and "getMe" in said and "Traceback" in said


def test_plain_lines_stay_as_they_are(log: tuple[logging.Logger, io.StringIO]) -> None:
    logger, stream = log
    logger.info("job 12 took 3.5 s at 12:30:45, see https://a.example/x")
    assert stream.getvalue().endswith("job 12 took 3.5 s at 12:30:45, see https://a.example/x\n")


def test_set_up_covers_every_handler_and_quiets_chatter(monkeypatch: pytest.MonkeyPatch) -> None:
    root, stream = logging.getLogger(), io.StringIO()
    monkeypatch.setattr(root, "handlers", [logging.StreamHandler(stream)])
    level = root.level
    try:
        set_up(["hunter2"])
        logging.getLogger("tests.any").info("hunter2")
        assert stream.getvalue().strip().endswith(HIDDEN)
        assert all(logging.getLogger(name).level == logging.WARNING for name in QUIET)
    finally:
        root.setLevel(level)
        for name in QUIET:
            logging.getLogger(name).setLevel(logging.NOTSET)
