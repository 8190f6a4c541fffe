"""Writes soda/skeleton/: what Soda checks of every table because its twin, or its source's declaration, says so.

Columns and types, keys, numbers of rows against the days before, values that are allowed, ranges, references, the day.
What the world has to say about a table is written by hand in soda/contracts/.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from tagloom.contracts import DATA_SOURCE, SKELETON
from tagloom.sources import Source, Table

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

COMMAND = "python -m tagloom quality skeleton"

DEFAULT_OWNER = "data-team@example.com"
"""Who answers for models that belong to no single source and hold no tags."""

LEAST_SHARE, USUAL_SHARE, MOST_SHARE = 0.5, 3, 10
"""Rows as a multiple of the mean of the days before. Half fails: a delivery that was cut. Three times warns, as a
young table that grows every day has more than twice its own mean. Ten times fails: a join that multiplies rows."""

COMES_AND_GOES = {"serving": (0.2, 5)}
"""Layers of which rows only warn, and outside of which bounds: audiences fill and empty with the season."""

LEAST_ROWS = 100
"""Smaller tables may double by chance, so their rows are not compared."""

MOST_PARENTS = 4
"""A cure names no more tables than this."""

DECIMAL = re.compile(r"decimal\((\d+), *(\d+)\)")
REFERENCE = re.compile(r"""ref\(\s*['"](\w+)['"]\s*\)""")


class SkeletonError(ValueError):
    """A twin cannot be followed, or a name is unknown; the message names file and cure."""


@dataclass(frozen=True)
class Twin:
    """A model's YAML twin, as far as checks follow from it."""

    name: str
    path: Path
    """Below the dbt project."""
    layer: str
    description: str
    columns: list[dict]
    tests: list[dict]
    """Data tests of the whole table."""
    parents: tuple[str, ...]
    """Models that it reads."""

    @property
    def place(self) -> Path:
        """File below soda/skeleton."""
        return self.path.relative_to("models")


def skeleton_files(project: Path, sources: Iterable[Source]) -> dict[Path, str]:
    """Path below soda/skeleton -> content, for every model of the dbt project and every declared table.

    Raises SkeletonError when a twin cannot be followed.
    """
    twins = [twin for path in sorted((project / "models").rglob("*.yml")) for twin in _twins(path, project)]
    schemas = {path.stem: "seeds" for path in (project / "seeds").rglob("*.csv")}
    schemas |= {twin.name: twin.layer for twin in twins}
    owners = {source.name: source.owner for source in sources}
    files = {twin.place: _contract_of_model(twin, schemas, owners) for twin in twins}
    for source in sources:
        for table in source.tables:
            files[Path("landing", source.name, f"{table.name}.yml")] = _contract_of_source(source, table)
    return files


def write_skeleton(soda: Path, files: dict[Path, str], only: str | None = None) -> list[Path]:
    """Write what has changed below soda/skeleton, remove what nothing stands behind, return the touched paths.

    `only`: the name of one table (`tag_value__rfm`, `pos.basket_lines`). Raises SkeletonError for one that is unknown.
    """
    folder = soda / SKELETON
    if only is not None:
        files = {path: text for path, text in files.items() if only in _names(path)}
        if not files:
            raise SkeletonError(f"{only}: there is no such model or declared table; say it as its file is called.")
    touched = []
    for path, text in files.items():
        file = folder / path
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.parent.mkdir(parents=True, exist_ok=True)
            draft = file.with_name(f".{file.name}")
            draft.write_text(text, encoding="utf-8")
            draft.replace(file)
            touched.append(path)
    for path in [] if only else _orphans(folder, files):
        (folder / path).unlink()
        touched.append(path)
    return sorted(touched)


def stale_skeleton(soda: Path, files: dict[Path, str]) -> list[str]:
    """One sentence per file below soda/skeleton that is missing, differs, or has nothing behind it any more."""
    folder = soda / SKELETON
    problems = [
        f"soda/{SKELETON}/{path}: is stale; run `{COMMAND}` and commit what it writes"
        for path, text in files.items()
        if not (folder / path).exists() or (folder / path).read_text(encoding="utf-8") != text
    ]
    return sorted(
        [
            *problems,
            *(f"soda/{SKELETON}/{path}: nothing stands behind it; run `{COMMAND}`" for path in _orphans(folder, files)),
        ]
    )


def _names(path: Path) -> tuple[str, str]:
    return path.stem, f"{path.parent.name}.{path.stem}"


def _orphans(folder: Path, files: dict[Path, str]) -> list[Path]:
    found = (file.relative_to(folder) for file in sorted(folder.rglob("*.yml")))
    return [path for path in found if path not in files and not path.name.startswith(".")]


def _twins(path: Path, project: Path) -> Iterator[Twin]:
    where = path.relative_to(project)
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER)
    except yaml.YAMLError as error:
        raise SkeletonError(f"{where}: is not readable as YAML: {' '.join(str(error).split())}") from error
    for model in (content or {}).get("models") or []:
        if model["name"] != path.stem:
            raise SkeletonError(f"{where}: describes {model['name']}; each model has a twin that is called like it")
        code = path.with_suffix(".sql") if path.with_suffix(".sql").exists() else path.with_suffix(".py")
        text = code.read_text(encoding="utf-8") if code.exists() else ""
        yield Twin(
            name=model["name"],
            path=where,
            layer=where.parts[1],
            description=" ".join(str(model.get("description") or "").split()),
            columns=model.get("columns") or [],
            tests=[test if isinstance(test, dict) else {test: {}} for test in model.get("data_tests") or []],
            parents=tuple(dict.fromkeys(REFERENCE.findall(text))),
        )


def _contract_of_model(twin: Twin, schemas: dict[str, str], owners: dict[str, str]) -> str:
    key = _key(twin)
    owner = _owner(twin, owners)
    columns = [_column_of_model(twin, column, owner, schemas) for column in twin.columns]
    checks = [
        _schema(twin.name, "its twin declares"),
        *_unique_together(twin),
        *_unique_where(twin),
        *_of_the_day(twin),
        _rows(twin.name, twin.layer),
    ]
    head = {
        "dataset": f"{DATA_SOURCE}/{twin.layer}/{twin.name}",
        "description": twin.description,
        "filter": _filter(twin),
        "attributes": {
            "owner": owner,
            "what_to_do": _what_to_do(twin, schemas),
            "key": key,
        },
    }
    return _text(f"dbt_project/{twin.path}", head, columns, checks)


def _what_to_do(twin: Twin, schemas: dict[str, str]) -> str:
    parents = [f"{schemas[name]}.{name}" for name in twin.parents if name in schemas]
    shown = [*parents[:MOST_PARENTS], f"{len(parents) - MOST_PARENTS} more"] if len(parents) > MOST_PARENTS else parents
    then = f"Look at the checks of {_and(shown)} first, which it is made of; then at " if shown else "Look at "
    return f"{then}what changed in dbt_project/{twin.path.with_suffix('')}."


def _contract_of_source(source: Source, table: Table) -> str:
    name = f"raw_{source.name}.{table.name}"
    key = [column for column in table.primary_key if table.column(column).required]
    columns = [
        {
            "name": column.name,
            **_type(column.sql_type),
            **({"checks": [_missing(name, column.name)]} if column.name in key else {}),
        }
        for column in table.columns
    ]
    checks = [
        {
            "schema": {
                "name": f"{name} has the columns that its source declares",
                "allow_extra_columns": True,
                "allow_other_column_order": True,
            }
        },
        _rows(name, "landing"),
        {
            "metric": {
                "name": f"Hardly a row of the newest delivery of {name} had come before",
                "qualifier": "delivered twice",
                "attributes": {
                    "unit": "%",
                    "what_to_do": (
                        f"Nothing is counted twice: copies are dropped. Ask {source.owner} why they sent the same rows "
                        f"again, and whether a file that should have come is missing; then land the day again."
                    ),
                },
                "query": (
                    "select coalesce(round(100.0 * sum(duplicates) / nullif(sum(rows_read), 0), 2), 0)\n"
                    "from operations.landing_log\n"
                    f"where source = '{source.name}' and table_name = '{table.name}' and run_id = (\n"
                    "    select arg_max(run_id, logged_at) from operations.landing_log\n"
                    f"    where source = '{source.name}' and table_name = '{table.name}' and status = 'landed'\n"
                    ")\n"
                ),
                "threshold": {"must_be_less_than_or_equal": 20, "level": "warn"},
            }
        },
    ]
    head = {
        "dataset": f"{DATA_SOURCE}/raw_{source.name}/{table.name}",
        "description": table.title,
        "attributes": {
            "owner": source.owner,
            "what_to_do": f"Ask {source.owner} what they delivered, then run ingest_{source.name} for the day again.",
            "key": table.primary_key,
        },
    }
    return _text(f"sources/{source.name}.yml", head, columns, checks)


def _column_of_model(twin: Twin, column: dict, owner: str, schemas: dict[str, str]) -> dict:
    name = column["name"]
    tests = _tests(column)
    _refuse_unknown(twin, name, tests)
    checks = []
    if "not_null" in tests:
        checks.append(_missing(twin.name, name))
    if "unique" in tests and "where" not in tests["unique"]:
        checks.append({"duplicate": {"name": f"No {name} is there twice in {twin.name}"}})
    invalid = [*_values(twin, column, tests), *_range(twin, name, tests), *_reference(twin, name, tests, schemas)]
    owner_of_tag = _tag(column).get("owner") if twin.layer == "tag_category" else None
    for number, check in enumerate(invalid):
        qualifier = check.pop("qualifier")
        body = {"name": check.pop("name"), **({"qualifier": qualifier} if number else {}), **check}
        if owner_of_tag not in (None, owner):
            body["attributes"] = {"owner": owner_of_tag}
        checks.append({"invalid": body})
    return {"name": name, **_type(column.get("data_type")), **({"checks": checks} if checks else {})}


def _refuse_unknown(twin: Twin, name: str, tests: dict[str, dict]) -> None:
    """A data test that becomes no check would be looked at by nobody, for builds leave those of columns to Soda."""
    for test, given in tests.items():
        values, limits = given.get("values") or [], [given.get("minimum"), given.get("maximum")]
        if (
            test not in ("not_null", "unique", "accepted_values", "in_range", "relationships")
            or given.get("severity", "error") != "error"
            or ("where" in given and test != "unique")
            or any(isinstance(value, bool) for value in values)
            or (test == "in_range" and not all(limit is None or isinstance(limit, int | float) for limit in limits))
        ):
            raise _refusal(twin, f"columns.{name}: {test}")


def _refusal(twin: Twin, test: str) -> SkeletonError:
    return SkeletonError(
        f"{twin.path}: {test}, as it is written, cannot become a check; write a test of its own in "
        f"dbt_project/data-tests, or a check in soda/contracts"
    )


def _unique_where(twin: Twin) -> Iterator[dict]:
    for column in twin.columns:
        where = _tests(column).get("unique", {}).get("where")
        if where:
            name = column["name"]
            rows = f"filter (where {where})"
            yield {
                "metric": {
                    "name": f"No {name} is there twice in {twin.name} where {where}",
                    "qualifier": f"{name} twice",
                    "attributes": {"unit": "rows"},
                    "expression": f"count({name}) {rows} - count(distinct {name}) {rows}",
                    "threshold": {"must_be": 0},
                }
            }


def _values(twin: Twin, column: dict, tests: dict[str, dict]) -> Iterator[dict]:
    values = tests.get("accepted_values", {}).get("values") or list(_tag(column).get("values") or {})
    if values and not any(isinstance(value, bool) for value in values):
        yield {
            "qualifier": "values",
            "name": f"Every {column['name']} of {twin.name} is one of the {len(values)} declared values",
            "valid_values": values,
        }


def _range(twin: Twin, name: str, tests: dict[str, dict]) -> Iterator[dict]:
    found = tests.get("in_range", {})
    least, most = found.get("minimum"), found.get("maximum")
    numbers = [number for number in (least, most) if number is not None]
    if not numbers:
        return
    words = f"between {least} and {most}" if len(numbers) == 2 else f"at least {least}" if most is None else None
    bounds = {key: number for key, number in (("valid_min", least), ("valid_max", most)) if number is not None}
    yield {"qualifier": "range", "name": f"Every {name} of {twin.name} is {words or f'at most {most}'}", **bounds}


def _reference(twin: Twin, name: str, tests: dict[str, dict], schemas: dict[str, str]) -> Iterator[dict]:
    found = REFERENCE.search(tests.get("relationships", {}).get("to", ""))
    if not found:
        return
    other = found[1]
    if other not in schemas:
        raise SkeletonError(f"{twin.path}: columns.{name}: relationships: there is no model or seed {other}")
    known = "a person whom we know" if other == "persons" else f"in {other}"
    yield {
        "qualifier": "reference",
        "name": f"Every {name} of {twin.name} is {known}",
        "valid_reference_data": {
            "dataset": f"{DATA_SOURCE}/{schemas[other]}/{other}",
            "column": tests["relationships"]["field"],
        },
    }


def _unique_together(twin: Twin) -> Iterator[dict]:
    for test in twin.tests:
        columns = test.get("unique_together", {}).get("arguments", {}).get("columns")
        if not columns:
            raise _refusal(twin, next(iter(test)))
        yield {"duplicate": {"name": f"No {_and(columns)} are there twice in {twin.name}", "columns": columns}}


def _filter(twin: Twin) -> str:
    """The rows that a twin's tests of the table look at, when it says so: to count all of a long view takes long."""
    limits = (test.get("unique_together", {}).get("config", {}).get("where", "") for test in twin.tests)
    return next((where for where in limits if where and "{{" not in where), "")


def _of_the_day(twin: Twin) -> Iterator[dict]:
    """For tables that say of which day their rows are: the day that is built must be there.

    A log of changes has none on a day without any: its column as_of_date says `meta: {every_day: false}`.
    """
    days = [column for column in twin.columns if column["name"] == "as_of_date" and "not_null" in _tests(column)]
    if any(_meta(column).get("every_day", True) for column in days):
        yield {
            "metric": {
                "name": f"{twin.name} has rows of the day that is looked at",
                "qualifier": "freshness",
                "attributes": {"unit": "rows"},
                "expression": "count(*) filter (where as_of_date = date '${var.AS_OF_DATE}')",
                "threshold": {"must_be_greater_than": 0},
            }
        }


def _rows(name: str, layer: str) -> dict:
    if layer in COMES_AND_GOES:
        threshold = {"level": "warn", "must_be_between": _between(*COMES_AND_GOES[layer])}
    else:
        threshold = {
            "must_be_between": _between(LEAST_SHARE, MOST_SHARE),
            "additional": {"level": "warn", "must_be_between": _between(LEAST_SHARE, USUAL_SHARE)},
        }
    return {
        "metric": {
            "name": f"{name} has about as many rows as in the four weeks before",
            "qualifier": "rows",
            "attributes": {"unit": "times"},
            "expression": (
                f"case when ${{var.ROWS_BEFORE}} < {LEAST_ROWS} then 1 "
                "else round(count(*) * 1.0 / ${var.ROWS_BEFORE}, 2) end"
            ),
            "threshold": threshold,
        }
    }


def _between(least: float, most: float) -> dict:
    return {"greater_than_or_equal": least, "less_than_or_equal": most}


def _schema(name: str, whose: str) -> dict:
    return {"schema": {"name": f"{name} has the columns that {whose}", "allow_other_column_order": True}}


def _missing(table: str, column: str) -> dict:
    return {"missing": {"name": f"No row of {table} lacks {column}"}}


def _key(twin: Twin) -> list[str]:
    """Columns that identify a row: the first unique one, else the first combination that is unique."""
    unique = [column["name"] for column in twin.columns if "where" not in _tests(column).get("unique", {"where": ""})]
    if unique:
        return unique[:1]
    together = (test.get("unique_together", {}).get("arguments", {}).get("columns") for test in twin.tests)
    return next((columns for columns in together if columns), [])


def _tests(column: dict) -> dict[str, dict]:
    """Name of each data test of a column -> its arguments and, where it says them, severity and where."""
    found = {}
    for test in column.get("data_tests") or []:
        if isinstance(test, str):
            found[test] = {}
            continue
        [(name, keys)] = [item for item in test.items() if item[0] != "config"] or [("", {})]
        keys = keys or {}
        limited = {**(test.get("config") or {}), **(keys.get("config") or {})}
        given = keys.get("arguments") or {key: value for key, value in keys.items() if key != "config"}
        found[name] = given | {key: limited[key] for key in ("severity", "where") if limited.get(key)}
    return found


def _tag(column: dict) -> dict:
    return _meta(column).get("tag") or {}


def _meta(column: dict) -> dict:
    return (column.get("config") or {}).get("meta") or {}


def _owner(twin: Twin, owners: dict[str, str]) -> str:
    """The source's owner of staging models, the owner of most tags of a tag model, else the data team."""
    if twin.layer == "staging":
        return owners.get(twin.path.parent.name, DEFAULT_OWNER)
    tags = Counter(owner for column in twin.columns if (owner := _tag(column).get("owner")))
    return tags.most_common(1)[0][0] if tags else DEFAULT_OWNER


def _type(data_type: str | None) -> dict:
    """The keys that tell Soda a data type; a decimal's digits stand by themselves."""
    if not data_type:
        return {}
    found = DECIMAL.fullmatch(data_type.lower())
    if found:
        return {"data_type": "decimal", "numeric_precision": int(found[1]), "numeric_scale": int(found[2])}
    return {"data_type": data_type.lower()}


def _and(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _text(origin: str, head: dict, columns: list[dict], checks: list[dict]) -> str:
    variables = {"AS_OF_DATE": {}, "ROWS_BEFORE": {"default": 0}}
    used = {name: given for name, given in variables.items() if f"${{var.{name}}}" in str(checks)}
    content = {
        "dataset": head["dataset"],
        **{name: head[name] for name in ("description", "filter") if head.get(name)},
        "variables": used,
        "check_attributes": head["attributes"],
        "columns": columns,
        "checks": checks,
    }
    written = f"# Written by `{COMMAND}` from {origin}; change that, not this file.\n"
    return written + yaml.dump(content, Dumper=_DumperOfSkeletons, sort_keys=False, width=118, allow_unicode=True)


class _DumperOfSkeletons(_DUMPER):
    """Texts of several lines stay texts of several lines."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _several_lines(dumper: yaml.Dumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_DumperOfSkeletons.add_representer(str, _several_lines)
