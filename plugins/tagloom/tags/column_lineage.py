"""Which columns a column is computed from, and which columns a model uses: read from rendered SQL with sqlglot.

A column comes from what its expression names and from what decides which rows are there: `where`, `having` and
`qualify` of the queries that it passes through. The columns that rows are joined and grouped by say whose value it is,
not what it is, so they count as used and not as what a value comes from. What counts rows, or
says that there is one, comes from `<table>.*`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, build_scope, traverse_scope

DIALECT = "duckdb"

Column = tuple[str, str]
"""Table (as the SQL names it) and column."""


class LineageError(ValueError):
    """SQL cannot be understood; the message says why."""


@dataclass(frozen=True)
class QueryColumns:
    """What one query makes and what it reads."""

    outputs: dict[str, frozenset[Column]]
    """Column of the result, in order -> the columns of tables that it comes from."""
    rows: frozenset[Column]
    """What decides which rows the result has; `*` of the table that they begin with is among it."""
    used: frozenset[Column]
    """Every column of a table that the query names, or hands on through a `*` that reaches the result."""
    unknown: frozenset[Column]
    """Columns named of tables of which the given columns are known, and this is none."""


def query_columns(sql: str, tables: Mapping[str, list[str]]) -> QueryColumns:
    """Read one query. `tables` holds the columns of each table that is known, by the name that the SQL uses.

    Raises LineageError when the SQL cannot be parsed.
    """
    try:
        written = _parse(sql)
        named = {column.name for column in written.find_all(exp.Column)}
        expression = qualify(
            written,
            dialect=DIALECT,
            schema=_schema(tables),
            validate_qualify_columns=False,
            allow_partial_qualification=True,
            quote_identifiers=False,
            identify=False,
        )
        scope = build_scope(expression)
    except (SqlglotError, RecursionError) as error:
        raise LineageError(" ".join(str(error).split())[:300]) from error
    if scope is None:
        raise LineageError("it is no query")
    reader = _Reader()
    outputs = {name: frozenset(reader.origins(scope, name)) for name in scope.expression.named_selects}
    reached = set().union(*outputs.values())
    read = {(column, column[1] in named or column in reached) for column in _columns_of_tables(expression, tables)}
    return QueryColumns(
        outputs=outputs,
        rows=frozenset(reader.rows(scope)),
        used=frozenset(column for column, counts in read if counts and _is_known(column, tables)),
        unknown=frozenset(column for column, counts in read if counts and not _is_known(column, tables)),
    )


def _parse(sql: str) -> exp.Expression:
    import sqlglot

    return sqlglot.parse_one(sql, dialect=DIALECT)


def _schema(tables: Mapping[str, list[str]]) -> dict:
    """The columns in the shape that sqlglot takes: every table below a schema, '' for those that have none."""
    schema: dict[str, dict[str, dict[str, str]]] = {}
    for name, columns in tables.items():
        folder, _, table = name.rpartition(".")
        schema.setdefault(folder, {})[table] = dict.fromkeys(columns, "unknown")
    return schema


def _is_known(column: Column, tables: Mapping[str, list[str]]) -> bool:
    return column[0] not in tables or column[1] in tables[column[0]]


def _name(table: exp.Table) -> str:
    return f"{table.db}.{table.name}" if table.db else table.name


def _columns_of_tables(expression: exp.Expression, tables: Mapping[str, list[str]]) -> Iterator[Column]:
    """Every column in the query that is one of a table, not of a query within it."""
    for scope in traverse_scope(expression):
        own = [source for _, source in scope.selected_sources.values() if isinstance(source, exp.Table)]
        for column in scope.columns:
            source = scope.sources.get(column.table)
            if isinstance(source, exp.Table):
                yield _name(source), column.name
            elif not column.table and len(own) == 1 and len(scope.selected_sources) == 1 and _name(own[0]) in tables:
                # No table has it, so sqlglot could not say whose it is.
                yield _name(own[0]), column.name


class _Reader:
    """Follows columns through the queries within a query."""

    def __init__(self) -> None:
        self._found: dict[tuple[int, str], set[Column]] = {}
        self._deciding: dict[int, set[Column]] = {}

    def origins(self, scope: Scope, name: str) -> set[Column]:
        """The columns of tables that a column of this query comes from."""
        key = (id(scope), name)
        if key not in self._found:
            # A recursive query reads itself: what it adds is found by the first pass.
            self._found[key] = set()
            self._found[key] = self._origins(scope, name)
        return self._found[key]

    def _origins(self, scope: Scope, name: str) -> set[Column]:
        expression = scope.expression
        if isinstance(expression, exp.SetOperation):
            names = expression.named_selects
            if name not in names:
                return set()
            place = names.index(name)
            members = [member for member in scope.set_operation_scopes if place < len(member.expression.named_selects)]
            return set().union(*(self.origins(member, member.expression.named_selects[place]) for member in members))
        selected = next((select for select in expression.selects if select.alias_or_name == name), None)
        found = set(self.deciding(scope))
        if selected is not None:
            found |= self._of_columns(scope, selected)
            counts_rows = any(isinstance(count.this, exp.Star) for count in selected.find_all(exp.Count))
            if counts_rows or not selected.find(exp.Column, exp.Null):
                # A constant says no more than that there is a row, and null says nothing.
                found |= self.rows(scope)
        return found

    def rows(self, scope: Scope) -> set[Column]:
        """What decides which rows the query has, and `*` of the table that they begin with."""
        if isinstance(scope.expression, exp.SetOperation):
            return set().union(*(self.rows(member) for member in scope.set_operation_scopes))
        source = self._first_source(scope)
        begun = self.rows(source) if isinstance(source, Scope) and source is not scope else set()
        if isinstance(source, exp.Table):
            begun = {(_name(source), "*")}
        return begun | self.deciding(scope)

    def _first_source(self, scope: Scope) -> Scope | exp.Table | None:
        first = scope.expression.args.get("from_") or scope.expression.args.get("from")
        return scope.sources.get(first.this.alias_or_name) if first else None

    def deciding(self, scope: Scope) -> set[Column]:
        """The columns that decide which rows the query has: its filters, and those of what it selects from."""
        if id(scope) in self._deciding:
            return self._deciding[id(scope)]
        self._deciding[id(scope)] = set()
        expression = scope.expression
        found: set[Column] = set()
        if isinstance(expression, exp.SetOperation):
            found = set().union(*(self.deciding(member) for member in scope.set_operation_scopes))
        else:
            for part in ("where", "having", "qualify"):
                if expression.args.get(part):
                    found |= self._of_columns(scope, expression.args[part])
            source = self._first_source(scope)
            if isinstance(source, Scope):
                found |= self.deciding(source)
        self._deciding[id(scope)] = found
        return found

    def _of_columns(self, scope: Scope, part: exp.Expression) -> set[Column]:
        found: set[Column] = set()
        for column in part.find_all(exp.Column):
            source = scope.sources.get(column.table)
            if isinstance(source, exp.Table):
                found.add((_name(source), column.name))
            elif isinstance(source, Scope):
                found |= self.origins(source, column.name)
        for subquery in scope.subquery_scopes:
            if _is_within(subquery.expression, part):
                found |= self.deciding(subquery)
                found |= set().union(*(self.origins(subquery, name) for name in subquery.expression.named_selects))
        return found


def _is_within(inner: exp.Expression, outer: exp.Expression) -> bool:
    node: exp.Expression | None = inner
    while node is not None and node is not outer:
        node = node.parent
    return node is not None
