"""
#### Purpose

Sends mails and chat messages that wait, because a server was down when they were written or because of quiet hours,
and the daily digest of warnings. A failure does not wait for it: the task that finds it sends at once. Before that,
`watch_sources` notes which sources are late by the clock: those that say `expected_by` in their declaration.

#### By hand

Trigger it to send now what waits. `python -m tagloom alerts list` shows what is wrong and what waits.

#### When it fails

A mail server or chat did not take something; the log says which and why. Nothing is lost: the next run tries again.
"""

from tagloom.orchestration.sending import send_alerts_dag

send_alerts = send_alerts_dag(documentation=__doc__)
