"""
#### Purpose

Brings tags up to date within a minute after events came in: computes the rows of those persons again whom the new rows
are about, and publishes a new version. Everything else stays as the last build of `build_tags` left it.

It starts when a source that says `schedule: on arrival` has landed something. Batches that come while it runs are taken
up together by one further run. It skips itself while there is no complete build to update: before the first one, while
one is under way, after one that failed. The end of a build starts it.

#### By hand

Trigger it; there is nothing to give. When nothing is new it does nothing.

#### When it fails

The last published version stays in use. Each run finds out by itself what is not in the tags yet, so the next one, or
the next build, makes up for it. The mail names the model; see `build_tags` for what to do.
"""

from tagloom.orchestration.build import update_tags_dag
from tagloom.settings import load_settings
from tagloom.sources import readable_sources

sources, _ = readable_sources(load_settings().sources)

update_tags = update_tags_dag(sources, documentation=__doc__)
