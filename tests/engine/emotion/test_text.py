from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from engine.emotion.encoder import EMBEDDED, encoder_folder, load_encoder
from engine.emotion.int8 import Int8Linear, has_int8, measure_ranges
from engine.emotion.lexicon_zh import LexiconZh
from engine.emotion.regressor import (
    CONFIG_FILE,
    WEIGHTS_FILE,
    Regressor,
    RegressorConfig,
    load_regressor,
    save_regressor,
)
from engine.emotion.text import ASSETS, TextEmotion
from engine.errors import UserError
from tests.fakes.tiny_encoder import save_tiny_encoder

SHIPPED = ASSETS / "text_emotion"
JUDGE = ASSETS / "text_judge"
STORY = (
    "Once upon a time there lived a king who had everything he could wish for.",
    "He smiled.",
    "But then the terrible dragon burned the village, and everyone screamed and ran for their lives!",
    "Why?",
    "The lake lay calm and still under the moon.",
    '"I love you with all my heart," she said, and they danced for joy until the morning came.',
    "The little girl sat by the grave of her mother and wept, for she was all alone in the world now.",
)


@pytest.fixture(scope="module")
def shipped() -> TextEmotion:
    torch.set_num_threads(1)
    return TextEmotion.load()


@pytest.fixture(scope="module", params=["bert", "roberta", "xlm-roberta"])
def tiny(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of weights on a tiny random encoder: trained parameters random too, so that nothing is trivially 0."""
    root = tmp_path_factory.mktemp(request.param)
    encoder = load_encoder(str(save_tiny_encoder(root / "encoder", request.param)), 128)
    config = RegressorConfig(
        encoder=encoder.name,
        encoder_sha256=encoder.sha256,
        variant="tuned",
        layers=(encoder.layers,),
        width=0,
        tasks=9,
        centre=(0.0, 0.1, 0.05),
        spread=(0.2, 0.1, 0.1),
    )
    model = Regressor(encoder, config)
    generator = torch.Generator().manual_seed(1)
    weights = {name: 0.3 * torch.randn(value.shape, generator=generator) for name, value in model.trained().items()}
    save_regressor(root / "weights", config, weights)
    return root


def test_joy_fear_grief_and_peace_fall_where_they_belong(shipped: TextEmotion) -> None:
    joy, fear, grief, peace, neutral = shipped.score(
        [
            "We won! Everybody cheered and danced, it was the happiest day of our lives!",
            "The monster attacked and the children screamed in terror!",
            "She sat alone and wept for her dead child.",
            "The lake was calm and quiet in the evening.",
            "The report has twelve pages.",
        ]
    ).values
    assert joy[0] > peace[0] > neutral[0] - 0.02 > fear[0]
    assert grief[0] < -0.1 and fear[0] < -0.1
    assert min(joy[1], fear[1]) > max(peace[1], neutral[1])


def test_values_do_not_depend_on_the_rest_of_the_call(shipped: TextEmotion) -> None:
    texts = [*STORY, *(" ".join(STORY[:k]) for k in range(2, 7)), "x", "", "Stop " * 300, *STORY]
    together = shipped.score(texts).values
    assert np.array_equal(together, np.stack([shipped.score([text]).values[0] for text in texts]))
    order = np.random.default_rng(0).permutation(len(texts))
    assert np.array_equal(together[order], shipped.score([texts[i] for i in order]).values)


def test_values_do_not_depend_on_other_threads(shipped: TextEmotion) -> None:
    alone = shipped.score(STORY).values
    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(lambda _: shipped.score(STORY).values, range(16)):
            assert np.array_equal(found, alone)


def test_what_is_fastest_here_and_bfloat16_agree_with_float32(shipped: TextEmotion) -> None:
    exact = TextEmotion.load(dtype=torch.float32).score(STORY).values
    assert np.abs(exact - shipped.score(STORY).values).max() < 0.03
    assert np.abs(exact - TextEmotion.load(dtype=torch.bfloat16).score(STORY).values).max() < 0.03


def test_float32_values_do_not_depend_on_the_rest_of_the_call_either() -> None:
    model = TextEmotion.load(dtype=torch.float32)
    assert np.array_equal(model.score(STORY).values, np.stack([model.score([text]).values[0] for text in STORY]))


def test_a_long_text_is_read_to_its_end(shipped: TextEmotion) -> None:
    dull = "The report has twelve pages and a cover. " * 20
    values = shipped.score([dull, dull + "Everybody screamed and died in the terrible fire! " * 20]).values
    assert values[1, 0] < values[0, 0] - 0.1, "the second half counts"
    one_sentence = "the report has twelve pages and " * 40 + "everybody screamed and died in the terrible fire " * 40
    assert shipped.score([one_sentence]).values[0, 0] < values[0, 0] - 0.1, "also without any full stop"


def test_chinese_goes_to_the_lexicon_and_says_so(shipped: TextEmotion) -> None:
    scores = shipped.score(["她哭了。", "She cried.", "大家高興地唱歌。"])
    assert scores.by_lexicon.tolist() == [True, False, True]
    assert np.array_equal(scores.values[0], LexiconZh.load().score("她哭了。"))


def test_shapes_and_range(shipped: TextEmotion) -> None:
    empty = shipped.score([])
    assert empty.values.shape == (0, 3) and empty.by_lexicon.shape == (0,)
    odd = shipped.score(["", "!!!", "🎵" * 400, "a" * 5000, "\x00\ufffd", "love " * 2000])
    assert odd.values.dtype == np.float32 and np.isfinite(odd.values).all() and np.abs(odd.values).max() <= 1.0


def test_what_is_shipped_is_small() -> None:
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) <= 8_000_000
    assert sum(path.stat().st_size for path in JUDGE.iterdir()) <= 2_000_000


def test_the_judge_is_another_model_with_the_same_sense_of_direction() -> None:
    judge = TextEmotion.load(JUDGE)
    joy, grief = judge.score(["We won! Everybody cheered and danced!", "She wept for her dead child."]).values
    assert joy[0] > grief[0] + 0.05
    assert not np.array_equal(judge.score(STORY).values, TextEmotion.load().score(STORY).values)


def test_any_encoder_folder_trains_saves_and_loads(tiny: Path) -> None:
    model = TextEmotion.load(tiny / "weights")
    assert model.name == "encoder + TuneTale tuning"
    texts = ["a happy king.", "the sea", "she died angry and cried and cried and cried!", "glad " * 300]
    values = model.score(texts).values
    assert np.ptp(values, axis=0).min() > 1e-4
    assert np.array_equal(values, np.stack([model.score([text]).values[0] for text in texts]))
    assert np.array_equal(values, TextEmotion.load(tiny / "weights").score(texts).values)


@pytest.fixture
def in_eight_bits(tiny: Path, tmp_path: Path) -> Path:
    """The tiny weights with what their layers are given, as training leaves them."""
    folder = _copy(tiny, tmp_path / "w")
    model = TextEmotion.load(folder, dtype=torch.float32)
    ranges = measure_ranges(model.network, lambda: model.score(STORY))
    kept = load_file(folder / WEIGHTS_FILE)
    save_file({**kept, **{f"range.{name}": value.half() for name, value in ranges.items()}}, folder / WEIGHTS_FILE)
    return folder


@pytest.mark.skipif(not has_int8(), reason="this processor has no VNNI instructions")
def test_eight_bits_are_taken_where_the_weights_have_ranges_and_read_alike(in_eight_bits: Path) -> None:
    model, exact = TextEmotion.load(in_eight_bits), TextEmotion.load(in_eight_bits, dtype=torch.float32)
    assert any(isinstance(one, Int8Linear) for one in model.network.modules())
    assert not any(isinstance(one, Int8Linear) for one in exact.network.modules())
    texts = [*STORY, "glad " * 300]
    values = model.score(texts).values
    assert np.abs(values - exact.score(texts).values).max() < 0.05
    assert np.array_equal(values, np.stack([model.score([text]).values[0] for text in texts])), "alone as in a batch"


@pytest.mark.parametrize("fault", ["another layer", "another width", "no number"])
def test_ranges_that_do_not_fit_are_refused(in_eight_bits: Path, fault: str) -> None:
    path = in_eight_bits / WEIGHTS_FILE
    kept = load_file(path)
    name = next(name for name in kept if name.startswith("range."))
    value = kept.pop(name)
    if fault == "another layer":
        kept["range.nobody"] = value
    elif fault == "another width":
        kept[name] = value[:, 1:].clone()
    else:
        kept[name] = torch.full_like(value, torch.nan)
    save_file(kept, path)
    _refused(in_eight_bits, "damaged_weights")


def test_only_layers_and_head_are_trained_and_all_start_at_the_public_encoder(tmp_path: Path, tiny: Path) -> None:
    _, encoder = load_regressor(tiny / "weights")
    config = json.loads((tiny / "weights" / CONFIG_FILE).read_text(encoding="utf-8"))
    fresh = load_encoder(encoder.name, 128)
    model = Regressor(fresh, RegressorConfig(**{**config, "layers": tuple(config["layers"])}))
    trained = model.trained()
    assert not any("embeddings" in name for name in trained)
    assert {name.split(".")[0] for name in trained} == {"encoder", "head"}
    ids = torch.tensor([[2, 5, 6, 7, 3]])
    assert not model.eval()(ids).any(), "a fresh head says the mean of the ratings"


def test_padding_does_not_change_the_features(tiny: Path) -> None:
    model, _ = load_regressor(tiny / "weights")
    ids = torch.tensor([[2, 5, 6, 7, 3]])
    padded = torch.nn.functional.pad(ids, (0, 4))
    torch.testing.assert_close(model(padded, padded != 0), model(ids), rtol=1e-4, atol=1e-5)


def _copy(source: Path, target: Path) -> Path:
    return Path(shutil.copytree(source / "weights", target))


def _refused(folder: Path, code: str) -> None:
    with pytest.raises(UserError) as caught:
        TextEmotion.load(folder)
    assert caught.value.code == code
    assert caught.value.message.endswith(".") and "\n" not in caught.value.message


@pytest.mark.parametrize("content", [b"", b"no tensors", b"\x00" * 100])
def test_damaged_weights_are_refused(tiny: Path, tmp_path: Path, content: bytes) -> None:
    folder = _copy(tiny, tmp_path / "w")
    (folder / WEIGHTS_FILE).write_bytes(content)
    _refused(folder, "damaged_weights")


def test_truncated_incomplete_or_infinite_weights_are_refused(tiny: Path, tmp_path: Path) -> None:
    folder = _copy(tiny, tmp_path / "w")
    path = folder / WEIGHTS_FILE
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    _refused(folder, "damaged_weights")
    path.write_bytes(whole)
    tensors = load_file(path)
    name = next(iter(tensors))
    save_file({key: value for key, value in tensors.items() if key != name}, path)
    _refused(folder, "damaged_weights")
    save_file({**tensors, name: tensors[name][:1].clone()}, path)
    _refused(folder, "damaged_weights")
    save_file({**tensors, name: torch.full_like(tensors[name], torch.nan)}, path)
    _refused(folder, "damaged_weights")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"format": 99}, "wrong_version"),
        ({"width": "many"}, "damaged_weights"),
        ({"encoder_sha256": "0" * 64}, "wrong_encoder"),
        ({"encoder": "/nowhere/at/all"}, "no_encoder"),
    ],
)
def test_a_config_that_does_not_fit_is_refused(
    tiny: Path, tmp_path: Path, change: dict[str, object], code: str
) -> None:
    folder = _copy(tiny, tmp_path / "w")
    config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    (folder / CONFIG_FILE).write_text(json.dumps(config | change), encoding="utf-8")
    _refused(folder, code)


@pytest.mark.parametrize("content", ["", "[]", "{", "{}"])
def test_a_config_that_is_none_is_refused(tiny: Path, tmp_path: Path, content: str) -> None:
    folder = _copy(tiny, tmp_path / "w")
    (folder / CONFIG_FILE).write_text(content, encoding="utf-8")
    _refused(folder, "wrong_version" if content == "{}" else "damaged_weights")


def test_missing_weights_are_refused(tmp_path: Path) -> None:
    _refused(tmp_path, "damaged_weights")


def test_a_changed_encoder_file_is_refused(tiny: Path, tmp_path: Path) -> None:
    encoder = Path(shutil.copytree(tiny / "encoder", tmp_path / "encoder"))
    folder = _copy(tiny, tmp_path / "w")
    config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    (folder / CONFIG_FILE).write_text(json.dumps(config | {"encoder": str(encoder)}), encoding="utf-8")
    TextEmotion.load(folder)
    weights = bytearray((encoder / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (encoder / "model.safetensors").write_bytes(weights)
    _refused(folder, "wrong_encoder")


def test_the_embedded_encoder_is_the_published_one() -> None:
    assert load_encoder(EMBEDDED, 128).sha256 == "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


def test_a_name_on_the_hub_is_fetched_only_when_training(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    asked: list[tuple[str, bool]] = []

    def fetch(name: str, *, allow_patterns: list[str], local_files_only: bool) -> str:
        asked.append((name, local_files_only))
        if local_files_only:
            raise huggingface_hub.errors.LocalEntryNotFoundError("not in the cache")
        return str(tiny / "encoder")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetch)
    monkeypatch.chdir(tmp_path)
    assert encoder_folder("someone/a-bert", download=True) == tiny / "encoder"
    with pytest.raises(UserError) as caught:
        load_encoder("someone/a-bert", 128)
    assert caught.value.code == "no_encoder"
    assert asked == [("someone/a-bert", False), ("someone/a-bert", True)]
