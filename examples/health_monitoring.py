"""Check the health of one client, and read what was found."""

from workspace import workspace

from msp_core.v1 import Status
from msp_toolkit.core import HealthCheckConfig


def main() -> None:
    """Sweep a client, show what is wrong, tighten a limit, look at the history."""
    with workspace() as toolkit:
        health = toolkit.get_health_monitor()
        results = health.run_checks("acme-corp")
        wrong = [one for one in results if one.status is not Status.OK]
        print(f"{len(results)} checks, {len(wrong)} not OK")
        for one in wrong[:10]:
            print(f"  {one.name}: {one.status} - {one.message}")

        # This client wants to hear earlier about full disks than the others.
        health.configure("acme-corp", HealthCheckConfig(thresholds={"disk.warning_percent": 50}))
        stricter = health.run_checks("acme-corp", ["disk-space"])
        count = sum(1 for one in stricter if one.status is not Status.OK)
        print(f"With a warning from 50 % on: {count} of {len(stricter)} disks are not OK")

        summary = health.get_status_summary("acme-corp")
        print(f"Now: {summary.status} on {summary.devices} devices ({summary.counts})")
        print(f"{len(health.get_history('acme-corp', days=7))} results in the last 7 days")


if __name__ == "__main__":
    main()
