"""The environment variables that Airflow, dbt and Soda run with here, worked out in one place from the settings.

`python -m tagloom.environment airflow dags list` runs any command with them.
"""

from __future__ import annotations

import base64
import json
import os
import re
import secrets
import sys
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from tagloom.settings import PROJECT, Settings, SettingsError, load_settings

DEFAULT_PORT = 8080

SECRETS_FILE = "secrets.json"
"""Name of the file in Airflow's home that keeps generated secrets, so that log-ins survive a restart."""

MAIL_SCHEMES = {
    "smtp": (25, {"disable_ssl": True, "disable_tls": True}),
    "smtp+starttls": (587, {"disable_ssl": True, "disable_tls": False}),
    "smtps": (465, {"disable_ssl": False, "disable_tls": True}),
}
"""Scheme of TAGLOOM_SMTP_URL -> its usual port and what it means to Airflow."""

_ASSIGNMENT = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=(.*)")


def airflow_environment(settings: Settings) -> dict[str, str]:
    """Return every environment variable that Airflow, dbt and Soda need for this installation.

    Lay it over `os.environ`. A variable that is already set there and not empty keeps its value, so each Airflow
    option can be overridden from outside. Only AIRFLOW_HOME and the TAGLOOM_ variables always follow `settings`: an
    AIRFLOW_HOME that belongs to another installation must not be touched. Secrets that are not given are generated
    once per Airflow home and kept in a file only the owner can read.

    Raises SettingsError when TAGLOOM_PORT or TAGLOOM_SMTP_URL is wrong, or the secrets file is damaged.
    """
    port = service_port()
    defaults = {
        "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        # Every file in dags/ is one; the usual guess skips those that do not say "airflow".
        "AIRFLOW__CORE__DAG_DISCOVERY_SAFE_MODE": "False",
        "AIRFLOW__CORE__DEFAULT_TIMEZONE": "utc",
        # DAGs run on their schedule from the first start; whether a DAG catches up is its own business.
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        # Each slot is a process that is forked at start. Writers queue for the warehouse anyway.
        "AIRFLOW__CORE__PARALLELISM": str(min(4, max(2, os.cpu_count() or 2))),
        # Tasks report here, not to the public address, which may be a proxy that they cannot reach.
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin",
        # A layer takes seconds, so waiting a whole one between tasks would show.
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.4",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{settings.airflow_home / 'airflow.db'}",
        "AIRFLOW__API__BASE_URL": base_url(settings),
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API__INSTANCE_NAME": "Tagloom",
        # A new DAG file is seen within 20 s instead of 5 minutes; a known one is read again once a minute.
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "20",
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "60",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "DO_NOT_TRACK": "1",
        "SCARF_ANALYTICS": "false",
        "SODA_CORE_TELEMETRY_ENABLED": "false",
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DBT_PROJECT_DIR": str(PROJECT / "dbt_project"),
        "DBT_PROFILES_DIR": str(PROJECT / "dbt_project"),
        "DBT_TARGET_PATH": str(settings.dbt_target),
        "DBT_LOG_PATH": str(settings.dbt_logs),
    }
    mail_connection = mail_server_connection()
    if mail_connection:
        defaults[f"AIRFLOW_CONN_{settings.smtp_connection.upper()}"] = mail_connection
    environment = {name: os.environ.get(name) or value for name, value in defaults.items()}
    environment |= _airflow_secrets(settings.airflow_home)
    environment |= _settings_as_variables(settings)
    environment["PYTHONPATH"] = _python_path()
    return environment


def service_port() -> int:
    """Return the port of the Airflow UI on this machine: TAGLOOM_PORT, or 8080.

    Raises SettingsError when it is not a port number.
    """
    text = os.environ.get("TAGLOOM_PORT") or str(DEFAULT_PORT)
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise SettingsError(f"TAGLOOM_PORT must be a port number from 1 to 65535, not {text!r}.")
    return int(text)


def base_url(settings: Settings) -> str:
    """Return the root of the Airflow UI as people reach it, without a slash at the end.

    TAGLOOM_BASE_URL decides; without it the UI is on this machine at TAGLOOM_PORT.
    """
    return os.environ.get("TAGLOOM_BASE_URL", "").rstrip("/") or f"http://localhost:{service_port()}"


def mail_server_connection() -> str | None:
    """Translate TAGLOOM_SMTP_URL into an Airflow connection (JSON), or return None when it is not set.

    The form is `scheme://user:password@host:port/?from=address`; the scheme is smtp (not encrypted), smtp+starttls or
    smtps, user and port may be left out, and special characters of user and password are written as %XX.
    Raises SettingsError, which never repeats the password.
    """
    text = os.environ.get("TAGLOOM_SMTP_URL")
    if not text:
        return None
    form = "Its form is smtp+starttls://user:password@host:587/?from=tagloom@example.com (or smtp://, smtps://)."
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError as error:
        raise SettingsError(f"TAGLOOM_SMTP_URL has no valid port. {form}") from error
    if url.scheme not in MAIL_SCHEMES:
        raise SettingsError(f"TAGLOOM_SMTP_URL begins with {url.scheme or 'no scheme'!r}. {form}")
    if not url.hostname:
        raise SettingsError(f"TAGLOOM_SMTP_URL names no host. {form}")
    query = parse_qs(url.query)
    if set(query) - {"from"}:
        raise SettingsError(f"TAGLOOM_SMTP_URL has the unknown option {min(set(query) - {'from'})!r}. {form}")
    usual_port, encryption = MAIL_SCHEMES[url.scheme]
    sender = query["from"][0] if "from" in query else f"tagloom@{url.hostname}"
    return json.dumps(
        {
            "conn_type": "smtp",
            "host": url.hostname,
            "port": port or usual_port,
            "login": unquote(url.username or ""),
            "password": unquote(url.password or ""),
            "extra": {**encryption, "from_email": sender},
        }
    )


def load_environment_file(path: Path) -> None:
    """Put the KEY=VALUE lines of a file such as `.env` into `os.environ`; do nothing when there is no such file.

    A variable that is already set keeps its value; a key without a value counts as not set. Docker Compose reads the
    same file, so a form that it would read differently is refused: values with $ or a backslash need single quotes.
    Raises SettingsError with file and line; values are never repeated in it.
    """
    if not path.exists():
        return
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        assignment = _ASSIGNMENT.fullmatch(line.strip())
        if not assignment:
            raise SettingsError(f"{path}, line {number}: write KEY=VALUE, or # in front of a comment.")
        name, text = assignment.groups()
        value = _plain_value(text.strip(), f"{path}, line {number}: the value of {name}")
        if value:
            os.environ.setdefault(name, value)


def _plain_value(text: str, place: str) -> str:
    quote = text[:1]
    if quote in ("'", '"'):
        value, closing, rest = text[1:].partition(quote)
        if not closing or (rest.strip() and not rest.lstrip().startswith("#")):
            raise SettingsError(f"{place} has no closing {quote} at its end.")
    else:
        value = re.split(r"(?:^|\s+)#", text, maxsplit=1)[0]
    if quote != "'" and ("$" in value or "\\" in value):
        raise SettingsError(f"{place} contains $ or a backslash; put it between single quotes.")
    return value


def _settings_as_variables(settings: Settings) -> dict[str, str]:
    """Spell the settings out, with absolute paths: services run in another working directory."""
    return {
        "AIRFLOW_HOME": str(settings.airflow_home),
        "TAGLOOM_HOME": str(settings.home),
        "TAGLOOM_LANDING": str(settings.landing),
        "TAGLOOM_SOURCES": str(settings.sources),
        "TAGLOOM_WAREHOUSE": str(settings.warehouse),
        "TAGLOOM_TIME_ZONE": settings.time_zone,
        "TAGLOOM_MEMORY_LIMIT": settings.memory_limit,
        "TAGLOOM_THREADS": str(settings.threads),
        "TAGLOOM_KEEP_DAYS": str(settings.keep_days),
        "TAGLOOM_SMTP_CONNECTION": settings.smtp_connection,
        "TAGLOOM_ALERT_RECIPIENTS": ",".join(settings.alert_recipients),
        "TAGLOOM_BASE_URL": base_url(settings),
    }


def _airflow_secrets(airflow_home: Path) -> dict[str, str]:
    """Return Airflow's three secrets: from the environment, else from the file, which is written when it is missing."""
    generated = {
        "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "AIRFLOW__API__SECRET_KEY": secrets.token_urlsafe(32),
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_urlsafe(48),
    }
    given = {name: os.environ[name] for name in generated if os.environ.get(name)}
    if len(given) == len(generated):
        return given
    file = airflow_home / SECRETS_FILE
    if not file.exists():
        _write_once(file, json.dumps(generated, indent=2) + "\n")
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        return {name: given.get(name) or kept[name] for name in generated}
    except (ValueError, KeyError, TypeError) as error:
        raise SettingsError(
            f"{file} is damaged ({error}). Delete it: new secrets are made, everybody logs in again, and connections "
            "that were saved in the Airflow UI must be entered again."
        ) from error


def _write_once(file: Path, text: str) -> None:
    """Write a file for the owner alone, whole or not at all; when two processes try at once the first one wins."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f"{file.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
        try:
            os.link(draft, file)
        except FileExistsError:
            return
    finally:
        draft.unlink(missing_ok=True)


def _python_path() -> str:
    """Put plugins/ in front of PYTHONPATH: Airflow then finds airflow_local_settings, and every command `tagloom`."""
    given = [str(Path(folder).resolve()) for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if folder]
    return os.pathsep.join(dict.fromkeys([str(PROJECT / "plugins"), *given]))


def run(command: list[str]) -> None:
    """Replace this process by `command`, run with the environment; commands of this virtual environment come first.

    Raises SettingsError when there is no such command.
    """
    load_environment_file(PROJECT / ".env")
    settings = load_settings()
    settings.make_folders()
    environment = os.environ | airflow_environment(settings)
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment.get("PATH", os.defpath)])
    try:
        os.execvpe(command[0], command, environment)
    except FileNotFoundError as error:
        raise SettingsError(f"There is no command {command[0]!r}.") from error


def main() -> None:
    """Run the command that stands behind `python -m tagloom.environment`."""
    if len(sys.argv) < 2:
        sys.exit("Say which command to run, for example: python -m tagloom.environment airflow dags list")
    try:
        run(sys.argv[1:])
    except SettingsError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
