"""Templates, and how numbers, days and moments are written in the reader's language."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_datetime
from babel.numbers import format_compact_decimal, format_decimal, format_percent
from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from tagloom.portal.languages import LANGUAGES

if TYPE_CHECKING:
    from tagloom.portal.page import Page

PORTAL = Path(__file__).parent
STATIC = PORTAL / "static"
BUILT = STATIC / "built.json"
"""Written by frontend/build.mjs: hash of its sources and of each built file."""

LOCALES = {"en": "en_GB", "zh": "zh_Hans_CN"}


def render(template: str, page: Page, **context: object) -> str:
    """Return templates/<template> as HTML; every value is escaped, a name that is not given is an error."""
    from tagloom.portal.app import navigation

    return (
        environment()
        .get_template(template)
        .render(
            page=page,
            t=page.t,
            _=page.t,
            may=page.may,
            url=page.url,
            languages=LANGUAGES,
            navigation=navigation(page),
            **context,
        )
    )


@cache
def environment() -> Environment:
    """Return the environment of all templates."""
    templates = Environment(
        loader=FileSystemLoader(PORTAL / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.do"],
    )
    templates.globals["static"] = static
    templates.filters.update(
        number=number,
        compact=compact,
        percent=percent,
        money=money,
        day=day,
        moment=moment,
        moment_text=moment_text,
        first_part=first_part,
        json_text=json_text,
    )
    return templates


@pass_context
def static(context: Context, name: str) -> str:
    """Return the address of a file in static/, with a piece of its hash: it may be kept for ever."""
    version = _hashes().get(name, "")[:10]
    return f"{context['page'].root}/static/{name}" + (f"?v={version}" if version else "")


def _hashes() -> dict[str, str]:
    if not BUILT.exists():
        return {}
    return _read_hashes(BUILT.stat().st_mtime_ns)


@cache
def _read_hashes(changed: int) -> dict[str, str]:
    return json.loads(BUILT.read_text(encoding="utf-8"))["files"]


def _locale(context: Context) -> str:
    return LOCALES[context["page"].language]


@pass_context
def number(context: Context, value: float | None, decimals: int | None = None) -> str:
    """Write a number with separators of thousands; a dash for none. Without `decimals`, up to two where needed."""
    if value is None:
        return "–"
    pattern = "#,##0.##" if decimals is None else "#,##0" + ("." + "0" * decimals if decimals else "")
    return format_decimal(value, pattern, locale=_locale(context))


@pass_context
def compact(context: Context, value: float | None) -> str:
    """Write a number in few characters: 12.4K, 1.2 万."""
    return "–" if value is None else format_compact_decimal(value, locale=_locale(context), fraction_digits=1)


@pass_context
def percent(context: Context, value: float | None, decimals: int = 1) -> str:
    """Write a share (0.125) as a percentage (12.5%); a dash for none."""
    if value is None:
        return "–"
    return format_percent(value, "#,##0" + ("." + "0" * decimals if decimals else "") + "%", locale=_locale(context))


@pass_context
def money(context: Context, value: float | None) -> str:
    """Write an amount with two decimals and no currency: the data has its own."""
    return number(context, value, 2)


@pass_context
def day(context: Context, value: date | str | None) -> str:
    """Write a day, for example 31 Dec 2017 or 2017年12月31日; a dash for none."""
    if not value:
        return "–"
    given = date.fromisoformat(value[:10]) if isinstance(value, str) else value
    return format_date(given, "d MMM y" if context["page"].language == "en" else "long", locale=_locale(context))


@pass_context
def moment(context: Context, value: datetime | str | None) -> Markup | str:
    """Write a moment (UTC where it has no zone) in the business time zone, to the minute; a dash for none."""
    if not value:
        return "–"
    zone = context["page"].settings.time_zone
    text = moment_text(context, value)
    return Markup('<time datetime="{}" title="{}">{}</time>').format(_aware(value).isoformat(), zone, text)


@pass_context
def moment_text(context: Context, value: datetime | str | None) -> str:
    """Write a moment as `moment` does, as mere text: for a place within a sentence."""
    if not value:
        return "–"
    zone = ZoneInfo(context["page"].settings.time_zone)
    form = "d MMM y, HH:mm" if context["page"].language == "en" else "y年M月d日 HH:mm"
    return format_datetime(_aware(value), form, tzinfo=zone, locale=_locale(context))


def _aware(value: datetime | str) -> datetime:
    given = datetime.fromisoformat(value) if isinstance(value, str) else value
    return given.replace(tzinfo=UTC) if given.tzinfo is None else given


def first_part(path: str) -> str:
    """Return the first level of a path such as value/rfm."""
    return path.split("/", 1)[0]


def json_text(value: object) -> str:
    """Write a value as JSON for a data- attribute or a <script type="application/json">; escaped as text is."""
    from tagloom.portal.page import _plain

    return Markup(
        json.dumps(value, default=_plain, ensure_ascii=False)
        .replace("&", "\\u0026")
        .replace("<", "\\u003c")
        .replace(">", "\\u003e")
        .replace("'", "\\u0027")
    )
