"""The capabilities of the control plane, in their order; nothing else knows them all."""

from __future__ import annotations

from control_plane.accounts.capability import CAPABILITY as ACCOUNTS
from control_plane.history.capability import CAPABILITY as HISTORY
from control_plane.joining.capability import CAPABILITY as JOINING
from control_plane.kernel.clock import Clock, SystemClock
from control_plane.kernel.ids import IdFactory, SystemIds
from control_plane.log.capability import CAPABILITY as LOG
from control_plane.media.capability import CAPABILITY as MEDIA
from control_plane.meetings.capability import CAPABILITY as MEETINGS
from control_plane.nodes.capability import CAPABILITY as NODES
from control_plane.platform.capability import House
from control_plane.platform.observer import Observer
from control_plane.platform.postgres.capability import CAPABILITY as POSTGRES
from control_plane.platform.process import Application, Process
from control_plane.platform.redis.capability import CAPABILITY as REDIS
from control_plane.platform.telemetry import MetricsObserver
from control_plane.presence.capability import CAPABILITY as PRESENCE
from control_plane.quarantine.capability import CAPABILITY as QUARANTINE
from control_plane.reactions.capability import CAPABILITY as REACTIONS
from control_plane.rooms.capability import CAPABILITY as ROOMS
from control_plane.settings import ControlPlaneSettings
from control_plane.watching.capability import CAPABILITY as WATCHING

PLANNING = (POSTGRES, ACCOUNTS, MEETINGS)
"""What needs the database."""
LIVE = (NODES, ROOMS, HISTORY, MEDIA, PRESENCE, JOINING, WATCHING, REACTIONS, QUARANTINE)
"""Being in a meeting, and operating it."""
CAPABILITIES = (REDIS, LOG, *PLANNING, *LIVE)


def build(settings: ControlPlaneSettings, *, clock: Clock | None = None, ids: IdFactory | None = None) -> Application:
    """Returns a control plane that is ready to be started.

    Args:
        settings: What it is told.
        clock: The clock; the machine's when none is given.
        ids: The id factory; random when none is given.

    Raises:
        SigningKeyError: The signing key can't be used.
        UnservedMethodError: A method of a contract is served by no capability, or by two.
    """
    house = House(
        {
            ControlPlaneSettings: settings,
            Clock: clock or SystemClock(),
            IdFactory: ids or SystemIds(),
            Observer: MetricsObserver(),
        }
    )
    process = Process(CAPABILITIES, house)
    return Application(process, address=settings.control_plane_address, calls_per_second=settings.calls_per_second)
