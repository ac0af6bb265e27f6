from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.drawing.labels import Box, along, clusters, place, spread

FRAME = Box(0, 0, 300, 300)
POINT = Box(100, 150, 100, 150)


def test_labels_with_room_stay_where_they_are() -> None:
    assert spread([50, 150, 250], [40, 40, 40], 10, 0, 300) == [50, 150, 250]


def test_crowded_labels_share_the_shift() -> None:
    assert spread([100, 100], [40, 40], 10, 0, 300) == [75, 125]


def test_labels_keep_off_the_edges() -> None:
    assert spread([0, 300], [40, 60], 10, 0, 300) == [20, 270]


@given(st.lists(st.tuples(st.floats(0, 700), st.floats(10, 60)), min_size=1, max_size=10))
def test_spread_labels_never_overlap_and_stay_inside(labels: list[tuple[float, float]]) -> None:
    labels = sorted(labels)
    widths = [width for _, width in labels]
    found = spread([centre for centre, _ in labels], widths, 5, 0, 700)
    boxes = [(centre - width / 2, centre + width / 2) for centre, width in zip(found, widths, strict=True)]
    assert all(right + 5 <= left + 1e-6 for (_, right), (left, _) in pairwise(boxes))
    assert boxes[0][0] >= -1e-6
    assert boxes[-1][1] <= 700 + 1e-6


def test_near_points_share_a_group() -> None:
    assert clusters([(0, 0), (100, 0), (5, 5), (104, 0), (50, 50)], 10) == [[0, 2], [1, 3], [4]]


def test_a_free_label_stands_to_the_right() -> None:
    box, covered = place(POINT, (60, 20), 15, [], [], FRAME)
    assert (box.left, box.centre[1], covered) == (115, 150, 0)


def test_a_label_goes_round_what_is_taken_and_what_is_to_be_avoided() -> None:
    right, left = Box(110, 130, 200, 170), Box(0, 130, 90, 170)
    below = Box(60, 165, 140, 300)
    box, covered = place(POINT, (60, 20), 15, [right, left], [below], FRAME)
    assert covered == 0
    assert box.bottom <= 135


def test_a_label_stays_within_the_frame() -> None:
    box, covered = place(Box(280, 0, 300, 20), (80, 20), 4, [Box(280, 0, 300, 20)], [], FRAME)
    assert box.left >= 0
    assert box.right <= 300
    assert box.top >= 0
    assert covered == 0


def test_labels_keep_their_distance_from_a_wide_box() -> None:
    wide = Box(50, 140, 150, 160)
    box, covered = place(wide, (60, 20), 4, [wide], [], FRAME)
    assert (box.left, covered) == (154, 0)
    assert box.gap(wide) == 4


def test_a_label_without_a_free_place_says_so() -> None:
    _, covered = place(POINT, (60, 20), 15, [FRAME], [], FRAME)
    assert covered == pytest.approx(60 * 20)


def test_boxes_along_a_line_leave_no_gap() -> None:
    boxes = along([(0, 0), (100, 0), (100, 30)], 5)
    covered = Box(0, -1, 100, 1)
    assert sum(1 for box in boxes if box.overlap(covered)) >= 10
    assert boxes[-1].centre == (100, 30)
    assert all(a.right >= b.left and a.bottom >= b.top - 1e-9 for a, b in pairwise(boxes))
