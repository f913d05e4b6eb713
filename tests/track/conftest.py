import pytest
from tests.track.servers import MlflowServer


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory):
    """A server for all tests that only add experiments of their own."""
    pytest.importorskip("mlflow", reason="mlflow is not installed")
    server = MlflowServer(tmp_path_factory.mktemp("mlflow"))
    server.start()
    yield server
    server.stop()
