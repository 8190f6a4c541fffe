"""A small client of the API: one file, which needs only httpx and may be copied anywhere.

from tagloom.client import Tagloom, all_of, where

with Tagloom("https://tags.example.com/tagloom", token="tagloom_...") as tagloom:
    at_risk = all_of(where("rfm_segment", "in", ["at risk"]), where("is_email_reachable", "=", True))
    print(tagloom.size(at_risk, consent="email"))
    audience = tagloom.save_audience("Win back", at_risk, consent="email", holdout_percent=10)
    for member in tagloom.members(audience["id"]):
        print(member["person_id"])
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

TIMEOUT_SECONDS = 60


class TagloomError(RuntimeError):
    """The server has refused something; the message is its sentence, `status` the HTTP status."""

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = status


def where(tag: str, operator: str, value: Any = None) -> dict[str, Any]:
    """A condition on a tag: where("orders_365d", ">=", 3), where("rfm_segment", "in", ["champion", "loyal"])."""
    return {"field": f"tag:{tag}", "operator": operator, "value": value}


def did(event: str, at_least: int = 1, within_days: int | None = None) -> dict[str, Any]:
    """A condition on an event: did("purchase", at_least=2, within_days=30)."""
    value = {"at_least": at_least, "within_days": within_days}
    return {"field": f"event:{event}", "operator": "did", "value": value}


def all_of(*rules: dict[str, Any], negated: bool = False) -> dict[str, Any]:
    """A group whose rules must all hold; `negated`: must not all hold."""
    return {"combinator": "and", "not": negated, "rules": list(rules)}


def any_of(*rules: dict[str, Any], negated: bool = False) -> dict[str, Any]:
    """A group of which one rule must hold; `negated`: none may."""
    return {"combinator": "or", "not": negated, "rules": list(rules)}


class Tagloom:
    """A connection to one portal. Raises TagloomError for what the server refuses, httpx.HTTPError when it is away."""

    def __init__(self, address: str, token: str, client: httpx.Client | None = None):
        """`address`: of the portal, with /tagloom when it is within Airflow. `client`: an own one, for proxies."""
        self._client = client or httpx.Client(timeout=TIMEOUT_SECONDS)
        self._root = f"{address.rstrip('/')}/api/v1"
        self._headers = {"authorization": f"Bearer {token}", "accept": "application/json"}

    def __enter__(self) -> Tagloom:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def version(self) -> dict[str, Any]:
        """The published version: version, as_of_date, computed_at, persons."""
        return self._ask("GET", "/version")

    def tags(self, object: str = "person", category: str = "") -> list[dict[str, Any]]:
        """Published tags of an object, of one category if given."""
        return self._ask("GET", "/tags", params={"object": object, "category": category})["tags"]

    def tag(self, name: str, object: str = "person") -> dict[str, Any]:
        """One tag with its definition and newest statistics."""
        return self._ask("GET", f"/tags/{name}", params={"object": object})

    def audiences(self) -> list[dict[str, Any]]:
        """Every saved audience with its newest size."""
        return self._ask("GET", "/audiences")["audiences"]

    def audience(self, audience_id: int) -> dict[str, Any]:
        """One audience with its definition and versions."""
        return self._ask("GET", f"/audiences/{audience_id}")

    def preview(self, rule: dict[str, Any], **more: Any) -> dict[str, Any]:
        """Count a rule without saving it: members, population, sentence, sql. `more`: consent, holdout_percent ..."""
        return self._ask("POST", "/audiences/preview", json={"definition": _definition(rule, more)})

    def size(self, rule: dict[str, Any], **more: Any) -> int | None:
        """How many persons fit a rule; None when they are too few to be told."""
        return self.preview(rule, **more)["members"]

    def save_audience(
        self,
        name: str,
        rule: dict[str, Any],
        *,
        folder: str = "",
        description: str = "",
        note: str = "",
        audience_id: int | None = None,
        **more: Any,
    ) -> dict[str, Any]:
        """Save a new audience, or with `audience_id` a new version. `more`: consent, holdout_percent, split ..."""
        body = {"name": name, "folder": folder, "description": description, "note": note}
        path = "/audiences" if audience_id is None else f"/audiences/{audience_id}"
        return self._ask("POST", path, json=body | {"definition": _definition(rule, more)})

    def delete_audience(self, audience_id: int) -> None:
        """Delete an audience that nothing stands on."""
        self._ask("DELETE", f"/audiences/{audience_id}")

    def members(self, audience_id: int) -> Iterator[dict[str, Any]]:
        """Every member of one published version: person_id, part, is_held_out.

        Raises TagloomError when a new version is published meanwhile: members of two versions are never mixed.
        """
        after, version = 0, None
        while after is not None:
            page = self._ask("GET", f"/audiences/{audience_id}/members", params={"after": after})
            if version not in (None, page["version"]):
                raise TagloomError(
                    409, f"Version {page['version']} was published meanwhile; ask for the members again."
                )
            version, after = page["version"], page["next"]
            yield from page["members"]

    def profile(self, person_id: int) -> dict[str, Any]:
        """Every tag of a person that the token may read."""
        return self._ask("GET", f"/persons/{person_id}")

    def look_up(self, kind: str, value: str) -> int | None:
        """The person of an identifier, such as look_up("email", "ann@example.com"); None when it is nobody's."""
        return self._ask("POST", "/persons/lookup", json={"kind": kind, "value": value})["person_id"]

    def exports(self) -> list[dict[str, Any]]:
        """Every export with what became of it last."""
        return self._ask("GET", "/exports")["exports"]

    def save_export(self, audience_id: int, name: str, columns: list[str], **more: Any) -> dict[str, Any]:
        """Save a new export. `more`: target, schedule, purpose, channel, destination, table."""
        return self._ask("POST", f"/audiences/{audience_id}/exports", json={"name": name, "columns": columns} | more)

    def run_export(self, export_id: int) -> dict[str, Any]:
        """Send an export with the published version; its status is sent, held, failed or suppressed."""
        return self._ask("POST", f"/exports/{export_id}/run")

    def download(self, export_id: int, file: Path, version: str = "") -> Path:
        """Write the file of an export to `file`."""
        answer = self._send("GET", f"/exports/{export_id}/file", params={"version": version})
        file.write_bytes(answer.content)
        return file

    def _ask(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        return self._send(method, path, **more).json()

    def _send(self, method: str, path: str, **more: Any) -> httpx.Response:
        answer = self._client.request(method, self._root + path, headers=self._headers, **more)
        if not answer.is_success:
            try:
                said = answer.json()
                message = " ".join(filter(None, (said.get("error"), said.get("cure"))))
            except (ValueError, AttributeError):
                message = answer.text[:200]
            raise TagloomError(answer.status_code, message or f"The server answered {answer.status_code}.")
        return answer


def _definition(rule: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    group = rule if "rules" in rule else all_of(rule)
    return {"schema": 1, "rule": group} | more
