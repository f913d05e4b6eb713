"""What hypothesis draws for the laws of the losses."""

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

BATCH, CLASSES = 4, 5
finite = st.floats(-20, 20, allow_nan=False, width=64)
logits = arrays(np.float64, (BATCH, CLASSES), elements=finite)
temperatures = st.floats(0.5, 20)
weights = st.floats(0, 1)
coefficients = st.floats(0, 10)
class_ids = arrays(np.int64, (BATCH,), elements=st.integers(0, CLASSES - 1))
orders = st.permutations(range(BATCH))
laws = settings(deadline=None, max_examples=40)
