"""
#### Purpose

Watches what channels achieve: payments that go through, carts that are bought, orders, baskets, coupons. Each file of
`monitors/` is a metric in SQL and the rule that says when it is alarming. An alarm is mailed to the metric's owner with
a drawing of the last weeks; its end is mailed, too. The history is in `operations.channel_alarms`.

It starts when `build_tags` has built the last layer, and judges the day that was built.

#### By hand

Trigger it with `as_of_date` to judge another day. Judging a day again replaces its verdicts.

#### When it fails

A monitor is wrong; the mail names file and key. Nothing else waits for this DAG.
"""

from tagloom.orchestration.monitors import monitor_channels_dag

monitor_channels = monitor_channels_dag(documentation=__doc__)
