"""
Records are read back as they were written, and damage is named by its place.
"""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagesession._domain.sessions import SessionRecord
from imagesession._domain.turn import Turn
from imagesession._store import codec
from imagesession.errors import CorruptRecordError, StorageError, UnsupportedFormatVersionError
from tests import strategies


@given(strategies.turns)
def test_turns_come_back_as_they_were(turn: Turn) -> None:
    """
    Writing and reading a turn changes nothing.
    """
    assert codec.read_turn(codec.dump_turn(turn), "here") == turn


@given(strategies.sessions)
def test_sessions_come_back_as_they_were(session: SessionRecord) -> None:
    """
    Writing and reading a session changes nothing.
    """
    assert codec.read_session(codec.dump_session(session), "here") == session


@given(strategies.turns, st.data())
def test_any_damage_is_a_record_error(turn: Turn, data: st.DataObject) -> None:
    """
    A record with a member of another type is read or refused, never half understood.
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
def test_any_bytes_are_a_record_error(data: bytes) -> None:
    """
    What is no record is refused, naming the file.
    """
    with pytest.raises(CorruptRecordError, match="here"):
        codec.read_turn(data, "here")


@given(strategies.turns.filter(lambda turn: turn.images))
def test_damage_is_named_by_its_place(turn: Turn) -> None:
    """
    An error names the path to the member that is wrong.
    """
    record = json.loads(codec.dump_turn(turn))
    record["images"][0]["width"] = "wide"
    with pytest.raises(
        CorruptRecordError, match=r"here: images\[0\]\.width should be int and is str"
    ):
        codec.read_turn(json.dumps(record).encode(), "here")


@given(strategies.turns)
def test_a_newer_record_is_refused(turn: Turn) -> None:
    """
    A record of a newer version is not guessed at.
    """
    record = json.loads(codec.dump_turn(turn))
    record["format"] = codec.RECORD_VERSION + 1
    with pytest.raises(UnsupportedFormatVersionError, match="update"):
        codec.read_turn(json.dumps(record).encode(), "here")


@given(strategies.turns)
def test_a_turn_is_no_session(turn: Turn) -> None:
    """
    A record of another kind is refused.
    """
    with pytest.raises(CorruptRecordError, match="not of a session"):
        codec.read_session(codec.dump_turn(turn), "here")
