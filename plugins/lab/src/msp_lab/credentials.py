"""The lab's made-up credentials; they open nothing but a lab of the same seed."""

from msp_lab.chance import token, uid


def credentials(seed: int) -> dict[str, str]:
    """Return every credential of a lab by name."""
    return {
        "ninjaone/client_id": token("lab-id", seed, 1),
        "ninjaone/client_secret": token("lab-secret", seed, 2),
        "automate/client_id": uid(seed, 3),
        "automate/username": "lab-api",
        "automate/password": token("lab-password", seed, 4),
        "automate/mfa_username": "lab-mfa",
        "automate/mfa_passcode": "246810",
    }
