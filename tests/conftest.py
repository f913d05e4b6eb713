"""Shapes in annotations are checked at run time while the tests run."""

import jaxtyping
import tests.shape_checks  # jaxtyping looks the checker up by its full name
import torch

jaxtyping.install_import_hook("limbeck.losses", f"{tests.shape_checks.__name__}.check_types")
torch.set_num_threads(1)
