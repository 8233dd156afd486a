"""What holds for every test."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# An example that is slow on a busy machine is not wrong; the timeout of pytest ends one that hangs.
settings.register_profile("project", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("project")
