from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from engine.emotion.encoder import load_encoder
from engine.emotion.int8 import Int8Linear, Steps, has_int8, measure_ranges, to_int8
from tests.fakes.tiny_encoder import Kind, save_tiny_encoder

has_instructions = pytest.mark.skipif(not has_int8(), reason="this processor has no VNNI instructions")


def _range_of(given: torch.Tensor) -> torch.Tensor:
    return torch.stack([given.amin(dim=0), given.amax(dim=0)])


@has_instructions
def test_eight_bits_are_near_even_where_one_channel_is_far_larger_than_the_others() -> None:
    generator = torch.Generator().manual_seed(1)
    linear = nn.Linear(64, 32).requires_grad_(False)
    given = torch.randn(200, 64, generator=generator)
    given[:, 5] *= 40
    rounded, exact = Int8Linear(linear, _range_of(given))(given), linear(given)
    assert rounded.dtype == torch.float32 and rounded.shape == exact.shape
    assert float((rounded - exact).abs().mean() / exact.std()) < 0.02
    activated = Int8Linear(linear, _range_of(given), "gelu")(given)
    torch.testing.assert_close(activated, nn.functional.gelu(rounded), rtol=1e-3, atol=1e-3)


@has_instructions
def test_a_row_does_not_depend_on_the_others_nor_on_numbers_outside_the_range() -> None:
    generator = torch.Generator().manual_seed(1)
    given = torch.randn(40, 7, 64, generator=generator)
    layer = Int8Linear(nn.Linear(64, 32, bias=False).requires_grad_(False), _range_of(given.flatten(0, 1)), "none")
    together = layer(given)
    for first, last in ((0, 1), (3, 8), (39, 40)):
        assert torch.equal(layer(given[first:last]), together[first:last])
    assert torch.isfinite(layer(given * 1e6)).all(), "what is too large is cut off"


@has_instructions
def test_a_layer_hands_its_result_over_in_the_steps_of_the_layer_that_reads_it() -> None:
    generator = torch.Generator().manual_seed(1)
    first, second = nn.Linear(64, 32).requires_grad_(False), nn.Linear(32, 8).requires_grad_(False)
    given = torch.randn(200, 64, generator=generator)
    between = nn.functional.gelu(first(given))
    steps = Steps.of(_range_of(between))
    handed = Int8Linear(first, _range_of(given), "gelu", steps)(given)
    assert handed.dtype == torch.uint8
    assert float(((handed.float() - steps.zero) * steps.size - between).abs().max()) < 0.05
    read, exact = Int8Linear(second, _range_of(between), is_smooth=False)(handed), second(between)
    assert read.dtype == torch.float32
    assert np.corrcoef(read.flatten(), exact.flatten())[0, 1] > 0.995


@has_instructions
def test_a_block_of_which_only_one_half_has_a_range_works(tmp_path: Path) -> None:
    for half in ("intermediate", "output"):
        encoder = load_encoder(str(save_tiny_encoder(tmp_path / half, "bert")), 64)
        ids = torch.randint(5, 20, (30, 9), generator=torch.Generator().manual_seed(1))
        with torch.inference_mode():
            exact = encoder.model(input_ids=ids).last_hidden_state
            ranges = measure_ranges(encoder.model, partial(encoder.model, input_ids=ids))
            to_int8(encoder.model, {name: value for name, value in ranges.items() if f".{half}." in name})
            rounded = encoder.model(input_ids=ids).last_hidden_state
        assert not torch.equal(rounded, exact)
        assert np.corrcoef(rounded.flatten(), exact.flatten())[0, 1] > 0.995


@has_instructions
@pytest.mark.parametrize("kind", ["bert", "roberta", "xlm-roberta"])
def test_every_linear_layer_of_an_encoder_is_replaced_and_it_still_says_the_same(tmp_path: Path, kind: Kind) -> None:
    encoder = load_encoder(str(save_tiny_encoder(tmp_path, kind)), 64)
    ids = torch.randint(5, 20, (30, 9), generator=torch.Generator().manual_seed(1))

    def read() -> torch.Tensor:
        with torch.inference_mode():
            found: torch.Tensor = encoder.model(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
        return found

    exact = read()
    ranges = measure_ranges(encoder.model, read)
    assert len(ranges) == 3 * 6 and all(value.shape[0] == 2 for value in ranges.values())
    assert torch.equal(read(), exact), "measuring leaves no trace"
    to_int8(encoder.model, ranges)
    assert not [one for one in encoder.model.modules() if isinstance(one, nn.Linear)]
    assert np.corrcoef(read().flatten(), exact.flatten())[0, 1] > 0.995


def test_a_layer_without_a_range_stays_as_it_is() -> None:
    network = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    to_int8(network, {})
    assert all(isinstance(one, nn.Linear) for one in network)


def test_ranges_are_those_of_all_calls_and_channels() -> None:
    network = nn.Sequential(nn.Linear(2, 3))
    rows = [torch.tensor([[1.0, -2.0]]), torch.tensor([[[3.0, 0.5]], [[-1.0, 0.0]]])]
    ranges = measure_ranges(network, lambda: [network(one) for one in rows])
    assert ranges["0"].tolist() == [[-1.0, -2.0], [3.0, 0.5]]
