"""
Records are read as they were written, and errors name the damaged member.
"""

from __future__ import annotations

import datetime as dt
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagesession._domain.marks import Marks
from imagesession._domain.options import GenerateOptions
from imagesession._domain.sessions import SessionRecord
from imagesession._domain.turn import Turn
from imagesession._store import codec
from imagesession.errors import CorruptRecordError, StorageError, UnsupportedFormatVersionError
from tests import strategies


@given(strategies.turns)
def test_turns_round_trip(turn: Turn) -> None:
    """
    Writing and reading a turn changes nothing.
    """
    assert codec.read_turn(codec.dump_turn(turn), "here") == turn


@given(strategies.marks)
def test_marks_round_trip(marks: Marks) -> None:
    """
    Writing and reading marks changes nothing.
    """
    assert codec.read_marks(codec.dump_marks(marks), "here") == marks


@given(strategies.sessions)
def test_sessions_round_trip(session: SessionRecord) -> None:
    """
    Writing and reading a session changes nothing.
    """
    assert codec.read_session(codec.dump_session(session), "here") == session


@given(strategies.turns, st.data())
def test_wrong_member_type_is_a_storage_error(turn: Turn, data: st.DataObject) -> None:
    """
    A record with a member of another type is read or refused with an error that names it.
    """
    record = json.loads(codec.dump_turn(turn))
    name = data.draw(st.sampled_from(sorted(record)))
    wrong: list[object] = [None, 7, "?", [], {}, [3], True]
    record[name] = data.draw(st.sampled_from(wrong))
    try:
        codec.read_turn(json.dumps(record).encode(), "here")
    except StorageError as error:
        assert "here" in str(error)  # noqa: PT017 - the error may also not come


@given(st.binary(max_size=60))
def test_arbitrary_bytes_are_a_corrupt_record(data: bytes) -> None:
    """
    Bytes that are not a record are refused, and the error names the file.
    """
    with pytest.raises(CorruptRecordError, match="here"):
        codec.read_turn(data, "here")


@given(strategies.turns.filter(lambda turn: turn.images))
def test_error_names_the_damaged_member(turn: Turn) -> None:
    """
    An error names the path to the member that is wrong.
    """
    record = json.loads(codec.dump_turn(turn))
    record["images"][0]["width"] = "wide"
    with pytest.raises(
        CorruptRecordError, match=r"here: images\[0\]\.width should be int and is str"
    ):
        codec.read_turn(json.dumps(record).encode(), "here")


TURN = Turn(
    id="01JDSZ0000AAAAAAAAAAAAAAAA",
    prompt="a harbour at dawn",
    options=GenerateOptions(),
    status="completed",
    started=dt.datetime(2026, 11, 30, tzinfo=dt.UTC),
)


@pytest.mark.parametrize(
    "name", ["branch", "status", "prompt", "options", "masked", "images", "context", "version"]
)
@pytest.mark.parametrize("damage", ["missing", "null"])
def test_missing_member_is_damage(name: str, damage: str) -> None:
    """
    A member that every record has is never replaced by a default: without it, a record is damaged.
    """
    record = json.loads(codec.dump_turn(TURN))
    del record[name]
    if damage == "null":
        record[name] = None
    with pytest.raises(CorruptRecordError, match=f"^here: {name} should be"):
        codec.read_turn(json.dumps(record).encode(), "here")


@pytest.mark.parametrize(
    "name", ["depth", "kind", "label", "parameters", "parents", "within", "erased_images"]
)
def test_member_that_came_later_may_be_missing(name: str) -> None:
    """
    A record of before a member existed is read with the member's default.
    """
    record = json.loads(codec.dump_turn(TURN))
    del record[name]
    assert codec.read_turn(json.dumps(record).encode(), "here") == TURN


@given(strategies.turns)
def test_newer_record_is_refused(turn: Turn) -> None:
    """
    A record of a newer version is refused.
    """
    record = json.loads(codec.dump_turn(turn))
    record["format"] = codec.RECORD_VERSION + 1
    with pytest.raises(UnsupportedFormatVersionError, match="update"):
        codec.read_turn(json.dumps(record).encode(), "here")


@given(strategies.turns)
def test_turn_record_is_not_read_as_session(turn: Turn) -> None:
    """
    A record of another kind is refused.
    """
    with pytest.raises(CorruptRecordError, match="not of a session"):
        codec.read_session(codec.dump_turn(turn), "here")
