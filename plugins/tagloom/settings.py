"""Where things are and what this installation may do, read from the environment once."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
"""The checkout: dags/, dbt_project/, plugins/, sources/, soda/."""

CONTRACTS = PROJECT / "soda" / "contracts"
"""What must be true of the data, a file per table."""

MINIMUM_KEY_LENGTH = 32


class SettingsError(ValueError):
    """A setting is missing or wrong; the message names it and the cure."""


@dataclass(frozen=True)
class Settings:
    """Folders and limits of one installation."""

    home: Path
    """Everything Tagloom writes: warehouse, landing zone, published versions, logs, mails."""
    landing: Path
    """Where source systems deliver their files: <landing>/<source>/..."""
    sources: Path
    """Where the source declarations are."""
    time_zone: str
    """The business time zone (IANA): days, weekdays and hours of tags are counted in it."""
    memory_limit: str
    """DuckDB's memory limit, for example 2GB."""
    threads: int
    """DuckDB's threads."""
    keep_days: int
    """How many days a replaced published version stays on disk."""
    smtp_connection: str
    """Airflow connection id of the mail server."""
    alert_recipients: tuple[str, ...]
    """Who gets alerts when the failing thing names no owner."""
    base_url: str
    """Root of the Airflow UI as people reach it, for links in mails."""
    build_minutes: float = 180
    """How long after its start a build must be published; when it is not, people are told."""
    runbook: str = ""
    """Address of the runbook that mails link to; empty: the portal's page of it."""

    @property
    def runbook_url(self) -> str:
        """Where the runbook is to be read; `#<section>` is added to it."""
        return self.runbook or f"{self.base_url}/tagloom/runbook"

    @property
    def warehouse(self) -> Path:
        """The DuckDB file that only one process at a time may open."""
        return self.home / "warehouse.duckdb"

    @property
    def published(self) -> Path:
        """Folder of the read-only versions that readers open."""
        return self.home / "published"

    @property
    def alert_book(self) -> Path:
        """The SQLite file of incidents, and of mails and messages that wait or were sent."""
        return self.home / "alerts.sqlite"

    @property
    def quality_book(self) -> Path:
        """The SQLite file of what checks have found, scores of tables and layers, and what landed."""
        return self.home / "quality.sqlite"

    @property
    def dbt_target(self) -> Path:
        """dbt's compiled files; outside the project so that Airflow's parser never sees them."""
        return self.home / "dbt" / "target"

    @property
    def dbt_logs(self) -> Path:
        """dbt's log folder."""
        return self.home / "dbt" / "logs"

    @property
    def airflow_home(self) -> Path:
        """Airflow's own home: its metadata database, logs and generated passwords."""
        return self.home / "airflow"

    def make_folders(self) -> None:
        """Create every folder that is written to."""
        for folder in (self.landing, self.published, self.dbt_target, self.dbt_logs, self.airflow_home):
            folder.mkdir(parents=True, exist_ok=True)


def load_settings() -> Settings:
    """Read the settings; every one has a default but the identity key (see `identity_key`)."""
    home = Path(os.environ.get("TAGLOOM_HOME") or PROJECT / ".tagloom").resolve()
    return Settings(
        home=home,
        landing=Path(os.environ.get("TAGLOOM_LANDING") or home / "landing").resolve(),
        sources=Path(os.environ.get("TAGLOOM_SOURCES") or PROJECT / "sources").resolve(),
        time_zone=os.environ.get("TAGLOOM_TIME_ZONE") or "America/New_York",
        memory_limit=os.environ.get("TAGLOOM_MEMORY_LIMIT") or "2GB",
        threads=_whole_number("TAGLOOM_THREADS", os.cpu_count() or 2),
        keep_days=_whole_number("TAGLOOM_KEEP_DAYS", 7),
        smtp_connection=os.environ.get("TAGLOOM_SMTP_CONNECTION") or "smtp_default",
        alert_recipients=_addresses(os.environ.get("TAGLOOM_ALERT_RECIPIENTS") or "data-team@example.com"),
        base_url=(os.environ.get("TAGLOOM_BASE_URL") or "http://localhost:8080").rstrip("/"),
        build_minutes=_minutes("TAGLOOM_BUILD_MINUTES", 180),
        runbook=os.environ.get("TAGLOOM_RUNBOOK_URL") or "",
    )


def identity_key() -> bytes:
    """The secret that identifiers are hashed with (HMAC-SHA-256).

    Raises SettingsError when it is missing or short: without it hashes could be reversed by trying all phone numbers.
    """
    key = os.environ.get("TAGLOOM_IDENTITY_KEY", "")
    if len(key) < MINIMUM_KEY_LENGTH:
        problem = "is not set" if not key else f"has {len(key)} characters, fewer than {MINIMUM_KEY_LENGTH}"
        raise SettingsError(
            f"TAGLOOM_IDENTITY_KEY {problem}. It is the secret that phone numbers and e-mail addresses are hashed "
            "with. `make setup` writes one to .env; keep it: with another key every identifier looks new."
        )
    return key.encode()


def _whole_number(name: str, default: int) -> int:
    text = os.environ.get(name, "")
    if not text:
        return default
    if not text.isdecimal() or int(text) == 0:
        raise SettingsError(f"{name} must be a whole number above 0, not {text!r}.")
    return int(text)


def _minutes(name: str, default: float) -> float:
    text = os.environ.get(name) or str(default)
    try:
        minutes = float(text)
    except ValueError:
        minutes = 0.0
    if not 0 < minutes < float("inf"):
        raise SettingsError(f"{name} must be a number of minutes above 0, not {text!r}.")
    return minutes


def _addresses(text: str) -> tuple[str, ...]:
    return tuple(address.strip() for address in text.split(",") if address.strip())
