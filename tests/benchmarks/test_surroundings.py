"""Commands do their work whatever the environment's encoding, matplotlib backend and streams are."""

import io
import os
import subprocess
import sys

import pytest

from benchmarks.__main__ import main


def test_a_run_and_its_report_need_no_stderr_no_utf8_and_no_backend(tmp_path):
    strange = {
        "PYTHONIOENCODING": "ascii",
        "LC_ALL": "C",
        "PYTHONUTF8": "0",
        "MPLBACKEND": "module://not_installed",
    }
    command = f'exec "{sys.executable}" -m benchmarks "$@" --results "{tmp_path}" 2>&-'
    for arguments in (["parity", "--profile", "smoke"], ["report", "--svg"]):
        done = subprocess.run(
            ["sh", "-c", command, "sh", *arguments], env=os.environ | strange, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stdout
    assert b"The report is at" in done.stdout
    for file in (tmp_path / "report").glob("*.svg"):
        assert "</svg>" in file.read_text(encoding="utf-8")


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_what_a_stream_cannot_encode_is_replaced(encoding, monkeypatch, tmp_path):
    streams = [io.TextIOWrapper(io.BytesIO(), encoding=encoding) for _ in range(2)]
    monkeypatch.setattr(sys, "stdout", streams[0])
    monkeypatch.setattr(sys, "stderr", streams[1])
    assert main(["report", "--results", str(tmp_path / "\u2192")]) == 2
    streams[1].flush()
    assert b"no results in" in streams[1].buffer.getvalue()
