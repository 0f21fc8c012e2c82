"""What administrators do to environments: fork, promote, rename, destroy."""

from __future__ import annotations

from versionsync.simulator.errors import ApiError, invalid_field
from versionsync.simulator.world.environments import Environment
from versionsync.simulator.world.event_log import (
    EnvironmentDestroyed,
    EnvironmentForked,
    EnvironmentPromoted,
    EnvironmentRenamed,
)
from versionsync.simulator.world.people import Editor
from versionsync.simulator.world.state import NotificationType, WorldState

__all__ = ["EnvironmentActions"]


class EnvironmentActions(WorldState):
    """The acts on whole environments."""

    def fork(self, editor: Editor, source: str, new_id: str) -> Environment:
        """Copy *source* as *new_id*; it is `creating` for as long as the switch `fork_duration` says."""
        if new_id in self.environments:
            raise invalid_field("id", "VALIDATION_UNIQUE")
        origin = self.environment(source)
        now = self.now()
        origin.demand_ready(now)
        renew = None if self.options.forks_keep_version_ids else self.ids.new
        forked, version_ids = origin.fork(new_id, now, renew)
        if self.options.fork_duration:
            forked.ready_at = now + self.options.fork_duration
        self.environments[new_id] = forked
        self.event_log.write(EnvironmentForked(now, new_id, source, version_ids))
        self.notify(NotificationType.CREATE, forked, forked)
        return forked

    def remember(self) -> None:
        """Keep the records of all environments as they are now, for answers that lag behind (`FaultKind.LAGGING`)."""
        for environment in self.environments.values():
            environment.remember()

    def promote(self, editor: Editor, environment_id: str) -> Environment:
        """Make another environment the primary one."""
        promoted = self.environment(environment_id)
        promoted.demand_ready(self.now())
        for environment in self.environments.values():
            environment.is_primary = environment is promoted
        self.event_log.write(EnvironmentPromoted(self.now(), environment_id))
        self.notify(NotificationType.PROMOTE, promoted, promoted)
        return promoted

    def rename(self, editor: Editor, environment_id: str, new_id: str) -> Environment:
        """Give an environment another id."""
        renamed = self.environment(environment_id)
        if new_id in self.environments:
            raise invalid_field("id", "VALIDATION_UNIQUE")
        renamed.id = new_id
        self.environments = {environment.id: environment for environment in self.environments.values()}
        self.event_log.write(EnvironmentRenamed(self.now(), new_id, environment_id))
        self.notify(NotificationType.UPDATE, renamed, renamed)
        return renamed

    def destroy_environment(self, editor: Editor, environment_id: str) -> Environment:
        """Remove an environment with all that is in it; the primary one cannot go."""
        gone = self.environment(environment_id)
        if gone.is_primary:
            raise ApiError(
                "INVALID_ENVIRONMENT", details={"environment": environment_id, "reason": "it is the primary one"}
            )
        del self.environments[environment_id]
        self.event_log.write(EnvironmentDestroyed(self.now(), environment_id))
        self.notify(NotificationType.DELETE, gone, gone)
        return gone
