"""Shapes in annotations are checked at run time, and the caller's cache is neither read nor written."""

import jaxtyping
import pytest
import tests.shape_checks  # jaxtyping looks the checker up by its full name
import torch

jaxtyping.install_import_hook("limbeck.losses", f"{tests.shape_checks.__name__}.check_types")
torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def cache_of_the_tests(tmp_path_factory):
    """A cache folder that every test and every process it starts share."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder
