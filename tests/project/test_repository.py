"""The repository: no machine's own paths, no secrets, no telemetry, and what the README promises exists."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tagloom.environment import airflow_environment
from tagloom.settings import PROJECT, load_settings

MAY_IMPORT_AIRFLOW = (
    "plugins/tagloom/orchestration/",
    "plugins/tagloom_plugin.py",
    "plugins/airflow_local_settings.py",
)
"""What knows Airflow; all the other Python runs and is tested without it."""

FORBIDDEN = {
    "a path of one machine": re.compile(r"(?<![\w.$}/-])/(root|work|tmp|home/(?!airflow\b)\w+|Users)/\w"),
    "a package registry": re.compile(
        r"\b(pypi\.org|pythonhosted\.org|npmjs\.(org|com)|crates\.io|ghcr\.io|quay\.io|proxy\.golang\.org)\b"
        r"|--(extra-)?index-url\s+\S|--find-links\s+\S"
    ),
    "a note to oneself": re.compile(r"\bTO[D]O\b|\bFIX[M]E\b"),
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE [K]EY-----"),
    "a rest of a merge": re.compile(r"^(<{7}|>{7}) ", re.MULTILINE),
}

TELEMETRY_OFF = {
    "SODA_CORE_TELEMETRY_ENABLED": "false",
    "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    "DO_NOT_TRACK": "1",
    "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
}


def repository_files() -> list[Path]:
    """Files that are in git or would be added by `git add .`."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    return sorted(PROJECT / name for name in listed.stdout.split("\0") if name and (PROJECT / name).is_file())


def text_of(path: Path) -> str:
    """Content of a text file; pictures and the like have none."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def problems(path: Path, text: str) -> list[str]:
    return [
        f"{path}, line {text.count(chr(10), 0, found.start()) + 1}: {found[0].strip()!r} is {what}"
        for what, pattern in FORBIDDEN.items()
        for found in pattern.finditer(text)
    ]


def commands(text: str) -> set[str]:
    """Targets that a page tells its reader to make: in code between backticks, or at the start of a line of a block."""
    code = re.findall(r"```.*?```|`[^`\n]+`", text, flags=re.DOTALL)
    return {target for part in code for target in re.findall(r"(?:^|[`$&;|\n]|\n\s+)\s*make ([a-z][a-z-]*)", part)}


def targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):", (PROJECT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))


def test_nothing_in_the_repository_belongs_to_one_machine():
    found = [sentence for path in repository_files() for sentence in problems(path.relative_to(PROJECT), text_of(path))]
    assert found == []


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("home = '{}root/project'", "a path of one machine"),
        ("cd {}work/main", "a path of one machine"),
        ("open({}tmp/x.csv)", "a path of one machine"),
        ("--index|-url https:{}{}example.com", "a package registry"),
        ("see https:{}{}pypi|.org{}simple", "a package registry"),
    ],
)
def test_what_belongs_to_one_machine_is_found(line, what):
    [sentence] = problems(Path("docs/page.md"), "first\n" + line.replace("{}", "/").replace("|", ""))
    assert sentence.startswith("docs/page.md, line 2: ")
    assert sentence.endswith(what)


@pytest.mark.parametrize("line", ["{}opt/airflow/dags", "{}home/airflow/.local", "models{}work/x", "$HOME{}tmp/a"])
def test_other_paths_are_left_alone(line):
    assert problems(Path("page.md"), line.replace("{}", "/")) == []


def test_no_secret_or_product_of_a_run_is_in_the_repository():
    names = {path.relative_to(PROJECT).as_posix() for path in repository_files()}
    assert not [
        name for name in names if re.search(r"(^|/)\.env$|\.(duckdb|wal|pyc|db|log|pem|key)$|(^|/)target/", name)
    ]
    assert ".env.example" in names


@pytest.mark.parametrize(
    "name",
    [
        "README.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "LICENSE",
        "Makefile",
        "docker-compose.yml",
        "requirements.txt",
        ".env.example",
        ".ci/run",
    ],
)
def test_the_house_is_complete(name):
    path = PROJECT / name
    assert path.is_file()
    assert path.stat().st_size > 200 or name == ".ci/run"


def test_ci_can_be_run():
    assert os.access(PROJECT / ".ci" / "run", os.X_OK)
    used = set(
        re.findall(r"^make ([a-z-]+)", (PROJECT / ".ci" / "run").read_text(encoding="utf-8"), flags=re.MULTILINE)
    )
    assert used
    assert used <= targets()


def test_every_command_that_a_page_names_exists():
    known = targets()
    missing = [
        f"{path.relative_to(PROJECT)}: names `make {command}`, which the Makefile does not have"
        for path in repository_files()
        if path.suffix == ".md"
        for command in sorted(commands(text_of(path)) - known)
    ]
    assert missing == []
    assert {"setup", "demo", "test", "lint"} & commands(text_of(PROJECT / "README.md"))


def test_commands_are_found_in_code_and_not_in_prose():
    page = "We make tags. Run `make demo`, then `cd x && make lint`.\n"
    page += "```bash\nmake setup-dev\n  make up # make sure\n```\n"
    assert commands(page) == {"demo", "lint", "setup-dev", "up"}


def test_every_command_says_what_it_does():
    text = (PROJECT / "Makefile").read_text(encoding="utf-8")
    declared = set(re.search(r"^\.PHONY: (.*)$", text, flags=re.MULTILINE)[1].split())
    described = set(re.findall(r"^([a-z][a-z-]*):.*## \S", text, flags=re.MULTILINE))
    assert declared == described == targets()


def test_every_link_of_a_page_leads_somewhere():
    broken = []
    for path in repository_files():
        prose = re.sub(r"```.*?```", "", text_of(path), flags=re.DOTALL) if path.suffix == ".md" else ""
        for link in re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)", prose):
            if not (path.parent / link).exists():
                broken.append(f"{path.relative_to(PROJECT)}: links to {link}, which does not exist")
    assert broken == []


def test_airflow_does_not_execute_the_package():
    ignored = (PROJECT / "plugins" / ".airflowignore").read_text(encoding="utf-8").splitlines()
    assert "tagloom/" in ignored


def test_only_orchestration_imports_airflow():
    importing = {}
    for path in sorted([*(PROJECT / "plugins").rglob("*.py"), *(PROJECT / "sample_data").rglob("*.py")]):
        for node in ast.walk(ast.parse(text_of(path))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if any(name.split(".")[0] == "airflow" for name in names):
                importing[path.relative_to(PROJECT).as_posix()] = f"line {node.lineno}: imports Airflow"
    assert "plugins/tagloom/orchestration/ingest.py" in importing, "this test finds nothing"
    assert {path: why for path, why in importing.items() if not path.startswith(MAY_IMPORT_AIRFLOW)} == {}


def test_everything_that_is_imported_from_the_package_exists():
    """Also what functions import when they run, and what tests of other folders never come to."""
    missing = []
    for path in repository_files():
        if path.suffix != ".py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in ("tagloom", "sample_data"):
                missing += [
                    f"{path.relative_to(PROJECT)}:{node.lineno}: {node.module} has no {imported.name}"
                    for imported in node.names
                    if not _exists(node.module, imported.name)
                ]
    assert missing == []


def _exists(module: str, name: str) -> bool:
    try:
        return hasattr(importlib.import_module(module), name) or bool(importlib.util.find_spec(f"{module}.{name}"))
    except ModuleNotFoundError:
        return False


def test_no_module_takes_a_name_of_the_standard_library():
    modules = [*(PROJECT / "plugins").glob("*.py"), *(PROJECT / "dags").glob("*.py")]
    assert modules
    assert [path.name for path in modules if path.stem in sys.stdlib_module_names] == []


def test_telemetry_is_off():
    flags = yaml.safe_load((PROJECT / "dbt_project" / "dbt_project.yml").read_text(encoding="utf-8"))["flags"]
    assert flags["send_anonymous_usage_stats"] is False
    environment = airflow_environment(load_settings())
    assert {name: environment[name] for name in TELEMETRY_OFF} == TELEMETRY_OFF


def test_every_setting_is_in_the_example():
    """Python, shell, SQL and YAML are searched; what the code itself sets is no setting."""
    known = set(
        re.findall(r"^(TAGLOOM_\w+)=", (PROJECT / ".env.example").read_text(encoding="utf-8"), flags=re.MULTILINE)
    )
    known |= {"TAGLOOM_WAREHOUSE", "TAGLOOM_AS_OF_DATE", "TAGLOOM_AFFECTED_ONLY"}
    unknown = [
        f"{path.relative_to(PROJECT)}: uses {name}, which .env.example does not have"
        for path in repository_files()
        if path.suffix in (".py", ".sh", ".sql", ".yml") or path.name == "Makefile"
        if "tests" not in path.relative_to(PROJECT).parts
        for name in sorted(set(re.findall(r"\bTAGLOOM_[A-Z_]*[A-Z]\b", text_of(path))) - known)
    ]
    assert unknown == []


def test_what_is_installed_is_locked():
    lock = text_of(PROJECT / "requirements.txt")
    pinned = re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==\S+", lock, flags=re.MULTILINE)
    assert len(pinned) > 50
    assert len(re.findall(r"^[^\s#]", lock, flags=re.MULTILINE)) == len(pinned), "not every line is name==version"
    wanted = re.findall(r"^([A-Za-z0-9._-]+)", text_of(PROJECT / "requirements.in"), flags=re.MULTILINE)
    normal = {re.sub(r"[-_.]+", "-", name).lower() for name in pinned}
    assert [name for name in wanted if re.sub(r"[-_.]+", "-", name).lower() not in normal] == []
    assert lock.count("--hash=sha256:") >= len(pinned)


def test_the_licence_is_the_one_that_is_declared():
    assert "Apache License" in text_of(PROJECT / "LICENSE")
    assert 'license = "Apache-2.0"' in text_of(PROJECT / "pyproject.toml")
