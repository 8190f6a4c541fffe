"""Examples of rows that fail a check: Soda 4 counts them but returns none, so the SQL that finds them is built here."""

from __future__ import annotations

from tagloom.contracts import Contract, DeclaredCheck, Duplicate, FailedRows, Invalid, Missing, resolve

SAMPLE_ROWS = 5
"""At most so many keys of failing rows go into a mail."""

LONGEST_MASK = 12
"""Masked values are no longer than this, so that the exact length of a long value is not told."""

DOT = "•"


def mask(value: object) -> str:
    """Make a key recognisable to who knows it, and to no one else: `262412345631` becomes `26••••••••31`.

    Two characters at the start stay, two at the end when there are at least eight; of four or fewer only the first.
    """
    if value is None:
        return "(empty)"
    text = " ".join(str(value).split())
    length = min(len(text), LONGEST_MASK)
    if len(text) <= 4:
        return text[:1] + DOT * max(length - 1, 1)
    if len(text) < 8:
        return text[:2] + DOT * (length - 2)
    return text[:2] + DOT * (length - 4) + text[-2:]


def sample_query(contract: Contract, declared: DeclaredCheck, variables: dict[str, str]) -> str | None:
    """Write the DuckDB SQL that returns up to SAMPLE_ROWS failing rows of a check, or None where no row is to blame.

    A row holds the contract's key columns; without a key, the checked columns; of a failed_rows query, what it returns.
    """
    check = declared.check
    match check:
        case FailedRows(query=str() as query):
            text = f"select * from ({query.strip().rstrip(';')}) as failing limit {SAMPLE_ROWS}"
        case FailedRows(expression=str() as expression):
            text = _rows(contract, declared, f"({expression.strip()})")
        case Invalid():
            text = _rows(contract, declared, _invalid(contract, declared))
        case Missing():
            text = _rows(contract, declared, _missing(_quote(declared.column), check))
        case Duplicate():
            text = _duplicates(contract, declared)
        case _:
            return None
    return resolve(text, variables)


def _rows(contract: Contract, declared: DeclaredCheck, condition: str) -> str:
    columns = ", ".join(_quote(name) for name in _key(declared)) or "*"
    where = " and ".join([condition, *_filters(contract, declared)])
    # Distinct: five lines of one basket would show one card five times.
    return f"select distinct {columns} from {contract.table} as checked where {where} order by all limit {SAMPLE_ROWS}"


def _duplicates(contract: Contract, declared: DeclaredCheck) -> str:
    names = [declared.column] if declared.column else declared.check.columns or []
    columns = ", ".join(_quote(name) for name in names)
    # As Soda counts them: a row without a value is missing, not a duplicate. Of several columns, one value is enough.
    present = "(" + " or ".join(f"{_quote(name)} is not null" for name in names) + ")"
    where = " and ".join([present, *_filters(contract, declared)])
    return (
        f"select {columns} from {contract.table} as checked where {where} "
        f"group by all having count(*) > 1 order by all limit {SAMPLE_ROWS}"
    )


def _key(declared: DeclaredCheck) -> tuple[str, ...]:
    return declared.key or ((declared.column,) if declared.column else ())


def _filters(contract: Contract, declared: DeclaredCheck) -> list[str]:
    return [f"({text.strip()})" for text in (contract.filter, declared.check.filter) if text]


def _missing(column: str, check: Missing) -> str:
    conditions = [f"{column} is null"]
    if check.missing_values:
        conditions.append(f"{column} in ({_values(check.missing_values)})")
    if check.missing_format:
        conditions.append(f"regexp_matches({column}, {_literal(check.missing_format.regex)})")
    return f"({' or '.join(conditions)})"


def _invalid(contract: Contract, declared: DeclaredCheck) -> str:
    check = declared.check
    column = _quote(declared.column)
    length = f"length({column})"
    conditions = {
        "valid_values": lambda value: f"{column} not in ({_values(value)})",
        "invalid_values": lambda value: f"{column} in ({_values(value)})",
        "valid_format": lambda value: f"not regexp_matches({column}, {_literal(value.regex)})",
        "invalid_format": lambda value: f"regexp_matches({column}, {_literal(value.regex)})",
        "valid_min": lambda value: f"{column} < {value}",
        "valid_max": lambda value: f"{column} > {value}",
        "valid_length": lambda value: f"{length} <> {value}",
        "valid_min_length": lambda value: f"{length} < {value}",
        "valid_max_length": lambda value: f"{length} > {value}",
        "valid_reference_data": lambda value: (
            f"not exists (select 1 from {value.table} as reference "
            f"where reference.{_quote(value.column)} = checked.{column})"
        ),
    }
    broken = [write(getattr(check, name)) for name, write in conditions.items() if getattr(check, name) is not None]
    return f"(not {_missing(column, check)} and ({' or '.join(broken)}))"


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _values(values: list) -> str:
    return ", ".join(_literal(value) for value in values)


def _literal(value: object) -> str:
    return str(value) if isinstance(value, int | float) else "'" + str(value).replace("'", "''") + "'"
