"""Who hears of what, when: `alerts/routing.yml` as people write it.

A failure is told at once, outside quiet hours at least; warnings are gathered in one mail a day.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tagloom.alerting.book import Finding, Severity
from tagloom.settings import PROJECT

ROUTING_FILE = PROJECT / "alerts" / "routing.yml"
"""The rules of this installation."""

MAIL = "mail"
"""Name of the channel that is always there."""

Address = Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$")]
Pattern = Annotated[str, Field(min_length=1)]
Clock = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class RoutingError(ValueError):
    """The routing rules are wrong; the message has one line per problem, which names file, key and cure."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class When(_Strict):
    """What a route is for: all that is given must fit; names may have * for any letters."""

    severity: Severity | None = None
    """failed or warning."""
    kinds: list[Literal["check", "task", "quarantine", "late", "deadline", "drift", "alarm"]] = []
    """What it is: a check of the data, a task that failed, a delivery with too many bad rows, a late source, a run that
    takes too long, a changed delivery, an alarm."""
    owners: list[Pattern] = []
    """E-mail addresses of who answers for it, such as *@stores.example.com."""
    tables: list[Pattern] = []
    """Tables with their schema, such as raw_pos.* or tag_category.*."""
    dags: list[Pattern] = []
    """Airflow DAGs, such as ingest_*."""

    def fits(self, finding: Finding, dag_id: str) -> bool:
        """Whether a finding of a DAG is meant."""
        return (
            self.severity in (None, finding.severity)
            and (not self.kinds or finding.kind in self.kinds)
            and _fits(self.owners, finding.owner.lower())
            and _fits(self.tables, finding.table)
            and _fits(self.dags, dag_id)
        )


class Route(_Strict):
    """Who else hears of some findings, or who hears of them instead of owners and default recipients."""

    when: When
    """What the route is for."""
    to: list[Address] = []
    """E-mail addresses."""
    webhooks: list[Pattern] = []
    """Names of webhooks below."""
    instead: bool = False
    """Whether nobody else is told: neither the default recipients nor the owner."""

    @model_validator(mode="after")
    def _tells_somebody(self) -> Route:
        if not self.to and not self.webhooks and not self.instead:
            raise ValueError("tells nobody; add to: or webhooks:, or instead: true to keep it quiet on purpose")
        return self


class QuietHours(_Strict):
    """Hours of the business time zone in which mails of some severities wait."""

    begins: Clock
    """Such as "22:00"; quote it, YAML reads a bare 22:00 as a number."""
    ends: Clock
    """Such as "07:00"; may be on the next day."""
    hold: list[Severity] = ["warning"]
    """Severities that wait until the end."""


class Webhook(_Strict):
    """A chat that messages are posted to as well."""

    format: Literal["slack", "feishu", "dingtalk", "wecom"]
    """Whose JSON it expects."""
    address_variable: Annotated[str, Field(pattern=r"^TAGLOOM_[A-Z0-9_]+$")]
    """Environment variable with the address: it lets anybody post, so it does not stand in a file."""
    secret_variable: Annotated[str, Field(pattern=r"^TAGLOOM_[A-Z0-9_]+$")] | None = None
    """Environment variable with the secret that messages are signed with (feishu and dingtalk)."""


class Routing(_Strict):
    """All rules."""

    recipients: list[Address] = []
    """Who hears of everything; empty: TAGLOOM_ALERT_RECIPIENTS."""
    tell_owners: bool = True
    """Whether the owner of a check or source is told of what is theirs."""
    remind_after_hours: int = Field(24, ge=1)
    """A failure that stays is told again after so many hours, until somebody acknowledges it."""
    warnings: Literal["digest", "at once"] = "digest"
    """Whether warnings are gathered in one mail a day."""
    digest_at: Clock = "08:00"
    """When, in the business time zone."""
    quiet_hours: QuietHours | None = None
    """Hours in which nobody wants to be woken."""
    routes: list[Route] = []
    """Further recipients for some findings."""
    webhooks: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$")], Webhook] = {}
    """Name -> chat."""

    @model_validator(mode="after")
    def _knows_its_webhooks(self) -> Routing:
        for number, route in enumerate(self.routes, start=1):
            for name in route.webhooks:
                if name not in self.webhooks:
                    nearest = get_close_matches(name, self.webhooks, n=1)
                    cure = f"did you mean {nearest[0]!r}?" if nearest else "declare it under webhooks:"
                    raise ValueError(f"route {number} names the webhook {name!r}, which is not declared; {cure}")
        if MAIL in self.webhooks:
            raise ValueError(f"a webhook cannot be called {MAIL!r}")
        return self

    @property
    def remind_after(self) -> timedelta:
        """`remind_after_hours` as a duration."""
        return timedelta(hours=self.remind_after_hours)

    def targets(self, finding: Finding, dag_id: str, default_recipients: tuple[str, ...]) -> set[tuple[str, str]]:
        """(Channel, recipient) of everybody who is told of a finding; a webhook is channel and recipient."""
        fitting = [route for route in self.routes if route.when.fits(finding, dag_id)]
        told = {(MAIL, address.lower()) for route in fitting for address in route.to}
        told |= {(name, name) for route in fitting for name in route.webhooks}
        if not any(route.instead for route in fitting):
            told |= {(MAIL, address.lower()) for address in self.recipients or default_recipients}
            if self.tell_owners and finding.owner:
                told.add((MAIL, finding.owner.strip().lower()))
        return told

    def due(self, severity: Severity, now: datetime, time_zone: ZoneInfo) -> datetime:
        """When a mail of a severity may go out: now, or at the end of the quiet hours."""
        if self.quiet_hours is None or severity not in self.quiet_hours.hold:
            return now
        begins, ends = (time.fromisoformat(text) for text in (self.quiet_hours.begins, self.quiet_hours.ends))
        local = now.astimezone(time_zone)
        clock = local.time()
        is_quiet = begins <= clock < ends if begins <= ends else clock >= begins or clock < ends
        if not is_quiet:
            return now
        end = datetime.combine(local.date(), ends, time_zone)
        return (end if end > local else _next_day(end)).astimezone(UTC)

    def digest_is_due(self, now: datetime, last: datetime | None, time_zone: ZoneInfo) -> bool:
        """Whether the time of today's digest has come and it was not written yet."""
        local = now.astimezone(time_zone)
        moment = datetime.combine(local.date(), time.fromisoformat(self.digest_at), time_zone)
        return local >= moment and (last is None or last < moment)


def load_routing(path: Path = ROUTING_FILE) -> Routing:
    """Read the rules; a file that is not there means the defaults.

    Raises RoutingError, which lists every problem.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER)
    except FileNotFoundError:
        return Routing()
    except yaml.YAMLError as error:
        raise RoutingError(f"{_shown(path)}: is not readable as YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content or {}, dict):
        raise RoutingError(f"{_shown(path)}: must hold keys such as recipients: and routes:")
    try:
        return Routing.model_validate(content or {})
    except ValidationError as error:
        raise RoutingError("\n".join(_sentence(path, item) for item in error.errors())) from error


def _fits(patterns: list[str], text: str) -> bool:
    return not patterns or any(fnmatchcase(text, pattern.lower()) for pattern in patterns)


def _next_day(moment: datetime) -> datetime:
    """The same time of the wall clock one day later, also when clocks change in between."""
    return datetime.combine(moment.date() + timedelta(days=1), moment.timetz())


def _sentence(path: Path, item: dict[str, Any]) -> str:
    place = re.sub(r"\.(\d+)", lambda found: f" {int(found[1]) + 1}", ".".join(str(part) for part in item["loc"]))
    where = f"{_shown(path)}: {place}" if place else _shown(path)
    match item["type"]:
        case "extra_forbidden":
            key = str(item["loc"][-1])
            known = sorted(
                {name for model in (Routing, Route, When, QuietHours, Webhook) for name in model.model_fields}
            )
            nearest = get_close_matches(key, known, n=1)
            return f"{where}: is not a known key" + (f"; did you mean {nearest[0]!r}?" if nearest else "; remove it")
        case "missing":
            return f"{where}: is missing"
        case "value_error":
            return f"{where}: {item['msg'].removeprefix('Value error, ')}"
        case _:
            return f"{where}: {item['input']!r} is not allowed: {item['msg']}"


def _shown(path: Path) -> str:
    return str(path.relative_to(PROJECT)) if path.is_relative_to(PROJECT) else str(path)
