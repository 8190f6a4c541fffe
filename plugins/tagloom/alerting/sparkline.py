"""A small line drawing of what a check has measured over the days, as a picture that stands in a mail."""

from __future__ import annotations

import io
from collections.abc import Sequence

WIDTH, HEIGHT = 240, 48
"""Pixels of the picture; mails show it at half the size, so that it is sharp on a phone."""

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
    # Only mails draw: a task that fails nowhere never loads it.
    from PIL import Image, ImageDraw

    scale = 4
    picture = Image.new("RGBA", (WIDTH * scale, HEIGHT * scale), (0, 0, 0, 0))
    pen = ImageDraw.Draw(picture)
    lowest, highest = min(values), max(values)
    span = highest - lowest
    points = [
        (
            (MARGIN + (WIDTH - 2 * MARGIN) * position / (len(values) - 1)) * scale,
            (HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * ((value - lowest) / span if span else 0.5)) * scale,
        )
        for position, value in enumerate(values)
    ]
    pen.line(points, fill=LINE, width=3 * scale, joint="curve")
    (x, y), radius = points[-1], 5 * scale
    pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=LAST)
    file = io.BytesIO()
    picture.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS).save(file, "PNG", optimize=True)
    return file.getvalue()
