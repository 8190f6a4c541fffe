"""Monitors as they are declared, and what a wrong one is told."""

import pytest
from tagloom.monitoring.declarations import MonitorError, load_monitors

RIGHT = {
    "title": "Orders",
    "title_zh": "订单",
    "owner": "stores@example.com",
    "what_to_do": "Ask the stores.",
    "unit": "number",
    "sql": "select 1",
    "rule": "{kind: below_mean}",
}


def declared(tmp_path, **changes) -> list:
    lines = [f"{key}: {value}" for key, value in (RIGHT | changes).items() if value is not None]
    (tmp_path / "orders.yml").write_text("\n".join(lines), encoding="utf-8")
    return load_monitors(tmp_path)


def test_a_right_one_is_read(tmp_path):
    (monitor,) = declared(tmp_path)
    assert (monitor.name, monitor.rule.share, monitor.rule.days) == ("orders", 0.8, 3)


def test_the_projects_own_monitors_can_be_read():
    monitors = load_monitors()
    assert {monitor.rule.kind for monitor in monitors} == {"below_mean", "seasonal_band"}
    assert {"web_payment", "store_orders", "store_basket", "coupon_redemption"} <= {
        monitor.name for monitor in monitors
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"owner": None}, "monitors/orders.yml: owner: is missing"),
        ({"colour": "blue"}, "monitors/orders.yml: colour: is not a known key"),
        ({"unit": "percent"}, "unit: 'percent' is not allowed"),
        ({"rule": "{kind: below_mean, share: 80}"}, "rule.share: 80 is not allowed"),
        ({"rule": "{kind: guess}"}, "rule: "),
        ({"rule": "{kind: seasonal_band, share: 0.5}"}, "rule.share: is not a known key"),
        ({"title": "[a"}, "is not readable as YAML"),
    ],
)
def test_a_wrong_one_is_told_what_is_wrong(tmp_path, changes, message):
    with pytest.raises(MonitorError) as error:
        declared(tmp_path, **changes)
    assert message in str(error.value)
    assert "monitors/orders.yml" in str(error.value)
