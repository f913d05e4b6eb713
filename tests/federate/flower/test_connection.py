"""A SuperLink that cannot be used is told apart: no connection, nobody there, the wrong certificate."""

import contextlib
import socket
import ssl
import threading

import pytest

from limbeck.core.errors import InputError, RunError
from limbeck.federate.flower.connection import Connection, read_connection, require_answer

site_files = pytest.importorskip("limbeck.federate.flower.site_files", reason="Flower is not installed")


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("FLWR_HOME", str(tmp_path))

    def write(text):
        (tmp_path / "config.toml").write_text(text)

    write(
        '[superlink]\ndefault = "hub"\n'
        '[superlink.hub]\naddress = "fl.example.org:8443"\nroot-certificates = "ca.crt"\n'
        '[superlink.local]\naddress = ":local:"\n'
    )
    return write


@contextlib.contextmanager
def listen(server):
    """A TLS server with the certificate of a server's folder; its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server / "server.pem", server / "server.key")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10.0)

        def serve():
            with contextlib.suppress(OSError), listener.accept()[0] as plain:
                plain.settimeout(10.0)
                context.wrap_socket(plain, server_side=True).close()

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


def make_connection(port, roots, **changes):
    settings = {"name": "hub", "address": f"127.0.0.1:{port}", "root_certificates": roots, "insecure": False}
    return Connection(**{**settings, **changes})


def test_the_default_connection_is_taken_where_none_is_named(home, tmp_path):
    del home
    expected = Connection(
        name="hub", address="fl.example.org:8443", root_certificates=tmp_path / "ca.crt", insecure=False
    )
    assert read_connection(None) == expected
    assert expected.host_and_port == ("fl.example.org", 8443)


def test_an_unknown_connection_is_refused_with_those_there_are(home):
    del home
    with pytest.raises(InputError, match=r"Unknown connection to a SuperLink `hug`\. Did you mean `hub`"):
        read_connection("hug")


def test_flowers_own_simulation_is_no_superlink(home):
    del home
    with pytest.raises(InputError, match=r"the connection `local` in .*which is Flower's simulation"):
        read_connection("local")


@pytest.mark.parametrize("text", ["", "[superlink]\n"])
def test_a_configuration_without_a_default_is_refused(text, home):
    home(text)
    with pytest.raises(InputError, match="names the connection to use"):
        read_connection(None)


def test_a_configuration_that_is_not_there_or_not_toml_is_named(home, tmp_path):
    home("[")
    with pytest.raises(InputError, match="readable TOML file"):
        read_connection("hub")
    (tmp_path / "config.toml").unlink()
    with pytest.raises(InputError, match=r"no such file or directory: .*config\.toml"):
        read_connection("hub")


def test_an_address_without_a_port_is_refused():
    with pytest.raises(InputError, match="`HOST:PORT`"):
        require_answer(make_connection(1, None, address="localhost"))


def test_a_superlink_with_the_right_certificate_answers(tmp_path):
    site_files.write_site_files(tmp_path / "bonn")
    with listen(tmp_path / "server") as port:
        require_answer(make_connection(port, tmp_path / "bonn" / "ca.crt"))


def test_a_certificate_of_another_authority_is_told(tmp_path):
    site_files.write_site_files(tmp_path / "ours" / "bonn")
    site_files.write_site_files(tmp_path / "theirs" / "bonn")
    with listen(tmp_path / "theirs" / "server") as port, pytest.raises(InputError) as caught:
        require_answer(make_connection(port, tmp_path / "ours" / "bonn" / "ca.crt"))
    assert "must be signed by `root-certificates`" in str(caught.value)


def test_an_authority_that_is_no_certificate_is_told(tmp_path):
    (tmp_path / "ca.crt").write_text("nothing")
    with pytest.raises(InputError, match="`root-certificates` of the connection `hub` must be a PEM file"):
        require_answer(make_connection(1, tmp_path / "ca.crt"))


def test_nobody_at_an_address_is_told():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(RunError, match=f"a SuperLink must answer at 127.0.0.1:{port}.*connection refused"):
        require_answer(make_connection(port, None, insecure=True))
