"""Language models on this machine, tried with tiny ones that load from disk as any other does."""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import pytest
import torch

from engine.errors import Cancelled, Transient, UserError
from engine.settings import LlamaSettings, WritingSettings
from engine.story import llama as llama_module
from engine.story.chat import Ask, Message
from engine.story.llama import LlamaChat
from engine.story.parse import parse_story
from tests.fakes.tiny_llama import PARAGRAPHS, PIECES, random_llama, reciting_llama

Batching = Literal["continuous", "windowed"]
WAIT_S = 60.0


@pytest.fixture(scope="module")
def random_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_llama(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def reciting_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return reciting_llama(tmp_path_factory.mktemp("models"))


@pytest.fixture(params=["continuous", "windowed"])
def batching(request: pytest.FixtureRequest) -> Batching:
    found: Batching = request.param
    return found


Load = Callable[..., LlamaChat]


def make(folder: Path, batching: str = "windowed", temperature: float = 0.9, **settings: Any) -> LlamaChat:
    llama = LlamaSettings(model=str(folder), batching=batching, device="cpu", **settings)  # type: ignore[arg-type]
    return LlamaChat.load(llama, WritingSettings(temperature=temperature))


@pytest.fixture
def load() -> Iterator[Load]:
    """Load a model of the test's own; it is closed after the test."""
    chats: list[LlamaChat] = []

    def _load(*arguments: Any, **settings: Any) -> LlamaChat:
        chats.append(make(*arguments, **settings))
        return chats[-1]

    yield _load
    for chat in chats:
        chat.close()


@pytest.fixture(scope="module")
def shared(random_folder: Path) -> Iterator[Callable[[str], LlamaChat]]:
    """A random model for the tests that leave it as it is: loading and ending take a second."""
    chats: dict[str, LlamaChat] = {}

    def _shared(batching: str) -> LlamaChat:
        if batching not in chats:
            chats[batching] = make(random_folder, batching, batch=4)
        return chats[batching]

    yield _shared
    for chat in chats.values():
        chat.close()


def ask(text: str = "Write.", seed: int = 1, tokens: int = 24) -> Ask:
    return Ask((Message("system", "You write."), Message("user", text)), seed, tokens)


def ignore(share: float) -> None:
    pass


def test_a_model_recites_what_it_knows(reciting_folder: Path, load: Load, batching: Batching) -> None:
    chat = load(reciting_folder, batching)
    assert chat.name == "transformers/reciting-llama"
    assert chat.batching == batching
    assert chat.write([ask(), ask("A longer request.", 2)], ignore) == ["".join(PIECES)] * 2


def test_both_ways_of_batching_draw_the_same(shared: Load) -> None:
    asks = [ask("Write." * n, seed=n) for n in range(1, 6)]
    windowed = shared("windowed").write(asks, ignore)
    assert len(set(windowed)) == 5
    assert shared("continuous").write(asks, ignore) == windowed


def test_a_seed_draws_the_same_alone_and_in_company(shared: Load, batching: Batching) -> None:
    chat = shared(batching)
    alone = chat.write([ask(seed=5)], ignore)[0]
    with ThreadPoolExecutor(4) as threads:
        jobs = [threads.submit(chat.write, [ask("Other.", seed=n), ask(seed=5)], ignore) for n in range(4)]
        assert {job.result(WAIT_S)[1] for job in jobs} == {alone}
    assert chat.write([ask(seed=6)], ignore)[0] != alone
    state = torch.get_rng_state()
    chat.write([ask(seed=5)], ignore)
    assert torch.equal(torch.get_rng_state(), state)


def test_temperature_zero_takes_the_likeliest(random_folder: Path, load: Load, batching: Batching) -> None:
    chat = load(random_folder, batching, temperature=0.0)
    assert len(set(chat.write([ask(seed=n) for n in range(3)], ignore))) == 1


def test_each_text_has_its_own_length(shared: Load, batching: Batching) -> None:
    long, short = shared(batching).write([ask(tokens=40), ask(tokens=5)], ignore)
    assert long.startswith(short.rstrip("\ufffd"))
    assert len(long) > len(short) > 0


def test_progress_is_told(shared: Load, batching: Batching) -> None:
    shares: list[float] = []
    shared(batching).write([ask(tokens=300)], shares.append)
    assert shares[-1] == 1.0
    assert shares == sorted(shares)
    assert all(0.0 <= share <= 1.0 for share in shares)


def test_cancel_lets_go_and_the_next_job_goes_on(shared: Load, batching: Batching) -> None:
    chat = shared(batching)
    before = chat.write([ask(seed=9)], ignore)
    begun = threading.Event()

    def stop_when_begun(share: float) -> None:
        if share > 0:
            begun.set()
            raise Cancelled

    with ThreadPoolExecutor(2) as threads:
        doomed = threads.submit(chat.write, [ask(seed=n, tokens=7_000) for n in range(3)], stop_when_begun)
        assert begun.wait(WAIT_S)
        assert chat.write([ask(seed=9)], ignore) == before
        with pytest.raises(Cancelled):
            doomed.result(WAIT_S)


@pytest.mark.parametrize("fits", [2, 1])
def test_the_batch_is_halved_until_it_fits(
    random_folder: Path,
    shared: Load,
    load: Load,
    batching: Batching,
    fits: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    logging.getLogger("ContinuousBatchingLogger").setLevel(logging.CRITICAL)
    asks = [ask(seed=n) for n in range(4)]
    expected = shared(batching).write(asks, ignore)
    chat = load(random_folder, batching, batch=4)
    limit_memory(chat, fits)
    assert chat.write(asks, ignore) == expected
    assert "out of memory with 4 texts at once; trying 2" in caplog.text


def test_when_not_even_one_text_fits_it_may_be_tried_later(random_folder: Path, load: Load, batching: Batching) -> None:
    logging.getLogger("ContinuousBatchingLogger").setLevel(logging.CRITICAL)
    chat = load(random_folder, batching, batch=2)
    restore = limit_memory(chat, 0)
    with pytest.raises(Transient, match="not enough free memory") as caught:
        chat.write([ask(seed=1), ask(seed=2)], ignore)
    assert caught.value.code == "out_of_memory"
    restore()
    assert len(chat.write([ask(seed=1), ask(seed=2)], ignore)) == 2


def test_a_bug_in_the_model_fails_its_jobs_and_not_the_next(
    random_folder: Path, load: Load, batching: Batching
) -> None:
    logging.getLogger("ContinuousBatchingLogger").setLevel(logging.CRITICAL)
    chat = load(random_folder, batching)
    model = model_of(chat)
    forward = model.forward

    def broken(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("shapes do not match")

    model.forward = broken
    with pytest.raises(RuntimeError, match="shapes do not match"):
        chat.write([ask()], ignore)
    model.forward = forward
    assert chat.write([ask()], ignore)[0]


def limit_memory(chat: LlamaChat, texts: int) -> Callable[[], None]:
    """Let the model run out of memory with more than so many texts at once."""
    model = model_of(chat)
    forward = model.forward

    def limited(*args: Any, **kwargs: Any) -> Any:
        keep = kwargs.get("logits_indices")  # one for each text of a continuous batch
        rows = keep.numel() if isinstance(keep, torch.Tensor) else kwargs["input_ids"].shape[0]
        if rows > texts:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
        return forward(*args, **kwargs)

    model.forward = limited
    return lambda: setattr(model, "forward", forward)


def model_of(chat: LlamaChat) -> Any:
    return chat._runner._model  # type: ignore[attr-defined]


# --- what is chosen, and what is said of it ----------------------------------------------------------------------


def test_auto_takes_windows_on_a_processor_and_says_so(
    random_folder: Path, load: Load, caplog: pytest.LogCaptureFixture
) -> None:
    assert load(random_folder, "auto").batching == "windowed"
    assert "is not batched continuously, but in windows: on a processor" in caplog.text


def test_a_model_that_cannot_be_batched_continuously(
    random_folder: Path, load: Load, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*args: Any, **kwargs: Any) -> Any:
        raise ValueError("attention is not supported")

    monkeypatch.setattr("transformers.LlamaForCausalLM.init_continuous_batching", broken)
    with pytest.raises(UserError, match=r"ValueError: attention is not supported.*set batching to auto"):
        load(random_folder, "continuous")
    monkeypatch.setattr(llama_module, "fast_on", lambda device: True)
    chat = load(random_folder, "auto")
    assert chat.batching == "windowed"
    assert "attention is not supported" in caplog.text
    assert chat.write([ask()], ignore)[0]


def test_a_model_that_is_batched_wrongly_is_found_out(
    random_folder: Path, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transformers.LlamaForCausalLM.generate", lambda *args, **kwargs: kwargs["input_ids"])
    with pytest.raises(UserError, match="does not continue a trial text as the model itself does"):
        load(random_folder, "continuous")


# --- chat templates and lengths ----------------------------------------------------------------------------------


def copy_of(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "model"))


def test_a_template_without_a_system_gets_it_with_the_request(
    reciting_folder: Path, tmp_path: Path, load: Load
) -> None:
    folder = copy_of(reciting_folder, tmp_path)
    template = folder / "chat_template.jinja"
    refusing = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    template.write_text(refusing + template.read_text())
    chat = load(folder)
    assert chat.write([ask("Write.")], ignore) == ["".join(PIECES)]
    text = chat._tokenizer.decode(chat._ids(ask("Write.").messages))
    assert "user<|end_header_id|>\n\nYou write.\n\nWrite." in text


def test_a_story_that_does_not_fit_the_context(shared: Load) -> None:
    chat = shared("windowed")
    with pytest.raises(UserError, match="takes 8192 tokens; please ask for fewer words") as caught:
        chat.write([ask("a lamp " * 8_000)], ignore)
    assert caught.value.code == "too_long_story"
    assert chat.write([ask("ab" * 4_040, tokens=4_000)], ignore)[0]  # as long as there is room


def test_the_recited_text_is_a_story() -> None:
    draft = parse_story("".join(PIECES), 3, 50, "en")
    assert (draft.paragraphs, draft.problem) == (PARAGRAPHS, "")
