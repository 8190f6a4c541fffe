"""`make demo-alert`: breaks one delivery in a copy of the demo's home, runs the DAGs and shows the mail that comes."""

from __future__ import annotations

import email
import email.policy
import os
import shutil
import sys
import tempfile
import time
from email.message import EmailMessage
from pathlib import Path

from aiosmtpd.controller import Controller
from tagloom.environment import airflow_environment
from tagloom.publish import current_version
from tagloom.settings import Settings, load_settings

from sample_data.run import (
    AS_OF_DATE,
    END_DAY,
    FIRST_DAY,
    background_output,
    prepare,
    progress_of_tasks,
    timed_report,
)


class Mailbox:
    """A mail server's handler that keeps what it is given."""

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []

    async def handle_DATA(self, server: object, session: object, envelope: object) -> str:  # noqa: N802 (aiosmtpd's name)
        """Take a mail."""
        self.messages.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
        return "250 OK"


def main() -> int:
    """Show one alert mail; 1 when the demo has not run or no mail came."""
    settings = prepare()
    if current_version(settings) is None:
        print("The demo has not run yet: `make demo` first.", file=sys.stderr)
        return 1
    shown = settings.home / "mails" / "demo-alert"
    mailbox = Mailbox()
    # Port 0: any free one.
    server = Controller(mailbox, hostname="127.0.0.1", port=_free_port())
    server.start()
    try:
        with tempfile.TemporaryDirectory(prefix="demo-alert-", dir=settings.home) as folder:
            copy = _copied_home(settings, Path(folder), server.port)
            kept = _break_delivery(copy)
            print(
                f"In a copy of the warehouse: the loyalty system delivers only {kept:,} cards, every other one is lost."
            )
            _run(copy)
    finally:
        server.stop()
    if not mailbox.messages:
        print("No mail came, which is wrong. The log is in logs/demo-alert.log of the home.", file=sys.stderr)
        return 1
    _show(mailbox.messages, shown)
    print(f"\nThe warehouse of the demo is as it was; version {current_version(settings).name} is still published.")
    return 0


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _copied_home(settings: Settings, folder: Path, port: int) -> Settings:
    """Copy what a run changes, and read the landing zone through links; only the loyalty files are real copies."""
    shutil.copy2(settings.warehouse, folder / settings.warehouse.name)
    for name in ("airflow", "published"):
        shutil.copytree(settings.home / name, folder / name)
    shutil.copytree(settings.dbt_target, folder / "dbt" / "target")
    landing = folder / "landing"
    landing.mkdir()
    for source in settings.landing.iterdir():
        if source.name == "loyalty":
            shutil.copytree(source, landing / source.name)
        else:
            (landing / source.name).symlink_to(source)
    for name in ("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "AIRFLOW_CONN_SMTP_DEFAULT"):
        os.environ.pop(name, None)
    for name in ("DBT_TARGET_PATH", "DBT_LOG_PATH", "TAGLOOM_LANDING"):
        os.environ.pop(name, None)
    os.environ["TAGLOOM_HOME"] = str(folder)
    os.environ["TAGLOOM_SMTP_CONNECTION"] = "smtp_default"
    os.environ["TAGLOOM_SMTP_URL"] = f"smtp://127.0.0.1:{port}/?from=tagloom@example.com"
    copy = load_settings()
    os.environ.update(airflow_environment(copy))
    copy.make_folders()
    return copy


def _break_delivery(settings: Settings) -> int:
    """Leave out every other card of the delivery; return how many are left."""
    (file,) = (settings.landing / "loyalty").glob("cards_*.csv")
    header, *cards = file.read_text(encoding="utf-8").splitlines(keepends=True)
    file.write_text(header + "".join(cards[::2]), encoding="utf-8")
    return len(cards[::2])


def _run(settings: Settings) -> None:
    log = settings.home.parent / "logs" / "demo-alert.log"
    with background_output(log) as screen:
        from tagloom.orchestration import foreground_run

        report = timed_report(time.monotonic(), screen)
        for dag_id, conf in (
            ("ingest_loyalty", {"first_day": FIRST_DAY.isoformat(), "end_day": END_DAY.isoformat()}),
            ("build_tags", {"as_of_date": AS_OF_DATE.isoformat()}),
        ):
            report(f"DAG {dag_id}")
            with progress_of_tasks(report):
                report(f"DAG {dag_id}: {foreground_run(dag_id, conf)}")


def _show(messages: list[EmailMessage], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, message in enumerate(messages, start=1):
        (folder / f"{number}.eml").write_bytes(message.as_bytes())
        html = message.get_body(("html",)).get_content()
        (folder / f"{number}.html").write_text(html, encoding="utf-8")
    first = max(messages, key=lambda message: len(message.get_body(("plain",)).get_content()))
    print(f"\n{len(messages)} mails came, one per recipient: " + ", ".join(str(message["To"]) for message in messages))
    print("=" * 100)
    for name in ("From", "To", "Subject"):
        print(f"{name}: {first[name]}")
    print()
    print(first.get_body(("plain",)).get_content().rstrip())
    print("=" * 100)
    print(f"As .eml and .html in {folder}")


if __name__ == "__main__":
    sys.exit(main())
