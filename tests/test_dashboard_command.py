"""`tierwise dashboard`: answers on this machine from any folder with our settings, and explains what it cannot do."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import urllib.request
from pathlib import Path

import pytest
from running import TIERWISE, await_health, free_port

from router_core.cli import main


def test_it_answers_from_any_folder_with_its_own_fonts_and_stops_when_told(tmp_path: Path) -> None:
    port = free_port()
    command = [TIERWISE, "dashboard", "--db", "ledger.db", "--port", str(port), "--json"]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            address = f"http://127.0.0.1:{port}"
            await_health(address, process)
            assert process.stdout is not None
            said = "".join(iter(process.stdout.readline, "}\n")) + "}"
            assert json.loads(said) == {"url": address, "db": "ledger.db"}
            with urllib.request.urlopen(f"{address}/app/static/inter.woff2") as font:
                assert font.read(4) == b"wOF2"
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=15) in (0, -signal.SIGTERM)
        finally:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
    assert "There is no ledger at ledger.db yet" in (tmp_path / "log").read_text()
    assert not (tmp_path / "ledger.db").exists()


def test_a_port_in_use_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SystemExit) as stopped:
            main(["dashboard", "--port", str(port)])
    assert stopped.value.code == 2
    assert f"port {port} is in use on 127.0.0.1; choose another with --port" in capsys.readouterr().err


def test_the_server_listens_on_this_machine_alone() -> None:
    import tomllib

    settings = tomllib.loads((Path(__file__).parent.parent / ".streamlit" / "config.toml").read_text())
    assert settings["server"]["address"] == "127.0.0.1"
    assert settings["browser"]["gatherUsageStats"] is False
    for theme in ("light", "dark"):
        assert len(settings["theme"][theme]["chartCategoricalColors"]) == 10
    assert all(face["url"].startswith("app/static/") for face in settings["theme"]["fontFaces"])
