"""The small drawing of a trend: a PNG that is small, transparent and ends with a red dot where the last value is."""

import io

import pytest
from PIL import Image
from tagloom.alerting.sparkline import CHART_HEIGHT, CHART_WIDTH, HEIGHT, LAST, WIDTH, chart, sparkline


def drawn(*values: float) -> Image.Image:
    return Image.open(io.BytesIO(sparkline(values))).convert("RGBA")


def dot(picture: Image.Image) -> tuple[int, int]:
    """The middle of the red pixels."""
    red = [(x, y) for x in range(picture.width) for y in range(picture.height) if picture.getpixel((x, y)) == LAST]
    assert red
    return sum(x for x, _ in red) // len(red), sum(y for _, y in red) // len(red)


def test_it_is_small_and_transparent():
    assert len(sparkline(range(30))) < 4000
    picture = drawn(1, 2, 3)
    assert picture.size == (WIDTH, HEIGHT)
    assert picture.getpixel((0, 0))[3] == 0


@pytest.mark.parametrize(
    ("values", "highest", "lowest"),
    [((1, 2, 9), 0, HEIGHT / 3), ((9, 5, 1), HEIGHT * 2 / 3, HEIGHT), ((4, 4, 4), 20, 28)],
)
def test_the_dot_is_where_the_last_value_is(values, highest, lowest):
    x, y = dot(drawn(*values))
    assert x > WIDTH * 0.9
    assert highest <= y <= lowest


def test_one_value_is_no_line():
    with pytest.raises(ValueError, match="needs two values"):
        sparkline([1.0])


def test_a_chart_shows_its_limit_and_leaves_gaps():
    picture = Image.open(io.BytesIO(chart((8, None, 8, 8), limit=4))).convert("RGBA")
    assert picture.size == (CHART_WIDTH, CHART_HEIGHT)
    red = [x for x in range(CHART_WIDTH) if picture.getpixel((x, CHART_HEIGHT - 8))[3] > 100]
    assert len(red) > CHART_WIDTH / 3, "a dashed line at the bottom"
    drawn_above = [x for x in range(CHART_WIDTH) if picture.getpixel((x, 8))[3] > 100]
    assert min(drawn_above) > CHART_WIDTH / 2, "one day alone, and the gap after it, are no line"


def test_a_chart_of_nothing_is_empty():
    assert chart((None, None)).startswith(b"\x89PNG")
