"""One HTML file that tells how good the data are: scores, failing checks, slow checks, freshness, incidents.

It stands by itself (styles and drawings are inside, nothing is loaded from elsewhere), so it can be mailed or archived.
It reads the quality book and the alert book only, never the warehouse.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from tagloom import quality_book, quality_drawings
from tagloom.alerting.book import open_incidents, read_book, resolved_incidents
from tagloom.quality_book import KeptResult, LandedTable, LayerScore, TableScore
from tagloom.settings import Settings
from tagloom.transform import LAYERS

TEMPLATES = Path(__file__).parent / "templates" / "quality"

SLOWEST = 12
"""So many tables are listed by the time of their checks."""

ENDED = 20
"""So many incidents that have ended are listed."""

GOOD = 99.95
"""From here on a score is shown as 100."""


@dataclass(frozen=True)
class _Layer:
    name: str
    newest: LayerScore
    first_day: date
    trend: Markup
    strip: Markup
    tables: list[_Table]

    @property
    def tone(self) -> str:
        return _tone(self.newest)

    @property
    def unwell(self) -> list[_Table]:
        return [table for table in self.tables if table.tone != "good"]

    @property
    def well(self) -> list[_Table]:
        return [table for table in self.tables if table.tone == "good"]


@dataclass(frozen=True)
class _Table:
    score: TableScore
    bar: Markup
    trend: Markup

    @property
    def tone(self) -> str:
        return _tone(self.score)


@dataclass(frozen=True)
class _Problem:
    result: KeptResult
    measured: str
    trend: Markup

    @property
    def tone(self) -> str:
        return "warn" if self.result.outcome == "warned" else "bad"


@dataclass(frozen=True)
class _Arrival:
    newest: LandedTable
    trend: Markup

    @property
    def days(self) -> str:
        """First and last day, both among them."""
        first, _, end = self.newest.data_interval.partition("/")
        return f"{first} to {date.fromisoformat(end) - timedelta(days=1)}" if end else first


def write_report(settings: Settings, file: Path, days: int) -> Path:
    """Write the report and return where it is. A reader never sees half of it."""
    text = report(settings, days)
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    draft.write_text(text, encoding="utf-8")
    draft.replace(file)
    return file


def report(settings: Settings, days: int) -> str:
    """Make the report as HTML; trends show the last `days` days of data, the newest run of each."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["of"] = lambda number, thing: f"{number:,.0f} {thing}{'' if number == 1 else 's'}"
    environment.filters["count"] = lambda number: f"{number:,.0f}"
    environment.filters["score"] = score_text
    environment.filters["moment"] = lambda moment: f"{moment:%Y-%m-%d %H:%M}"
    results = quality_book.latest(settings)
    layers = _layers(settings, days)
    with read_book(settings.alert_book) as book:
        wrong = open_incidents(book)
        ended = resolved_incidents(book, ENDED)
    return environment.get_template("report.html").render(
        made_at=datetime.now(UTC),
        days=days,
        as_of_date=max((layer.newest.as_of_date for layer in layers), default=None),
        first_day=min((layer.first_day for layer in layers), default=None),
        layers=layers,
        outcomes=Counter(result.outcome for result in results),
        checks=len(results),
        tables=sum(layer.newest.tables for layer in layers),
        seconds=sum(layer.newest.milliseconds for layer in layers) / 1000,
        problems=[_problem(settings, result, days) for result in results if result.outcome != "passed"],
        slow=_slow(results),
        arrivals=_arrivals(settings, days),
        quarantine=quality_book.quarantine(settings),
        wrong=wrong,
        ended=ended,
    )


def score_text(score: float) -> str:
    """A score as people read it: whole numbers without a point."""
    return "100" if score >= GOOD else f"{score:.1f}"


def measured_text(result: KeptResult) -> str:
    """What a check measured, with its unit; `nothing` when it could not."""
    if result.measured is None:
        return "nothing"
    if result.measured % 1 == 0:
        return f"{result.measured:,.0f}{result.unit}"
    return f"{result.measured:,.4f}".rstrip("0").rstrip(".") + result.unit


def _tone(score: LayerScore | TableScore) -> str:
    return "bad" if score.failed else "warn" if score.warned else "good"


def _layers(settings: Settings, days: int) -> list[_Layer]:
    by_layer: dict[str, list[LayerScore]] = {}
    for item in quality_book.layer_trend(settings, days):
        by_layer.setdefault(item.layer, []).append(item)
    tables: dict[str, list[TableScore]] = {}
    for item in quality_book.latest_tables(settings):
        tables.setdefault(item.layer, []).append(item)
    trends = quality_book.table_trends(settings, days)
    order = ["landing", *LAYERS]
    names = sorted(by_layer, key=lambda name: (order.index(name) if name in order else len(order), name))
    return [_layer(name, by_layer[name], tables.get(name, []), trends) for name in names]


def _layer(
    name: str, scores: list[LayerScore], tables: list[TableScore], trends: dict[str, list[TableScore]]
) -> _Layer:
    newest = max(scores, key=lambda item: item.at)
    return _Layer(
        name=name.replace("_", " "),
        newest=newest,
        first_day=scores[0].as_of_date,
        trend=_trend([item.score for item in scores], f"score of {name} day by day", ends=(0, 100)),
        strip=Markup(
            quality_drawings.days(
                [
                    (
                        _tone(item),
                        f"{item.as_of_date}: {score_text(item.score)}, {item.failed} failed, {item.warned} warned",
                    )
                    for item in scores
                ],
                f"{name}: {sum(not item.failed for item in scores)} of {len(scores)} days without a failure",
            )
        ),
        tables=[_table(item, trends.get(item.table, [])) for item in tables],
    )


def _table(item: TableScore, scores: Sequence[TableScore]) -> _Table:
    tone = "" if not item.warned and not item.failed else _tone(item)
    drawing = quality_drawings.bar(item.score / 100, f"{score_text(item.score)} of 100", tone)
    line = _trend([score.score for score in scores], f"score of {item.table} day by day", ends=(0, 100), height=22)
    return _Table(item, Markup(drawing), line)


def _problem(settings: Settings, result: KeptResult, days: int) -> _Problem:
    values = [value for _, value in quality_book.check_trend(settings, result.contract, result.name, days)]
    return _Problem(result, measured_text(result), _trend(values, f"measured on {len(values)} days"))


def _slow(results: Sequence[KeptResult]) -> list[tuple[str, float, int, Markup]]:
    """Table, milliseconds, number of checks and a bar of those whose checks took longest."""
    times: Counter[str] = Counter()
    checks: Counter[str] = Counter()
    for result in results:
        times[result.table] += result.milliseconds
        checks[result.table] += 1
    slowest = [(table, time) for table, time in times.most_common(SLOWEST) if time > 0]
    return [
        (table, time, checks[table], Markup(quality_drawings.bar(time / slowest[0][1], f"{time:.0f} ms")))
        for table, time in slowest
    ]


def _arrivals(settings: Settings, days: int) -> list[_Arrival]:
    rows: dict[tuple[str, str], list[int]] = {}
    for item in reversed(quality_book.landings(settings, days)):
        rows.setdefault((item.source, item.table_name), []).append(item.landed)
    return [
        _Arrival(item, _trend(rows.get((item.source, item.table_name), []), "rows of the last landings", height=22))
        for item in quality_book.newest_landings(settings)
    ]


def _trend(values: Sequence[float], label: str, height: int = 36, ends: tuple[float, float] | None = None) -> Markup:
    return Markup(quality_drawings.trend(values, label, height=height, ends=ends))
