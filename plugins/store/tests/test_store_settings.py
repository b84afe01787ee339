"""What the section `database` refuses."""

import pytest

from msp_store.settings import DatabaseSettings


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:hunter22@db.example/msp",
        "postgresql://db.example/msp?password=hunter22",
        "host=db.example password = hunter22",
    ],
)
def test_an_address_with_a_password_is_a_wrong_configuration(url: str) -> None:
    """The configuration holds references only, and the error does not repeat what it found."""
    with pytest.raises(ValueError, match="holds a password") as caught:
        DatabaseSettings(url=url)
    assert "hunter22" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["postgresql://user@db.example:5432/msp?sslmode=require", "postgresql:///a:b@c", None]
)
def test_an_address_without_a_password_is_fine(url: str | None) -> None:
    """A colon or an at sign elsewhere is no password."""
    assert DatabaseSettings(url=url).url == url
