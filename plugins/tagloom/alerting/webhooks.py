"""Posts alerts to chats: the JSON that Slack, Feishu, DingTalk and WeCom expect from their incoming webhooks.

Sources: Slack "Sending messages using incoming webhooks"; Feishu/Lark "Custom bot usage guide"; DingTalk "Custom robot
access"; WeCom "Group robot configuration". All take one POST of JSON; all but Slack answer 200 with a code in the body.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import time
from collections.abc import Callable
from urllib.parse import quote_plus

from tagloom.alerting.mail_server import NotTakenError
from tagloom.alerting.messages import Mail, render
from tagloom.alerting.routing import Webhook

TIMEOUT_SECONDS = 10

LONGEST_TEXT = 3000
"""Characters; WeCom takes 4,096 bytes of markdown, the others more. A Chinese character has three bytes."""

MOST_BYTES = 4000


def content(mail: Mail) -> bytes:
    """What is kept in the alert book for a chat: title and text, whatever the chat's format."""
    text, _, _ = render(mail)
    # The first line repeats the subject.
    body = text.partition("\n")[2].strip().partition("\n-- \n")[0].strip()
    return json.dumps({"title": mail.subject, "text": _shortened(body)}, ensure_ascii=False).encode()


def post(webhook: Webhook, kept: bytes, clock: Callable[[], float] = time.time) -> None:
    """Post a kept message. Raises NotTakenError when the chat does not take it."""
    # Only who has a chat pays for it.
    import requests

    address = os.environ.get(webhook.address_variable, "")
    if not address:
        raise NotTakenError(f"{webhook.address_variable} is not set; it holds the chat's address", is_down=True)
    secret = os.environ.get(webhook.secret_variable, "") if webhook.secret_variable else ""
    message = json.loads(kept)
    payload = FORMATS[webhook.format](message["title"], message["text"])
    if secret and webhook.format == "feishu":
        payload |= _feishu_signature(secret, int(clock()))
    if secret and webhook.format == "dingtalk":
        address += _dingtalk_signature(secret, int(clock() * 1000))
    try:
        answer = requests.post(address, json=payload, timeout=TIMEOUT_SECONDS)
    except requests.RequestException as error:
        # The address is a secret: the message of the exception would show it.
        raise NotTakenError(f"the chat cannot be reached: {type(error).__name__}", is_down=True) from None
    problem = _problem(webhook.format, answer.status_code, answer.text)
    if problem:
        raise NotTakenError(problem, is_down=answer.status_code >= 500 or answer.status_code == 429)


def _slack(title: str, text: str) -> dict:
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return {
        "text": title,
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": title[:150]}},
            {"type": "section", "text": {"type": "mrkdwn", "text": f"```{escaped[:2900]}```"}},
        ],
    }


def _feishu(title: str, text: str) -> dict:
    paragraph = [{"tag": "text", "text": text}]
    return {"msg_type": "post", "content": {"post": {"en_us": {"title": title, "content": [paragraph]}}}}


def _dingtalk(title: str, text: str) -> dict:
    return {"msgtype": "markdown", "markdown": {"title": title, "text": f"### {title}\n\n{_as_markdown(text)}"}}


def _wecom(title: str, text: str) -> dict:
    return {"msgtype": "markdown", "markdown": {"content": _cut_bytes(f"### {title}\n{text}", MOST_BYTES)}}


FORMATS = {"slack": _slack, "feishu": _feishu, "dingtalk": _dingtalk, "wecom": _wecom}
"""Name of a format -> title and text to JSON."""


def _feishu_signature(secret: str, seconds: int) -> dict:
    digest = hmac.new(f"{seconds}\n{secret}".encode(), digestmod=hashlib.sha256).digest()
    return {"timestamp": str(seconds), "sign": base64.b64encode(digest).decode()}


def _dingtalk_signature(secret: str, milliseconds: int) -> str:
    digest = hmac.new(secret.encode(), f"{milliseconds}\n{secret}".encode(), hashlib.sha256).digest()
    return f"&timestamp={milliseconds}&sign={quote_plus(base64.b64encode(digest))}"


def _problem(chat: str, status: int, text: str) -> str:
    if not 200 <= status < 300:
        return f"the chat answered {status}: {' '.join(text.split())[:200]}"
    if chat == "slack":
        return ""
    try:
        answer = json.loads(text)
    except ValueError:
        return f"the chat answered something else than JSON: {' '.join(text.split())[:200]}"
    code = answer.get("errcode", answer.get("code", answer.get("StatusCode", 0)))
    said = answer.get("errmsg") or answer.get("msg") or ""
    return f"the chat refused it: {code} {said}".strip() if code else ""


def _as_markdown(text: str) -> str:
    """Line ends that stay: DingTalk joins lines that do not end with two blanks."""
    return "\n".join(f"{line}  " for line in text.splitlines())


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 2].rstrip() + " …"


def _cut_bytes(text: str, most: int) -> str:
    return text.encode()[:most].decode(errors="ignore")
