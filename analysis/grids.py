"""A table of text, whatever page it ends on."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Grid:
    """A table of text.

    Attributes:
        heads: What its columns are.
        rows: A text per column, row by row.
    """

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        """It as Markdown, without an empty line around it."""
        lines = [_line(self.heads), "|---" * len(self.heads) + "|", *map(_line, self.rows)]
        return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
