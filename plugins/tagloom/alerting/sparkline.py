"""Line drawings of what was measured over the days, as pictures that stand in a mail."""

from __future__ import annotations

import io
from collections.abc import Sequence

WIDTH, HEIGHT = 240, 48
"""Pixels of the small drawing; mails show pictures at half their size, so that they are sharp on a phone."""

CHART_WIDTH, CHART_HEIGHT = 640, 200
"""Pixels of the drawing of an alarm."""

SCALE = 4
"""Drawn so many times larger and made smaller, which smooths the lines."""

MARGIN = 8
LINE = (128, 138, 157, 255)
"""Grey that can be seen on white and on dark grounds."""
LAST = (226, 80, 65, 255)


def sparkline(values: Sequence[float]) -> bytes:
    """Draw the values from left to right, the last one as a red dot, and return a PNG with a transparent ground.

    Raises ValueError for fewer than two values.
    """
    if len(values) < 2:
        raise ValueError(f"a line needs two values, not {len(values)}")
    return _drawn(values, None, (WIDTH, HEIGHT))


def chart(values: Sequence[float | None], limit: float | None = None) -> bytes:
    """Draw a metric over the days and its limit as a dashed line; where nothing was measured the line is broken."""
    return _drawn(values, limit, (CHART_WIDTH, CHART_HEIGHT))


def _drawn(values: Sequence[float | None], limit: float | None, size: tuple[int, int]) -> bytes:
    # Only mails draw: a task that fails nowhere never loads it.
    from PIL import Image, ImageDraw

    width, height = size
    picture = Image.new("RGBA", (width * SCALE, height * SCALE), (0, 0, 0, 0))
    pen = ImageDraw.Draw(picture)
    known = [value for value in (*values, limit) if value is not None]
    lowest, span = min(known, default=0.0), max(known, default=0.0) - min(known, default=0.0)

    def place(position: int, value: float) -> tuple[float, float]:
        share = (value - lowest) / span if span else 0.5
        return (
            (MARGIN + (width - 2 * MARGIN) * position / max(len(values) - 1, 1)) * SCALE,
            (height - MARGIN - (height - 2 * MARGIN) * share) * SCALE,
        )

    if limit is not None:
        (left, y), (right, _) = place(0, limit), place(len(values) - 1, limit)
        dash = 6 * SCALE
        for x in range(int(left), int(right), 2 * dash):
            pen.line([(x, y), (min(x + dash, right), y)], fill=LAST, width=2 * SCALE)
    points = [place(position, value) if value is not None else None for position, value in enumerate(values)]
    for stretch in _stretches(points):
        pen.line(stretch, fill=LINE, width=3 * SCALE, joint="curve")
    if points and points[-1]:
        (x, y), radius = points[-1], 5 * SCALE
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=LAST)
    file = io.BytesIO()
    picture.resize(size, Image.Resampling.LANCZOS).save(file, "PNG", optimize=True)
    return file.getvalue()


def _stretches(points: list[tuple[float, float] | None]) -> list[list[tuple[float, float]]]:
    """Points that follow each other without a gap; one alone is no line."""
    stretches: list[list[tuple[float, float]]] = [[]]
    for point in points:
        if point is None:
            stretches.append([])
        else:
            stretches[-1].append(point)
    return [stretch for stretch in stretches if len(stretch) > 1]
