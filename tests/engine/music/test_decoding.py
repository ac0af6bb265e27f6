"""The fast steps make the codes that the library's own `generate` makes; and they can be recorded and replayed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import MusicgenForConditionalGeneration

from benchmarks.gpu import GUIDANCE, asked_of, eager_codes
from engine.music import decoding
from engine.music.decoding import Decoder, Step
from engine.music.musicgen import encoded
from engine.music.picking import greedy, sampling, seed_states
from engine.tiny.musicgen import save_tiny_musicgen

FRAMES = 30


@pytest.fixture(scope="module", params=[False, True], ids=["mono", "stereo"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = save_tiny_musicgen(tmp_path_factory.mktemp("tiny") / "model", stereo=request.param)
    model: Any = MusicgenForConditionalGeneration.from_pretrained(folder)
    return model.eval()


@pytest.fixture(autouse=True)
def short_spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Several spans within a few steps."""
    monkeypatch.setattr(decoding, "SPAN", 8)
    with torch.inference_mode():
        yield


def asked(model: Any, prompts: int = 2) -> dict[str, torch.Tensor]:
    """Prompts of unequal length, with words that the tiny tokenizer has."""
    asked = asked_of(model, prompts)
    return asked | {"input_ids": asked["input_ids"] % model.config.text_encoder.vocab_size}


class Asked:
    """Asks a decoder, and keeps what it told."""

    def __init__(self, model: Any, decoder: Decoder) -> None:
        self.told: list[tuple[int, int]] = []
        self._model = model
        self._decoder = decoder

    def codes(self, prompts: int = 2, prompt: torch.Tensor | None = None, seeds: tuple[int, ...] = (1, 2)) -> Any:
        books = self._model.decoder.num_codebooks
        start = torch.zeros((prompts, books, 0), dtype=torch.int64) if prompt is None else prompt
        words = asked(self._model, prompts)
        text = encoded(self._model, words)
        states = seed_states(seeds[:prompts], torch.device("cpu"))
        self.told.clear()
        return self._decoder.codes(
            text, words["attention_mask"], start, FRAMES, states, lambda made, total: self.told.append((made, total))
        )


def test_greedy_codes_are_those_of_generate(model: Any) -> None:
    expected = eager_codes(model, asked(model), FRAMES)
    decoder = Asked(model, Decoder(model.decoder, greedy, GUIDANCE))
    assert torch.equal(decoder.codes(), expected)
    assert expected.shape == (2, model.decoder.num_codebooks, FRAMES) and len(set(expected.flatten().tolist())) > 5
    steps = FRAMES + model.decoder.num_codebooks // model.decoder.config.audio_channels - 1
    assert decoder.told == [(i, steps) for i in range(1, steps + 1)]
    # The model's own modules use the rearranged weights, and nothing is left over from the first time.
    assert torch.equal(eager_codes(model, asked(model), FRAMES), expected)
    assert torch.equal(decoder.codes(), expected)


def test_a_continuation_is_that_of_generate(model: Any) -> None:
    prompt = torch.randint(0, 32, (2, model.decoder.num_codebooks, 11), generator=torch.Generator().manual_seed(4))
    rows = prompt.flatten(0, 1)
    expected = eager_codes(model, asked(model), FRAMES, decoder_input_ids=rows)
    codes = Asked(model, Decoder(model.decoder, greedy, GUIDANCE)).codes(prompt=prompt)
    assert torch.equal(codes, expected)
    assert torch.equal(codes[..., :11], prompt) and codes.shape[-1] == 11 + FRAMES


def test_drawn_codes_follow_their_seed_alone(model: Any) -> None:
    decoder = Asked(model, Decoder(model.decoder, sampling(1.0, 10), GUIDANCE))
    both = decoder.codes(seeds=(7, 8))
    alone = decoder.codes(prompts=1, seeds=(7,))
    assert torch.equal(both[:1], alone)
    assert not torch.equal(decoder.codes(prompts=1, seeds=(9,)), alone)


def test_every_codebook_draws_differently() -> None:
    scores = torch.zeros((2, 4, 50))
    pick = sampling(1.0, 0)
    seeds = seed_states((3, 3), torch.device("cpu"))
    first, second = (pick(scores, seeds, torch.tensor([place])) for place in (1, 2))
    assert torch.equal(first[0], first[1]) and len(set(first[0].tolist())) > 1
    assert not torch.equal(first, second)


def test_draws_follow_the_scores() -> None:
    """Over many places the shares are the softmax's of the likeliest three."""
    scores = torch.log(torch.tensor([0.4, 0.3, 0.2, 0.1]))
    pick = sampling(1.0, 3)
    seeds = seed_states(range(4_000), torch.device("cpu"))
    drawn = pick(scores.expand(4_000, 1, 4), seeds, torch.tensor([5])).flatten()
    shares = torch.bincount(drawn, minlength=4) / 4_000
    assert shares[3] == 0
    assert torch.allclose(shares[:3], torch.tensor([4 / 9, 3 / 9, 2 / 9]), atol=0.03)  # four standard errors


class Tape(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records what a step does to tensors, as a CUDA graph does: the same operations, on the same places."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._done: list[tuple[Any, Any, Any, Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self._done.append((func, args, kwargs or {}, result))
        return result

    def replay(self) -> None:
        made: dict[int, torch.Tensor] = {}

        def now(value: Any) -> Any:
            if isinstance(value, list | tuple):
                return type(value)(now(item) for item in value)
            return made.get(id(value), value)

        for func, args, kwargs, result in self._done:
            again = func(*now(args), **{name: now(value) for name, value in kwargs.items()})
            pairs = zip(result, again, strict=True) if isinstance(result, list | tuple) else [(result, again)]
            made |= {id(old): new for old, new in pairs}


def test_a_recorded_step_can_be_replayed(model: Any) -> None:
    """Nothing in a step depends on Python from column to column, and nothing waits for a value of a tensor."""
    recorded: list[Tape] = []

    def record(step: Step) -> Step:
        tape = Tape()
        with tape:
            step()
        recorded.append(tape)
        return tape.replay

    plain = Asked(model, Decoder(model.decoder, sampling(1.0, 10), GUIDANCE))
    taped = Asked(model, Decoder(model.decoder, sampling(1.0, 10), GUIDANCE, record))
    assert torch.equal(taped.codes(), plain.codes())
    assert len(recorded) == 5  # one for each span of 8 columns, within 34 or 36
    assert torch.equal(taped.codes(seeds=(5, 6)), plain.codes(seeds=(5, 6)))
    assert len(recorded) == 5  # the same shape needs no other recording
    waits = [str(func) for tape in recorded for func, *_ in tape._done if "local_scalar_dense" in str(func)]
    assert waits == []


def test_recording_that_fails_or_differs_is_given_up_with_a_word(model: Any, caplog: pytest.LogCaptureFixture) -> None:
    def fails(step: Step) -> Step:
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    def differs(step: Step) -> Step:
        step()
        return lambda: None

    expected = Asked(model, Decoder(model.decoder, greedy, GUIDANCE)).codes()
    for record, said in ((fails, "operation not permitted when stream is capturing"), (differs, "the codes differ")):
        caplog.clear()
        decoder = Decoder(model.decoder, greedy, GUIDANCE, record)
        decoder.check_recording()
        assert caplog.messages == [f"MusicGen's step cannot be recorded here, so each is launched anew: {said}"]
        assert torch.equal(Asked(model, decoder).codes(), expected)
    caplog.clear()
    decoder = Decoder(model.decoder, greedy, GUIDANCE, lambda step: _twice(step))
    decoder.check_recording()
    assert caplog.messages == []


def _twice(step: Step) -> Step:
    """A record that is true: what it returns does the step again."""
    step()
    return step
