"""Decisions about identifiers as YAML files, to be kept in git, reviewed, and put back into a warehouse.

One file per batch of decisions that hold. Identifiers stand there by type and hash, so a file shows no value in the
clear and says something only to a warehouse whose identifiers are hashed with the same key.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagloom.identity import decisions as deciding
from tagloom.identity.decisions import BLOCK, LINK, NEVER_LINK, Decision, DecisionError, Draft
from tagloom.identity.identifiers import Identifier, identifier_hash
from tagloom.operations import create_operations_tables
from tagloom.yaml_files import YamlFiles

if TYPE_CHECKING:
    import duckdb

KEYS = ("decisions", "because", "by", "at", "hashed_with")
KINDS = {"decisions": list, "because": str, "by": str, "hashed_with": str}

FILES = YamlFiles("decisions", DecisionError)

_HASH = re.compile(r"[0-9a-f]{64}")

_UNNUMBERED = 0
"""Identifiers of files have no number here: they may not have been seen yet."""

Said = frozenset[tuple[str, str, str]]
"""Kind, type and hash of each end: a decision whichever end is named first."""


@dataclass(frozen=True)
class Batch:
    """What one file says."""

    drafts: list[Draft]
    reason: str
    decided_by: str
    decided_at: datetime
    """UTC, without a time zone."""


@dataclass(frozen=True)
class Imported:
    """What became of one file."""

    file: Path
    state: str
    """new, unchanged, or again: it was withdrawn here."""
    batch: int | None
    """Number of the batch that was written."""


def export_yaml(connection: duckdb.DuckDBPyConnection, folder: Path, key: bytes) -> list[Path]:
    """Write every batch of decisions that hold into a file in `folder` and remove those of batches withdrawn since.

    Returns what was written or removed; files that say the same already stay as they are.
    """
    create_operations_tables(connection)
    live = sorted(deciding.live_decisions(connection), key=lambda decision: (decision.batch_id, decision.decision_id))
    files = {}
    for _, batch in groupby(live, key=lambda decision: decision.batch_id):
        content = _content(list(batch), key)
        files[folder / _file_name(content)] = content
    return FILES.write(folder, files)


def import_yaml(
    connection: duckdb.DuckDBPyConnection, folder: Path, key: bytes, types: Iterable[str]
) -> list[Imported]:
    """Put back what the files below `folder` say and nobody has decided here; everything or nothing.

    Who decided, when and why come from the files. What holds here and is in no file stays. types: of identifiers.

    Raises DecisionError, which names the file, when one cannot be read or contradicts others or what holds here.
    """
    batches = {file: _checked(file, key, set(types)) for file in sorted(folder.rglob("*.yml"))}
    if not batches:
        raise DecisionError(
            f"{folder}: holds no decision; `identity decisions export-yaml` writes one file for each batch."
        )
    create_operations_tables(connection)
    everything = deciding.all_decisions(connection)
    live = [decision for decision in everything if decision.withdrawn_at is None]
    known = {_said(decision.kind, decision.left, decision.right) for decision in live}
    withdrawn = {_said(one.kind, one.left, one.right) for one in everything if one.withdrawn_at is not None}
    missing: dict[Path, list[Draft]] = {}
    states = {}
    for file, batch in batches.items():
        new = {}
        for draft in batch.drafts:
            said = _of(draft)
            if said not in known:
                new[said] = draft
        known |= new.keys()
        missing[file] = list(new.values())
        states[file] = "unchanged" if not new else "again" if new.keys() & withdrawn else "new"
    _refuse_contradictions(live, missing)
    numbers = {}
    if any(missing.values()):
        with deciding.changing(connection):
            for file, batch in sorted(batches.items(), key=lambda pair: pair[1].decided_at):
                if missing[file]:
                    numbers[file] = deciding.add_batch(
                        connection, missing[file], batch.reason, batch.decided_by, batch.decided_at
                    )
    return [Imported(file, states[file], numbers.get(file)) for file in batches]


def unknown_identifiers(connection: duckdb.DuckDBPyConnection) -> int:
    """How many identifiers of decisions that hold no record has shown: those decisions wait until one does."""
    [(number,)] = connection.execute(
        """
        with ends as (
            select left_type as identifier_type, left_hash as identifier_hash
            from operations.identity_decisions
            where withdrawn_at is null
            union
            select right_type, right_hash
            from operations.identity_decisions
            where withdrawn_at is null and right_hash is not null
        )
        select count(*)
        from ends
        anti join identity_mapping.identity_registry using (identifier_type, identifier_hash)
        """
    ).fetchall()
    return number


def _refuse_contradictions(live: list[Decision], missing: dict[Path, list[Draft]]) -> None:
    every = [draft for drafts in missing.values() for draft in drafts]
    try:
        deciding.refuse_contradictions(live, every)
    except DecisionError:
        # Which file it is takes a check for each, which many decisions need only when something is wrong.
        so_far: list[Draft] = []
        for file, drafts in missing.items():
            so_far += drafts
            try:
                deciding.refuse_contradictions(live, so_far)
            except DecisionError as error:
                raise DecisionError(f"{file}: decisions: {error}") from error
        raise


def _content(batch: list[Decision], key: bytes) -> dict[str, Any]:
    first = batch[0]
    return {
        "decisions": [
            {"kind": one.kind, "left": " ".join(one.left)} | ({"right": " ".join(one.right)} if one.right else {})
            for one in batch
        ],
        "because": first.reason,
        "by": first.decided_by,
        "at": first.decided_at.isoformat() + "Z",
        "hashed_with": _fingerprint(key),
    }


def _file_name(content: dict[str, Any]) -> str:
    """Day, first kind and a digest of everything: the same wherever the batch is exported."""
    digest = hashlib.sha256(repr(sorted(content.items())).encode()).hexdigest()[:8]
    return f"{content['at'][:10]}-{content['decisions'][0]['kind'].replace('_', '-')}-{digest}.yml"


def _fingerprint(key: bytes) -> str:
    """Tells one key from another and nothing about it."""
    return identifier_hash("fingerprint", "identity key", key)[:12]


def _checked(file: Path, key: bytes, types: set[str]) -> Batch:
    content = FILES.read(file)
    FILES.check_keys(file, content, KEYS, KEYS)
    FILES.check_kinds(file, content, KINDS)
    for name in ("because", "by"):
        if not content[name].strip():
            raise DecisionError(f"{file}: {name}: is empty; say {'why' if name == 'because' else 'who decided'}.")
    if content["hashed_with"] != _fingerprint(key):
        raise DecisionError(
            f"{file}: hashed_with: its identifiers are hashed with another TAGLOOM_IDENTITY_KEY than this "
            "installation's, so it would mean nobody here; import it where that key is set."
        )
    if not content["decisions"]:
        raise DecisionError(f"{file}: decisions: is empty; delete the file.")
    drafts = [_draft(file, one, f"decisions[{number}]", types) for number, one in enumerate(content["decisions"])]
    return Batch(drafts, content["because"], content["by"], _moment(file, content["at"]))


def _draft(file: Path, one: Any, place: str, types: set[str]) -> Draft:
    if not isinstance(one, dict):
        raise DecisionError(f"{file}: {place}: must have the keys kind, left and right.")
    kind = one.get("kind")
    if kind not in (LINK, NEVER_LINK, BLOCK):
        raise DecisionError(f"{file}: {place}.kind: {kind!r} is not one of {LINK}, {NEVER_LINK}, {BLOCK}.")
    keys = ("kind", "left") if kind == BLOCK else ("kind", "left", "right")
    FILES.check_keys(file, one, keys, keys, f"{place}.")
    ends = [_identifier(file, one[name], f"{place}.{name}", types) for name in keys[1:]]
    if len(ends) == 2 and ends[0] == ends[1]:
        raise DecisionError(f"{file}: {place}: left and right are the same; name two identifiers.")
    return Draft(kind, *ends)


def _identifier(file: Path, text: Any, place: str, types: set[str]) -> Identifier:
    kind, _, hashed = text.partition(" ") if isinstance(text, str) else ("", "", "")
    if kind not in types:
        raise DecisionError(f"{file}: {place}: begins with no identifier type; types are {', '.join(sorted(types))}.")
    if not _HASH.fullmatch(hashed):
        raise DecisionError(
            f"{file}: {place}: after the type comes a hash of 64 hexadecimal digits, never a value in the clear."
        )
    return Identifier(_UNNUMBERED, kind, hashed)


def _moment(file: Path, said: Any) -> datetime:
    """`2017-07-01T12:30:00Z`, in quotes or not, as UTC without a time zone."""
    try:
        moment = said if isinstance(said, datetime) else datetime.fromisoformat(str(said))
    except ValueError:
        raise DecisionError(f"{file}: at: {said!r} is no moment; write it as 2017-07-01T12:30:00Z.") from None
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def _said(kind: str, left: tuple[str, str], right: tuple[str, str] | None) -> Said:
    return frozenset((kind, *end) for end in (left, right) if end)


def _of(draft: Draft) -> Said:
    right = (draft.right.type, draft.right.hash) if draft.right else None
    return _said(draft.kind, (draft.left.type, draft.left.hash), right)
