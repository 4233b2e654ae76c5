"""The options --since and --until of commands that list a part of the ledger."""

from __future__ import annotations

import click

from rollbook.genesys.errors import UsageError
from rollbook.genesys.times import from_text, to_text

since_option = click.option("--since", metavar="TIME", help="From this time on (UTC where it has no offset).")
until_option = click.option("--until", metavar="TIME", help="Before this time.")


def moment(name: str, text: str | None) -> str | None:
    """The time that an option gives, as API text. Raises UsageError, naming the option, where it is no time."""
    try:
        return None if text is None else to_text(from_text(text))
    except ValueError as error:
        raise UsageError(f"{name}: {error}") from None
