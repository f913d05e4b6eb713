"""Downloads over a real connection to this machine: checked, whole or not at all, and quiet."""

import hashlib
import io
import socket
import tarfile
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from limbeck.data.download import RemoteFile, attempt_download, download_file, stage_files, unpack_files


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves a folder without writing a log."""

    def log_message(self, format, *args):  # noqa: A002 - the name it overrides
        pass


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A folder and the address under which this machine serves it."""
    monkeypatch.setenv("no_proxy", "*")
    folder = tmp_path / "served"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), lambda *args: QuietHandler(*args, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def fetch_into(remote):
    def fetch(folder):
        with stage_files(folder) as staging:
            download_file(remote, staging)

    return fetch


def test_a_download_is_checked_and_quiet(served, tmp_path, capfd):
    folder, address = served
    (folder / "a.bin").write_bytes(b"content")
    remote = RemoteFile(url=f"{address}/a.bin", md5=hashlib.md5(b"content").hexdigest())
    assert attempt_download(fetch_into(remote), tmp_path / "cache") == ""
    assert (tmp_path / "cache" / "a.bin").read_bytes() == b"content"
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["a.bin"]
    assert capfd.readouterr() == ("", "")


def test_a_wrong_checksum_leaves_nothing_behind(served, tmp_path):
    folder, address = served
    (folder / "a.bin").write_bytes(b"other")
    remote = RemoteFile(url=f"{address}/a.bin", md5=hashlib.md5(b"content").hexdigest())
    assert "MD5 checksum" in attempt_download(fetch_into(remote), tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_missing_file_is_a_reason_in_words(served, tmp_path):
    _, address = served
    assert "404" in attempt_download(fetch_into(RemoteFile(url=f"{address}/b", md5="")), tmp_path / "cache")


def test_a_refused_connection_is_a_reason_in_words(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        remote = RemoteFile(url=f"http://127.0.0.1:{unused.getsockname()[1]}/a", md5="")
        assert "refused" in attempt_download(fetch_into(remote), tmp_path / "cache")


def test_only_the_named_regular_files_are_unpacked(tmp_path):
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
        for name in ("folder/a.bin", "../../b.bin", "folder/other.txt"):
            member = tarfile.TarInfo(name)
            member.size = 4
            tar.addfile(member, io.BytesIO(b"data"))
        link = tarfile.TarInfo("folder/c.bin")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    (tmp_path / "out").mkdir()
    unpack_files(tmp_path / "a.tar.gz", tmp_path / "out", names=("a.bin", "b.bin", "c.bin"))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.bin", "b.bin"]
    assert not (tmp_path.parent / "b.bin").exists()


def test_a_damaged_archive_is_a_reason_in_words(tmp_path):
    (tmp_path / "a.tar.gz").write_bytes(b"not a tar archive")
    assert attempt_download(lambda folder: unpack_files(tmp_path / "a.tar.gz", folder, names=()), tmp_path)
