"""What limbeck's bytes travel in on Flower: one array of bytes, and beside it where the message belongs."""

from dataclasses import asdict, dataclass

from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict

from limbeck.core.errors import InputError

CONTENT, MARKS = "limbeck.content", "limbeck.marks"
BYTES_FORMAT = "limbeck.safetensors"


@dataclass(frozen=True, kw_only=True, order=True)
class Marks:
    """Where a message belongs; of two messages of a run the one sent later is the greater.

    Attributes:
        run: Key of the run.
        session: How often the run's server has been started when the message was sent, the first time 1.
        step: Which exchange of the session it belongs to, the first 1.
        client: Index of the client at the other end.
    """

    run: str
    session: int
    step: int
    client: int


def wrap(content: bytes, marks: Marks) -> RecordDict:
    """A message's bytes and its marks as Flower carries them. Law: `unwrap(wrap(...))` gives them back.

    Args:
        content: An encoded message.
        marks: Where it belongs.
    """
    array = Array(dtype="uint8", shape=(len(content),), stype=BYTES_FORMAT, data=content)
    return RecordDict({CONTENT: ArrayRecord({CONTENT: array}), MARKS: ConfigRecord(asdict(marks))})


def unwrap(record: RecordDict) -> tuple[bytes, Marks]:
    """The bytes and marks of a message.

    Raises:
        InputError: When something else was carried.
    """
    try:
        array = record.array_records[CONTENT][CONTENT]
        marks = Marks(**record.config_records[MARKS])  # pyright: ignore[reportArgumentType]
        whole = [type(value) for value in vars(marks).values()] == [str, int, int, int]
    except (KeyError, TypeError) as error:
        raise InputError(_describe_foreign(f"it lacks {error}")) from error
    if array.stype != BYTES_FORMAT or not whole:
        raise InputError(_describe_foreign(f"its bytes are `{array.stype}`"))
    return array.data, marks


def _describe_foreign(reason: str) -> str:
    return (
        f"a message on Flower must be one of limbeck's, but {reason}. Check that client and server run the "
        "same version, and no other app."
    )
