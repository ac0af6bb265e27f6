"""What a language model is told: the story that is wanted, what was wrong with an answer, a paragraph to write anew.

Pure. Knows beats and words; knows no model. The model learns feelings, lengths, and what colours the scenes, and
nothing of the music itself: neither its title nor that there is any music.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.emotion.curve import Beat
from engine.emotion.setting import Setting
from engine.emotion.words import Words
from engine.jobs import Language
from engine.story.chat import LONGEST_TOKENS, Ask, Message
from engine.story.sanitize import clean_text
from engine.story.storyteller import Prompt

EVEN_SHARE = 0.5
"""How far paragraphs are of equal length; the rest follows the length of their beats."""
FIRST_PERSON_EVERY = 4
"""One seed in so many tells in the first person."""

_TOKENS_PER_UNIT: dict[Language, float] = {"en": 1.4, "zh-TW": 1.6}
"""Tokens per English word and per Chinese character, for tokenizers that are not made for the language."""
_SLACK, _SLACK_TOKENS = 1.8, 160
"""Models overshoot; an answer that is cut off is lost."""

_STRENGTHS = (0.08, 0.25, 0.5)
"""Borders on the music's scale (SD .3) between: not at all, rather, clearly, very."""
_DEGREES: dict[Language, tuple[str, str, str, str]] = {
    "en": ("", "rather ", "", "very "),
    "zh-TW": ("", "稍微", "相當", "非常"),
}
_POLES: dict[Language, dict[str, tuple[str, str, str]]] = {
    "en": {
        "valence": ("dark", "neither dark nor bright", "bright"),
        "arousal": ("calm", "of middling energy", "stirred"),
    },
    "zh-TW": {"valence": ("陰暗", "不明不暗", "明亮"), "arousal": ("平靜", "不疾不徐", "激動")},
}
_COLOURS: dict[Language, dict[str, tuple[str, str]]] = {
    "en": {
        "pace": ("Let things happen slowly, in long sentences.", "Let things happen quickly, in short sentences."),
        "light": ("Set it in shade, dusk or bad weather.", "Set it in clear light and open air."),
        "noise": ("The surroundings are still.", "The surroundings are loud and busy."),
        "crowd": ("Few people and few things are there.", "Many people and things crowd the scenes."),
    },
    "zh-TW": {
        "pace": ("情節緩緩推進，句子悠長。", "情節快速推進，句子簡短。"),
        "light": ("場景在陰影、黃昏或壞天氣裡。", "場景在明亮的光線與開闊的地方。"),
        "noise": ("四周安靜。", "四周喧鬧。"),
        "crowd": ("人物與事物都很少。", "人來人往，事物繁多。"),
    },
}
_SLOW_BPM, _FAST_BPM = 80.0, 130.0
_LOW, _HIGH = 0.3, 0.7
"""Only what stands out colours a story."""

_SYSTEM: dict[Language, str] = {
    "en": (
        "You are a fine writer of short stories. Your stories have one cast, one thread of cause and effect, concrete"
        " things that can be seen and touched, and an ending that the beginning prepared. You answer with the story"
        " alone: no comment, no list, no link."
    ),
    "zh-TW": (
        "你是出色的短篇小說作家，用臺灣的繁體中文寫作。你的故事人物前後一致，情節有因有果，寫看得見、摸得著的具體事物，"
        "結尾在開頭就埋下伏筆。你只回答故事本身：不加說明、不列清單、不放連結。"
    ),
}
_TASK: dict[Language, str] = {
    "en": (
        "Write a story in English of about {words} words, told in the {person}. It has exactly {count}, and each has"
        " a feeling of its own:\n\n{beats}\n\n"
        "Let the reader sense each feeling from what happens, what is said and what is noticed; seldom name it. The"
        " paragraphs make one story: the same people, one place leading to the next. {colour}Do not write about"
        " music, and do not mention this plan.\n\n"
        "Answer in exactly this form:\n\n{form}"
    ),
    "zh-TW": (
        "請用繁體中文寫一個大約 {words} 字的故事，以{person}敘述。"
        "故事恰好有{count}，每一段有自己的情緒：\n\n{beats}\n\n"
        "讓讀者從發生的事、說出的話、注意到的細節感受到情緒，少直接說出情緒的名稱。"
        "各段連成同一個故事：人物相同，地點一處接一處。"
        "{colour}不要寫到音樂，也不要提到這份計畫。\n\n請完全照這個格式回答：\n\n{form}"
    ),
}
_PERSON: dict[Language, tuple[str, str]] = {
    "en": ("third person", "first person"),
    "zh-TW": ("第三人稱", "第一人稱"),
}
_BEAT: dict[Language, str] = {
    "en": "{number}. {feeling}; about {words} words",
    "zh-TW": "{number}. {feeling}；大約 {words} 字",
}
_REPAIR: dict[Language, str] = {
    "en": "That answer cannot be used: {problem}. Please write the whole story again, in exactly this form:\n\n{form}",
    "zh-TW": "這個回答不能用：{problem}。請把整個故事重寫一次，完全照這個格式：\n\n{form}",
}
_REWRITE: dict[Language, str] = {
    "en": (
        "This is a story:\n\n{story}\n\nWrite paragraph {number} anew so that it feels {feeling}, with about {words}"
        " words. What happens before and after it stays as it is, so the new paragraph must fit between. Answer with"
        " the new paragraph alone."
    ),
    "zh-TW": (
        "這是一個故事：\n\n{story}\n\n請重寫第 {number} 段，讓它的情緒是：{feeling}，大約 {words} 字。"
        "前後文不變，所以新的段落要能接得上。只回答新的這一段。"
    ),
}


def story_ask(prompt: Prompt, seed: int) -> Ask:
    """Ask for the whole story."""
    task = _TASK[prompt.language].format(
        words=prompt.words,
        person=_PERSON[prompt.language][prompt.seed % FIRST_PERSON_EVERY == 0],
        count=_count(len(prompt.beats), prompt.language),
        beats="\n".join(
            _BEAT[prompt.language].format(number=i, feeling=feeling(beat, prompt.language), words=words)
            for i, (beat, words) in enumerate(zip(prompt.beats, budgets(prompt), strict=True), 1)
        ),
        colour=_colour(prompt.setting, prompt.language),
        form=form(prompt),
    )
    messages = (Message("system", _SYSTEM[prompt.language]), Message("user", task))
    return Ask(messages, seed, _tokens(prompt.words, prompt.language))


def repair_ask(prompt: Prompt, ask: Ask, answer: str, problem: str, seed: int) -> Ask:
    """Ask for the story again, with the answer that cannot be used and what is wrong with it."""
    shown = answer[: 8 * prompt.words]  # enough of any story; an endless answer would fill the model's context
    again = _REPAIR[prompt.language].format(problem=problem, form=form(prompt))
    return Ask((*ask.messages, Message("assistant", shown or "…"), Message("user", again)), seed, ask.max_tokens)


def rewrite_ask(prompt: Prompt, title: str, paragraphs: Sequence[str], number: int, seed: int) -> Ask:
    """Ask for paragraph `number` (from 0) of a story anew."""
    words = budgets(prompt)[number]
    task = _REWRITE[prompt.language].format(
        story="\n\n".join([title, *(f"{i}. {text}" for i, text in enumerate(paragraphs, 1))]),
        number=number + 1,
        feeling=feeling(prompt.beats[number], prompt.language),
        words=words,
    )
    messages = (Message("system", _SYSTEM[prompt.language]), Message("user", task))
    return Ask(messages, seed, _tokens(words, prompt.language))


def form(prompt: Prompt) -> str:
    """Return the form in which an answer is wanted; `engine.story.parse` reads it."""
    english = prompt.language == "en"
    label = "Title: " if english else "標題："
    title = clean_text(prompt.title or "") or "…"  # one line: a person's words are no part of the form
    return "\n\n".join([f"{label}{title}", *(f"{i}. …" for i in range(1, len(prompt.beats) + 1))])


def budgets(prompt: Prompt) -> tuple[int, ...]:
    """Return how long each paragraph should be, in words (characters for zh-TW); longer where the beat is."""
    lengths = np.array([max(beat.end_s - beat.start_s, 0.0) for beat in prompt.beats])
    even = np.full(len(lengths), 1 / len(lengths))
    by_time = lengths / lengths.sum() if lengths.sum() > 0 else even
    shares = EVEN_SHARE * even + (1 - EVEN_SHARE) * by_time
    return tuple(max(5, 5 * round(prompt.words * share / 5)) for share in shares.tolist())


def feeling(beat: Beat, language: Language) -> str:
    """Say a beat's feeling: its word, and how bright and how stirred it is."""
    try:
        name = Words.load().phrase(beat.word, language)
    except KeyError:
        name = ""  # a beat of somebody else's, without a word of the table
    place = (_degree(beat.valence, "valence", language), _degree(beat.arousal, "arousal", language))
    if language == "en":
        both = " and ".join(place)
        return f"{name} ({both})" if name else both
    both = "、".join(place)
    return f"{name}（{both}）" if name else both


def _degree(value: float, axis: str, language: Language) -> str:
    low, middle, high = _POLES[language][axis]
    strength = sum(abs(value) >= border for border in _STRENGTHS)
    return _DEGREES[language][strength] + (middle if strength == 0 else high if value > 0 else low)


def _colour(setting: Setting | None, language: Language) -> str:
    if setting is None:
        return ""
    facts = {
        "pace": (setting.tempo_bpm, _SLOW_BPM, _FAST_BPM),
        "light": (setting.brightness, _LOW, _HIGH),
        "noise": (setting.loudness, _LOW, _HIGH),
        "crowd": (setting.density, _LOW, _HIGH),
    }
    found = [
        _COLOURS[language][key][value >= high] for key, (value, low, high) in facts.items() if not low < value < high
    ]
    joint = " " if language == "en" else ""
    return "".join(text + joint for text in found)


def _count(number: int, language: Language) -> str:
    if language == "en":
        return "one paragraph" if number == 1 else f"{number} paragraphs"
    return f" {number} 段"


def _tokens(words: int, language: Language) -> int:
    return min(LONGEST_TOKENS, round(_SLACK * _TOKENS_PER_UNIT[language] * words) + _SLACK_TOKENS)
