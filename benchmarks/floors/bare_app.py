"""The least a Typer program can be."""

import typer

app = typer.Typer(rich_markup_mode=None, help="A bare app.")


@app.command()
def hello(name: str = "World") -> None:
    """Greet somebody."""
    typer.echo(f"Hello, {name}!")


@app.command()
def bye() -> None:
    """Part from everybody."""
    typer.echo("Bye!")


if __name__ == "__main__":
    app()
