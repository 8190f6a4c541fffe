"""
#### Purpose

Does what stewards ask for on the portal's identity pages: it writes their decisions (link, never link, block, split,
take back) and runs the simulations that they asked for. The next `build_tags` follows the decisions. It also renews
what the portal shows of suspects, the review queue and the channels.

The portal writes a decision at once when nobody has the warehouse; this is for those taken during a build.

#### By hand

Trigger it to do at once what waits, or run `python -m tagloom identity carry-out`.

#### When it fails

The warehouse was in use for too long: the next run tries again, nothing is lost. A decision that contradicts others is
no failure; the portal shows it as refused, with the reason.
"""

from tagloom.orchestration.steering import steer_identity_dag

steer_identity = steer_identity_dag(documentation=__doc__)
