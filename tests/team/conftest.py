"""
Put the studios of these tests on PostgreSQL and S3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests import team_servers
from tests.team_servers import Servers


@pytest.fixture(scope="session")
def servers() -> Servers:
    """
    The servers of this run.
    """
    team_servers.skip_if_missing()
    return team_servers.servers()


@pytest.fixture
def place() -> Iterator[Callable[[Any], Any]]:
    """
    Return the URL of a library that takes the place of a folder, the same one each time.
    """
    with team_servers.in_place_of_folders() as place:
        yield place


@pytest.fixture
def url(servers: Servers) -> Iterator[str]:
    """
    The URL of an empty library.
    """
    made = servers.new_library()
    yield made
    servers.drop_library(made)
