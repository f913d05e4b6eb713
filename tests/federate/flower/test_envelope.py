"""What goes into an envelope comes out of it, and nothing else does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limbeck.core.errors import InputError

WHY = "Flower is not installed"
envelope = pytest.importorskip("limbeck.federate.flower.envelope", reason=WHY)
flwr_app = pytest.importorskip("flwr.app", reason=WHY)

MARKS = envelope.Marks(run="0" * 32, session=1, step=2, client=3)


@given(content=st.binary(max_size=200), step=st.integers(0, 2**40), client=st.integers(0, 2**31))
def test_bytes_and_marks_come_back(content, step, client):
    marks = envelope.Marks(run="f" * 32, session=1, step=step, client=client)
    assert envelope.unwrap(envelope.wrap(content, marks)) == (content, marks)


def test_bytes_and_marks_come_back_from_flowers_own_serialisation():
    record = envelope.wrap(b"\x00limbeck", MARKS)
    pieces = {name: part.deflate() for name, part in record.items()}
    again = flwr_app.RecordDict(
        {
            envelope.MARKS: flwr_app.ConfigRecord.inflate(pieces[envelope.MARKS]),
            envelope.CONTENT: record[envelope.CONTENT],
        }
    )
    assert envelope.unwrap(again) == (b"\x00limbeck", MARKS)


def test_the_later_of_two_messages_is_the_greater():
    later = envelope.Marks(run="0" * 32, session=2, step=1, client=3)
    assert later > MARKS


@pytest.mark.parametrize(
    "change",
    [
        lambda record: record.pop(envelope.CONTENT),
        lambda record: record.pop(envelope.MARKS),
        lambda record: record[envelope.MARKS].pop("step"),
        lambda record: record[envelope.MARKS].update(step="2"),
        lambda record: record[envelope.MARKS].update(other=2),
        lambda record: record[envelope.CONTENT].update(
            {envelope.CONTENT: flwr_app.Array("float32", (1,), "numpy.ndarray", b"0000")}
        ),
    ],
)
def test_something_else_is_refused(change):
    record = envelope.wrap(b"limbeck", MARKS)
    change(record)
    with pytest.raises(InputError, match="must be one of limbeck's"):
        envelope.unwrap(record)
