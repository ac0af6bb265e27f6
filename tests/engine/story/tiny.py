"""A library so small that a test can say what must come of it."""

from __future__ import annotations

from pathlib import Path

WORLD = """
[facts]
time = ["morning", "day", "evening", "night"]
where = ["in", "out"]
season = ["summer", "winter"]
fate = ["undecided", "won", "lost"]

[names]
she = [["Ada", "小艾"], ["Bea", "小碧"]]
he = [["Cy", "阿賽"], ["Dan", "阿丹"]]

[kin.friend]
she = { kin = ["friend", "朋友"] }
he = { kin = ["friend", "朋友"] }

[kin.grandparent]
she = { kin = ["grandmother", "阿嬤"], called = ["Grandmother", "阿嬤"] }
he = { kin = ["grandfather", "阿公"], called = ["Grandfather", "阿公"] }

[slots]
bird = [["swallow", "燕子"], ["wren", "鷦鷯"]]
"""

FRAME = """
[frame]
companion = "friend"
start = "undecided"
seasons = "summer winter"
places = [["the Pond", "池塘"]]
titles = [["{hero} at {place}", "{place}邊的{hero}"], ["The {bird}", "{bird}"]]

[[open]]
va = [0.5, -0.5]
sets = "morning out"
en = "{hero} went to {place} with {friend}."
zh = "{hero}和{friend}去了{place}。"

[[open]]
va = [-0.5, 0.5]
sets = "day out"
en = "A shout came from {place}, and {hero} ran!"
zh = "{place}傳來叫聲，{hero}跑了起來！"

[[quest]]
va = [0.0, 0.0]
en = "They wanted to see a {bird}."
zh = "他們想看一隻{bird}。"

[[event]]
va = [0.6, 0.6]
needs = "!net"
sets = "net"
en = "{friend} found a net, hooray!"
zh = "{friend}找到一張網子，萬歲！"

[[event]]
va = [-0.4, -0.4]
needs = "net"
sets = "night"
en = "The net was torn, and it grew dark."
zh = "網子破了，天也黑了。"

[[turn]]
va = [0.8, 0.5]
sets = "won"
en = "There it was, bright and quick!"
zh = "就在那裡，又亮又快！"

[[turn]]
va = [-0.8, -0.5]
sets = "lost"
en = "Nothing came, not even a frog."
zh = "什麼也沒有來，連青蛙也沒有。"

[[end]]
va = [0.8, 0.2]
needs = "won"
en = "They were glad all the way home."
zh = "回家的路上，他們一路都很開心。"

[[end]]
va = [-0.8, -0.4]
needs = "lost"
en = "They walked back sadly."
zh = "他們難過地走回去。"
"""

COLOUR = """
[[inner]]
va = [0.7, -0.5]
en = "{he} was happy."
zh = "{he}很開心。"

[[inner]]
va = [-0.7, -0.5]
en = "A tear fell on {his} hand."
zh = "一滴眼淚落在{his}手上。"

[[scene]]
va = [0.0, 0.6]
needs = "night"
en = "An owl screamed in the dark!"
zh = "黑暗裡一隻貓頭鷹尖叫！"

[[talk]]
va = [0.1, 0.2]
en = "\\"Look!\\" said {friend}, and pulled {friend_his} hat off."
zh = "「你看！」{friend}說，摘下了{friend_his}帽子。"

[[lift]]
va = [0.4, 0.2]
en = "Then it got better."
zh = "後來好多了。"
"""


def write_tiny(directory: Path, *, frame: str = FRAME, colour: str = COLOUR, world: str = WORLD) -> Path:
    """Write the library and return its directory."""
    (directory / "frames").mkdir(parents=True, exist_ok=True)
    (directory / "colour").mkdir(exist_ok=True)
    (directory / "world.toml").write_text(world, encoding="utf-8")
    (directory / "frames" / "pond.toml").write_text(frame, encoding="utf-8")
    (directory / "colour" / "all.toml").write_text(colour, encoding="utf-8")
    return directory
