"""The cases every plugin of this kind must pass."""

from msp_core.testing.conformance import SecretProviderConformance


class TestConformance(SecretProviderConformance):
    """What every place of secrets must do."""

    plugin = "secrets-file"
