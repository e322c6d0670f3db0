"""
What needs an extra says so, by its name.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

MISSING = """
import sys
sys.modules[sys.argv[1]] = None  # as if it were not installed
from imagesession import Studio
from imagesession.errors import InvalidRequestError
try:
    exec(sys.argv[2])
except InvalidRequestError as error:
    print(error)
"""


@pytest.mark.parametrize(
    "package,extra,code",
    [
        ("psycopg", "team", "Studio('postgresql://host/db?blobs=s3://bucket/x')"),
        ("procrastinate", "cluster", "Studio.offline('library').queue(['a fox'], name='foxes')"),
        ("procrastinate", "cluster", "import imagesession.worker"),
        ("opentelemetry", "otel", "Studio.offline('library', telemetry=True)"),
    ],
    ids=["library", "queue", "worker", "telemetry"],
)
def test_missing_package_names_its_extra(
    tmp_path: Path, package: str, extra: str, code: str
) -> None:
    """
    Without the package of an extra, the error has the package and the command that installs it.
    """
    command = [sys.executable, "-c", MISSING, package, code]
    said = subprocess.run(command, check=True, capture_output=True, text=True, cwd=tmp_path).stdout
    assert f"a package that is not installed ({package}). " in said
    assert f"pip install 'imagesession[{extra}]'" in said
