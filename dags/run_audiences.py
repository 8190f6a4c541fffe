"""
#### Purpose

Works out who is in each audience that people have saved in the portal, who entered and who left, and sends the exports
that are due. It starts after each publish, and looks again every hour: an export that was held goes out within the hour
after its incident has ended.

An export is sent once per published version. It is held while an open incident makes something stale that it stands
on; `python -m tagloom alerts release export:<number> --because "..."` or the portal's page of the export lets it go.

#### By hand

Trigger it to work out and send now what is due, or run `python -m tagloom audiences run`. Every task may be repeated
and may be killed at any moment: nothing is sent twice.

#### When it fails

`members`: the definition of an audience asks for a tag or event that is no longer published; the log names the place in
the rule. Change the definition in the portal. `send`: a webhook or database did not take an export; the log names it.
The next run goes on where it stopped.
"""

from tagloom.orchestration.audiences import run_audiences_dag

run_audiences = run_audiences_dag(documentation=__doc__)
