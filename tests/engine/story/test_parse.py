"""Reading stories out of what language models answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.jobs import Language
from engine.story.parse import Draft, parse_paragraph, parse_story

A = "The lamp went out. Nobody on the pier moved, and the water was black."
B = "Then a match flared, and in its light an old man smiled at the two of them."
C = "They carried the light up the stairs together, and the ships came home."
GOOD = Draft("The Lamp", (A, B, C))
ZA = "燈熄了。碼頭上沒有人動，海水一片漆黑。"
ZB = "忽然有人劃亮一根火柴，火光裡，一個老人對他們微笑。"
ZC = "他們一起把光帶上階梯，船一艘艘回家了。"
ZGOOD = Draft("燈", (ZA, ZB, ZC))

ENGLISH = {
    "as asked": f"Title: The Lamp\n\n1. {A}\n\n2. {B}\n\n3. {C}",
    "single line breaks": f"Title: The Lamp\n1. {A}\n2. {B}\n3. {C}",
    "windows line ends": f"Title: The Lamp\r\n\r\n1. {A}\r\n\r\n2. {B}\r\n\r\n3. {C}\r\n",
    "markdown": f"# The Lamp\n\n**1.** {A}\n\n**2.** {B}\n\n**3.** {C}",
    "headings": f"**Title:** *The Lamp*\n\n## Paragraph 1\n{A}\n\n## Paragraph 2\n{B}\n\n## Paragraph 3\n{C}",
    "quoted title": f'Title: "The Lamp"\n\n1) {A}\n\n2) {B}\n\n3) {C}',
    "greeting": f"Sure! Here is your story:\n\n**The Lamp**\n\n1. {A}\n\n2. {B}\n\n3. {C}\n\nI hope you like it!",
    "afterword without a phrase": f"Title: The Lamp\n\n1. {A}\n\n2. {B}\n\n3. {C}\n\nEach part follows the plan.",
    "no numbers": f"The Lamp\n\n{A}\n\n{B}\n\n{C}",
    "no numbers, greeting and count": f"Here's the story:\n\nThe Lamp\n\n{A}\n\n{B}\n\n{C}\n\n(Word count: 60)",
    "one paragraph a line": f"Title: The Lamp\n{A}\n{B}\n{C}",
    "rules between": f"Title: The Lamp\n\n---\n\n{A}\n\n***\n\n{B}\n\n* * *\n\n{C}\n\n---",
    "labels": f"Title: The Lamp\n\n1. (tense) {A}\n\n2. **[relaxed]** {B}\n\n3. (triumphant): {C}",
    "wrapped": "Title: The Lamp\n\n1. "
    + A.replace(" and", "\nand")
    + f"\n\n2. {B}\n\n3. "
    + C.replace(" and", "\nand"),
    "fence": f"```\nTitle: The Lamp\n\n1. {A}\n\n2. {B}\n\n3. {C}\n```",
    "thoughts": f"<think>1. dark\n2. light\nTitle: No</think>\nTitle: The Lamp\n\n1. {A}\n\n2. {B}\n\n3. {C}",
    "thoughts begun in the prompt": f"Title: No\n\n1. x\n</think>\n\nTitle: The Lamp\n\n1. {A}\n\n2. {B}\n\n3. {C}",
    "special tokens": f"<|start_header_id|>Title: The Lamp\n\n1. {A}\n\n2. {B}\n\n3. {C}<|eot_id|></s>",
    "emphasis": f"Title: The Lamp\n\n1. {A.replace('Nobody', '*Nobody*')}\n\n2. {B}\n\n3. {C}",
    "cut off": f"Title: The Lamp\n\n1. {A}\n\n2. {B}\n\n3. {C} And then the oldest of",
    "a block within": f"Title: The Lamp\n\n1. {A[:18]}\n\n{A[19:]}\n\n2. {B}\n\n3. {C}",
    "times and numbers stay": f"Title: The Lamp\n\n1. {A}\n\n2. {B}\n\n3. {C}",
}
CHINESE = {
    "as asked": f"標題：燈\n\n1. {ZA}\n\n2. {ZB}\n\n3. {ZC}",
    "paragraph words": f"標題：《燈》\n\n第一段：{ZA}\n\n第二段：{ZB}\n\n第三段：{ZC}",
    "chinese numbers": f"《燈》\n\n一、{ZA}\n\n二、{ZB}\n\n三、{ZC}",
    "greeting": f"好的，以下是故事：\n\n**燈**\n\n1. {ZA}\n\n2. {ZB}\n\n3. {ZC}\n\n希望你喜歡！",
    "no numbers": f"燈\n\n{ZA}\n\n{ZB}\n\n{ZC}\n\n（完）",
    "labels": f"標題：燈\n\n1. （緊張）{ZA}\n\n2.【放鬆】{ZB}\n\n3. {ZC}\n\n字數：60",
    "wrapped": f"標題：燈\n\n1. {ZA[:4]}\n{ZA[4:]}\n\n2. {ZB}\n\n3. {ZC}",
}


@pytest.mark.parametrize("text", ENGLISH.values(), ids=ENGLISH)
def test_english_answers_as_models_give_them(text: str) -> None:
    assert parse_story(text, 3, 60, "en") == GOOD


@pytest.mark.parametrize("text", CHINESE.values(), ids=CHINESE)
def test_chinese_answers_as_models_give_them(text: str) -> None:
    assert parse_story(text, 3, 60, "zh-TW") == ZGOOD


def test_a_paragraph_may_begin_with_a_number() -> None:
    first = "7:30 in the morning. 1.5 metres of snow lay at the door, and 3-year-old Ada laughed."
    assert parse_story(f"Snow\n\n{first}\n\n{B}", 2, 30, "en").paragraphs == (first, B)


def test_a_given_title_stands() -> None:
    assert parse_story(f"1. {A}\n\n2. {B}\n\n3. {C}", 3, 60, "en", title="Mine").title == "Mine"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (f"1. {A}\n\n2. {B}\n\n3. {C}", "it has no title"),
        (f"Title: X\n\n1. {A}\n\n2. {B}", "it has 2 instead of 3 numbered paragraphs"),
        (f"Title: X\n\n{A}\n\n{B}\n\n{C}\n\n{A}", "it has 4 instead of 3 numbered paragraphs"),
        ("", "it has 0 instead of 3 numbered paragraphs"),
        (f"Title: X\n\n1. {A}\n\n2. … !\n\n3. {C}", "paragraph 2 is empty"),
        ("Title: X\n\n1. Once.\n\n2. Twice.\n\n3. End.", "it is far too short (3 of about 60 words)"),
        (f"Title: X\n\n1. {ZA}\n\n2. {ZB}\n\n3. {ZC}", "it must be in English throughout"),
    ],
)
def test_what_is_wrong_is_said(text: str, problem: str) -> None:
    assert parse_story(text, 3, 60, "en").problem == problem


def test_simplified_characters_are_refused() -> None:
    simplified = f"標題：燈\n\n1. 灯灭了，没有人说话，他们对着海，这时谁也没开门。\n\n2. {ZB}\n\n3. {ZC}"
    assert parse_story(simplified, 3, 60, "zh-TW").problem == "有簡體字，必須全部用繁體字"
    assert parse_story(f"標題：燈\n\n1. {A}\n\n2. {ZB}\n\n3. {ZC}", 3, 60, "zh-TW").problem.startswith("全文都必須")


@pytest.mark.parametrize("text", [B, f"2. {B}", f"Sure! Here it is:\n\n{B}", f"**{B}**", f"{B}\n\nI hope this helps."])
def test_one_paragraph(text: str) -> None:
    assert parse_paragraph(text, "en") == B


@pytest.mark.parametrize("text", ["", f"{A}\n\n{B}\n\n{C}", "……", ZA])
def test_no_paragraph(text: str) -> None:
    assert parse_paragraph(text, "en") == ""


@given(
    st.text(st.sampled_from("ab. \n1234*#_-:：。一二《》<>think/`~()Title標題"), max_size=400),
    st.integers(1, 12),
    st.sampled_from(["en", "zh-TW"]),
)
def test_any_answer_is_a_story_or_has_a_problem(text: str, count: int, language: Language) -> None:
    draft = parse_story(text, count, 20, language)
    if not draft.problem:
        assert draft.title.strip()
        assert len(draft.paragraphs) == count
        assert all("\n" not in text and any(map(str.isalpha, text)) for text in draft.paragraphs)
    parse_paragraph(text, language)


@pytest.mark.parametrize("text", ["* " * 50_000, "<think>" * 20_000, "1." * 50_000, "a." * 50_000, "(" * 50_000])
def test_hostile_answers_take_no_time(text: str) -> None:
    assert parse_story(text, 3, 60, "en").problem
