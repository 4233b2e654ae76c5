"""What every test gets: Hypothesis without timings (a slow machine is no failure)."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "rollbook", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
settings.load_profile("rollbook")
