"""Rights, tokens, the audit log."""

from __future__ import annotations

import re


def test_the_rights_page_says_what_a_role_may(client_as) -> None:
    answer = client_as("viewer").get("/admin/rights")

    assert answer.status_code == 200
    assert "steer_identity" in answer.text


def test_a_token_is_shown_once_and_revoked(client_as) -> None:
    client = client_as("analyst")
    made = client.post("/admin/tokens", data={"name": "report", "role": "viewer", "days": "7"})
    token = re.search(r"tagloom_[\w-]{40,}", made.text).group()

    assert token not in client.get("/admin/tokens").text
    assert client.post("/admin/tokens/1/revoke").status_code == 303
    assert "revoked" in client.get("/admin/tokens").text


def test_a_token_has_no_more_rights_than_its_maker(client_as) -> None:
    answer = client_as("analyst").post("/admin/tokens", data={"name": "report", "role": "admin", "days": "7"})

    assert answer.status_code == 403


def test_nobody_revokes_the_token_of_another(client_as) -> None:
    client_as("analyst").post("/admin/tokens", data={"name": "report", "role": "viewer", "days": "7"})

    assert client_as("analyst", name="eve").post("/admin/tokens/1/revoke").status_code == 404
    assert client_as("admin", name="root").post("/admin/tokens/1/revoke").status_code == 303


def test_a_token_needs_a_name_and_an_end(client_as) -> None:
    client = client_as("analyst")

    assert client.post("/admin/tokens", data={"name": " ", "role": "viewer", "days": "7"}).status_code == 400
    assert client.post("/admin/tokens", data={"name": "x", "role": "viewer", "days": "9999"}).status_code == 400


def test_the_audit_log_names_who_made_a_token(client_as) -> None:
    client_as("analyst").post("/admin/tokens", data={"name": "report", "role": "viewer", "days": "7"})

    log = client_as("admin", name="root").get("/admin/audit", params={"q": "ada"})

    assert "token created" in log.text
    assert "token:1" in log.text
