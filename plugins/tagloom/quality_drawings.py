"""Small drawings of the quality report as inline SVG; colours come from the page, so they fit light and dark."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

MARGIN = 3


def trend(values: Sequence[float], label: str, width: int = 140, height: int = 36, ends: tuple | None = None) -> str:
    """Draw a line with a dot at its end; nothing for fewer than two values, which are no trend.

    `ends`: lowest and highest value of the drawing; default: of the values. `label` is read aloud instead.
    """
    if len(values) < 2:
        return ""
    lowest, highest = ends or (min(values), max(values))
    span = highest - lowest

    def place(position: int, value: float) -> str:
        share = min(max((value - lowest) / span, 0), 1) if span else 0.5
        across = MARGIN + (width - 2 * MARGIN) * position / (len(values) - 1)
        return f"{across:.1f},{height - MARGIN - (height - 2 * MARGIN) * share:.1f}"

    points = [place(position, value) for position, value in enumerate(values)]
    x, y = points[-1].split(",")
    drawing = f'<polyline points="{" ".join(points)}"/><circle cx="{x}" cy="{y}" r="2.5"/>'
    return _svg("trend", width, height, label, drawing)


def bar(share: float, label: str, tone: str = "", width: int = 120, height: int = 8) -> str:
    """Draw a bar that is filled to a share, 0 to 1. `tone`: a class of the page, such as `bad`."""
    filled = min(max(share, 0), 1) * width
    return _svg(
        f"bar {tone}".strip(),
        width,
        height,
        label,
        f'<rect class="ground" width="{width}" height="{height}" rx="4"/>'
        f'<rect width="{filled:.1f}" height="{height}" rx="4"/>',
    )


def days(cells: Sequence[tuple[str, str]], label: str, size: int = 14, gap: int = 3) -> str:
    """Draw a row of squares. `cells`: tone of each (a class of the page) and what it says when pointed at."""
    squares = "".join(
        f'<rect class="{escape(tone)}" x="{number * (size + gap)}" width="{size}" height="{size}" rx="3">'
        f"<title>{escape(text)}</title></rect>"
        for number, (tone, text) in enumerate(cells)
    )
    return _svg("days", max(len(cells) * (size + gap) - gap, 1), size, label, squares)


def _svg(kind: str, width: int, height: int, label: str, content: str) -> str:
    return (
        f'<svg class="{kind}" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="{escape(label)}">{content}</svg>'
    )
