"""Health checks: the one way through from plan to record."""
