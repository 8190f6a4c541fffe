"""The environment variables that everything runs with."""

import json
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tagloom.environment import (
    SECRETS_FILE,
    airflow_environment,
    load_environment_file,
    mail_server_connection,
    service_port,
)
from tagloom.settings import PROJECT, Settings, SettingsError, load_settings

SECRETS = ("AIRFLOW__CORE__FERNET_KEY", "AIRFLOW__API__SECRET_KEY", "AIRFLOW__API_AUTH__JWT_SECRET")


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what the machine has set out of the tests, and what the tests set out of each other."""
    monkeypatch.setattr(os, "environ", os.environ.copy())
    for name in list(os.environ):
        if name.startswith(("AIRFLOW", "TAGLOOM_", "DBT_", "SODA_")):
            monkeypatch.delenv(name)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("TAGLOOM_HOME", str(tmp_path / "home"))
    return load_settings()


def test_everything_is_written_below_the_home(settings: Settings) -> None:
    environment = airflow_environment(settings)
    assert environment["AIRFLOW_HOME"] == str(settings.home / "airflow")
    assert environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] == f"sqlite:///{settings.home}/airflow/airflow.db"
    assert environment["DBT_TARGET_PATH"].startswith(str(settings.home))
    assert environment["DBT_LOG_PATH"].startswith(str(settings.home))


def test_every_folder_is_absolute_and_in_the_project(settings: Settings) -> None:
    environment = airflow_environment(settings)
    assert environment["AIRFLOW__CORE__DAGS_FOLDER"] == str(PROJECT / "dags")
    assert environment["AIRFLOW__CORE__PLUGINS_FOLDER"] == str(PROJECT / "plugins")
    assert environment["DBT_PROJECT_DIR"] == environment["DBT_PROFILES_DIR"] == str(PROJECT / "dbt_project")


def test_nothing_phones_home(settings: Settings) -> None:
    environment = airflow_environment(settings)
    off = {
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "DO_NOT_TRACK": "1",
        "SCARF_ANALYTICS": "false",
        "SODA_CORE_TELEMETRY_ENABLED": "false",
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }
    assert off.items() <= environment.items()


def test_an_airflow_option_can_be_overridden(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "postgresql+psycopg2://airflow@postgres/airflow")
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "")
    environment = airflow_environment(settings)
    assert environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] == "postgresql+psycopg2://airflow@postgres/airflow"
    assert environment["AIRFLOW__CORE__EXECUTOR"] == "LocalExecutor", "an empty variable counts as not given"


def test_another_installation_is_not_touched(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_HOME", "/srv/other/airflow")
    assert airflow_environment(settings)["AIRFLOW_HOME"] == str(settings.airflow_home)


def test_other_processes_read_the_same_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TAGLOOM_HOME", "relative")
    monkeypatch.setenv("TAGLOOM_ALERT_RECIPIENTS", "one@example.com, two@example.com")
    monkeypatch.setenv("TAGLOOM_PORT", "8099")
    mine = load_settings()
    for name, value in airflow_environment(mine).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir("/")
    theirs = load_settings()
    assert theirs.home == tmp_path / "relative"
    assert theirs.alert_recipients == ("one@example.com", "two@example.com")
    assert theirs.base_url == "http://localhost:8099"
    assert Path(os.environ["TAGLOOM_WAREHOUSE"]) == theirs.warehouse


def test_tasks_report_to_this_machine_and_people_come_through_the_proxy(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAGLOOM_BASE_URL", "https://tags.example.com/")
    monkeypatch.setenv("TAGLOOM_PORT", "8099")
    environment = airflow_environment(load_settings())
    assert environment["AIRFLOW__API__BASE_URL"] == "https://tags.example.com"
    assert environment["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://127.0.0.1:8099/execution/"
    assert environment["AIRFLOW__API__HOST"] == "127.0.0.1"


def test_plugins_come_first_on_the_python_path_once(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["/somewhere", str(PROJECT / "plugins"), ""]))
    assert airflow_environment(settings)["PYTHONPATH"] == os.pathsep.join([str(PROJECT / "plugins"), "/somewhere"])


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1", "80.5", "²"])
def test_a_wrong_port_is_named(port: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAGLOOM_PORT", port)
    with pytest.raises(SettingsError, match=r"TAGLOOM_PORT must be a port number .*" + port):
        service_port()


class TestSecrets:
    def test_they_survive_a_restart_and_only_the_owner_can_read_them(self, settings: Settings) -> None:
        first, second = airflow_environment(settings), airflow_environment(settings)
        assert [first[name] for name in SECRETS] == [second[name] for name in SECRETS]
        assert len({first[name] for name in SECRETS}) == 3
        file = settings.airflow_home / SECRETS_FILE
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert [path.name for path in settings.airflow_home.iterdir()] == [SECRETS_FILE], "no draft is left"

    def test_the_fernet_key_is_one(self, settings: Settings) -> None:
        from cryptography.fernet import Fernet

        fernet = Fernet(airflow_environment(settings)["AIRFLOW__CORE__FERNET_KEY"])
        assert fernet.decrypt(fernet.encrypt(b"password")) == b"password"

    def test_given_ones_are_used_and_nothing_is_written(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in SECRETS:
            monkeypatch.setenv(name, f"given {name}")
        assert airflow_environment(settings)[SECRETS[1]] == f"given {SECRETS[1]}"
        assert not (settings.airflow_home / SECRETS_FILE).exists()

    def test_processes_that_start_together_agree(self, settings: Settings) -> None:
        seen: list[str] = []
        threads = [
            threading.Thread(target=lambda: seen.append(airflow_environment(settings)[SECRETS[2]])) for _ in range(16)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(seen) == 16
        assert len(set(seen)) == 1

    def test_a_damaged_file_is_named_with_the_cure(self, settings: Settings) -> None:
        airflow_environment(settings)
        (settings.airflow_home / SECRETS_FILE).write_text('{"AIRFLOW__CORE__FERNET_KEY": "x"', encoding="utf-8")
        with pytest.raises(SettingsError, match=rf"{SECRETS_FILE} is damaged .*Delete it"):
            airflow_environment(settings)


class TestMailServer:
    def test_no_address_means_no_connection(self, settings: Settings) -> None:
        assert mail_server_connection() is None
        assert not [name for name in airflow_environment(settings) if name.startswith("AIRFLOW_CONN_")]

    @pytest.mark.parametrize(
        ("url", "port", "disable_ssl", "disable_tls"),
        [
            ("smtp://mailpit:1025", 1025, True, True),
            ("smtp://mailpit", 25, True, True),
            ("smtp+starttls://mail.example.com", 587, True, False),
            ("smtps://mail.example.com/", 465, False, True),
        ],
    )
    def test_the_scheme_says_how_it_is_encrypted(
        self, url: str, port: int, disable_ssl: bool, disable_tls: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TAGLOOM_SMTP_URL", url)
        connection = json.loads(mail_server_connection() or "")
        assert connection["port"] == port
        assert connection["extra"]["disable_ssl"] is disable_ssl
        assert connection["extra"]["disable_tls"] is disable_tls

    def test_airflow_reads_it(self, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        url = "smtp+starttls://tagloom%40example.com:p%40ss%2Fw@mail.example.com/?from=alerts@example.com"
        monkeypatch.setenv("TAGLOOM_SMTP_URL", url)
        monkeypatch.setenv("TAGLOOM_SMTP_CONNECTION", "mail_room")
        environment = airflow_environment(load_settings())
        program = (
            "from airflow.sdk import BaseHook; c = BaseHook.get_connection('mail_room');"
            "print(c.conn_type, c.host, c.port, c.login, c.password, c.extra_dejson['from_email'])"
        )
        result = subprocess.run(
            [sys.executable, "-c", program], env=os.environ | environment, capture_output=True, text=True, check=True
        )
        expected = "smtp mail.example.com 587 tagloom@example.com p@ss/w alerts@example.com"
        assert result.stdout.splitlines()[-1] == expected

    def test_a_connection_that_is_given_wins(self, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TAGLOOM_SMTP_URL", "smtp://one")
        monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", "smtp://two")
        assert airflow_environment(settings)["AIRFLOW_CONN_SMTP_DEFAULT"] == "smtp://two"

    @pytest.mark.parametrize(
        ("url", "problem"),
        [
            ("http://user:hidden@mail", "begins with 'http'"),
            ("user:hidden@mail:25", "begins with"),
            ("smtp://user:hidden@mail:many/", "no valid port"),
            ("smtp://user:hidden@:25/", "names no host"),
            ("smtp://user:hidden@mail/?sender=me@example.com", "unknown option 'sender'"),
        ],
    )
    def test_a_wrong_address_is_explained_without_its_password(
        self, url: str, problem: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TAGLOOM_SMTP_URL", url)
        with pytest.raises(SettingsError, match=problem) as caught:
            mail_server_connection()
        assert "hidden" not in str(caught.value)
        assert "Its form is" in str(caught.value)


class TestEnvironmentFile:
    def test_lines_are_read_as_docker_compose_reads_them(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TAGLOOM_PORT", "9000")
        file = tmp_path / ".env"
        file.write_text(
            "# a comment\n\n"
            "TAGLOOM_PORT=8099\n"
            "TAGLOOM_TIME_ZONE = Asia/Shanghai   # inline\n"
            "export TAGLOOM_ADMIN_PASSWORD='pa$s #\\'\n"
            'TAGLOOM_ADMIN_EMAIL="admin@example.com" # his\n'
            "TAGLOOM_SMTP_URL=smtp://a:b%40c@mail/?from=x@y#z\n"
            "TAGLOOM_THREADS=\n"
            "TAGLOOM_KEEP_DAYS= # none\n",
            encoding="utf-8",
        )
        load_environment_file(file)
        assert os.environ["TAGLOOM_PORT"] == "9000", "the shell wins"
        assert os.environ["TAGLOOM_TIME_ZONE"] == "Asia/Shanghai"
        assert os.environ["TAGLOOM_ADMIN_PASSWORD"] == "pa$s #\\"
        assert os.environ["TAGLOOM_ADMIN_EMAIL"] == "admin@example.com"
        assert os.environ["TAGLOOM_SMTP_URL"] == "smtp://a:b%40c@mail/?from=x@y#z"
        assert "TAGLOOM_THREADS" not in os.environ
        assert "TAGLOOM_KEEP_DAYS" not in os.environ

    @pytest.mark.parametrize(
        ("line", "problem"),
        [
            ("TAGLOOM_PORT 8099", "line 2: write KEY=VALUE"),
            ("2ND=x", "line 2: write KEY=VALUE"),
            ("TAGLOOM_ADMIN_PASSWORD='secret", "line 2: the value of TAGLOOM_ADMIN_PASSWORD has no closing '"),
            ("TAGLOOM_ADMIN_PASSWORD=sec$ret", "contains \\$ or a backslash; put it between single quotes"),
            ('TAGLOOM_ADMIN_PASSWORD="sec\\ret"', "contains \\$ or a backslash; put it between single quotes"),
        ],
    )
    def test_a_wrong_line_is_named_without_its_value(self, line: str, problem: str, tmp_path: Path) -> None:
        file = tmp_path / ".env"
        file.write_text(f"# first\n{line}\n", encoding="utf-8")
        with pytest.raises(SettingsError, match=problem) as caught:
            load_environment_file(file)
        assert str(file) in str(caught.value)
        assert "sec" not in str(caught.value)

    def test_no_file_is_no_error(self, tmp_path: Path) -> None:
        load_environment_file(tmp_path / ".env")


def _run(*command: str, home: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(PROJECT / "plugins"), "TAGLOOM_HOME": str(home)}
    return subprocess.run(
        [sys.executable, "-m", "tagloom.environment", *command],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_command_runs_with_the_environment(tmp_path: Path) -> None:
    result = _run("sh", "-c", 'echo "$AIRFLOW_HOME"; command -v airflow; exit 3', home=tmp_path)
    assert result.returncode == 3
    assert result.stdout.splitlines() == [f"{tmp_path}/airflow", str(Path(sys.executable).parent / "airflow")]


def test_an_unknown_command_is_one_sentence(tmp_path: Path) -> None:
    result = _run("no-such-command", home=tmp_path)
    assert result.returncode == 1
    assert result.stderr == "There is no command 'no-such-command'.\n"


@pytest.mark.parametrize(("component", "loaded"), [("scheduler", True), ("api-server", False)])
def test_only_the_scheduler_loads_dbt_and_soda_for_its_tasks(component: str, loaded: bool) -> None:
    program = (
        "import sys; import airflow_local_settings;"
        "print([name in sys.modules for name in ('dbt.cli.main', 'dbt.adapters.duckdb', 'soda_core', 'soda_duckdb')])"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, component],
        env=os.environ | {"PYTHONPATH": str(PROJECT / "plugins"), "SODA_CORE_TELEMETRY_ENABLED": "false"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip() == str([loaded] * 4)
