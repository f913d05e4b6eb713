"""How a source is read: the settings of `load` that are not about where it lies."""

from dataclasses import dataclass

from limbeck.core.errors import require


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """Settings for sources of encoded images or of tables.

    Attributes:
        image_size: Every image becomes this many pixels high and wide; None keeps the sizes.
        text_column: The column that holds texts; None to find it by name.
        label_column: The column that holds labels; None to find it by name.
        memory_limit: Bytes of decoded images that may lie in memory; None for half of what is available.

    Raises:
        InputError: When a number is out of range.
    """

    image_size: int | None = None
    text_column: str | None = None
    label_column: str | None = None
    memory_limit: int | None = None

    def __post_init__(self) -> None:
        require(
            self.image_size is None or self.image_size >= 1,
            "image_size >= 1",
            f"image_size={self.image_size}",
            "Give the height and width in pixels, such as 64.",
        )
        require(
            self.memory_limit is None or self.memory_limit >= 0,
            "memory_limit >= 0",
            f"memory_limit={self.memory_limit}",
            "Give bytes, or leave it out for half of the available memory.",
        )

    def refuse(self, *names: str, source: str) -> None:
        """Raise `InputError` when one of these settings is given, because `source` has no use for it."""
        given = [name for name in names if getattr(self, name) is not None]
        require(
            not given,
            f"{' and '.join(given)} fits the source",
            f"{', '.join(f'{name}={getattr(self, name)}' for name in given)} for `{source}`",
            "Leave it out: it is for encoded images or tables that are read from files.",
        )


DEFAULTS = ReadOptions()
