"""The simulated project and everything that people, and the clock, can do to it."""

from __future__ import annotations

from functools import cached_property

from versionsync.simulator.world.bulk_actions import BulkActions
from versionsync.simulator.world.copy_actions import CopyActs
from versionsync.simulator.world.environment_actions import EnvironmentActions
from versionsync.simulator.world.fieldset_actions import FieldsetActs
from versionsync.simulator.world.loading import Loading
from versionsync.simulator.world.people_actions import PeopleActs
from versionsync.simulator.world.record_actions import RecordActions
from versionsync.simulator.world.site_actions import SiteActions
from versionsync.simulator.world.upload_actions import UploadActs
from versionsync.simulator.world.webhooks import Webhooks

__all__ = ["World"]


class World(
    BulkActions, RecordActions, SiteActions, FieldsetActs, CopyActs, EnvironmentActions, PeopleActs, UploadActs, Loading
):
    """One DatoCMS project, in memory.

    Each act takes the editor first, happens at `clock.now()` in the environment named (None: the primary one), writes
    the journal, and raises `Refused` where upstream would answer with an error. The topics, a module each: records
    (`record_acts`), many at once (`bulk_acts`), publishing by hand and by schedule (`publishing_acts`), models, fields
    and locales (`schema_acts`), fieldsets (`fieldset_acts`), copies of models and fields (`copy_acts`), the project
    (`site_acts`), environments (`environment_acts`), roles and API tokens (`people_acts`), assets
    (`upload_acts`), a ready-made past (`loading`). `journal` knows what happened, `people` who there is, `switches` how
    upstream behaves where its vendor does not say.
    """

    @cached_property
    def webhooks(self) -> Webhooks:
        """The project's webhooks, which hear of what happens once they are registered."""
        return Webhooks(self)

    @property
    def has_webhooks(self) -> bool:
        """Whether any webhook is registered; asking makes no `webhooks`."""
        return "webhooks" in vars(self) and bool(self.webhooks.registered)
