"""The embedded real data: 1,797 handwritten digits of 8 x 8 pixels that scikit-learn carries."""

import numpy as np
import torch

from limbeck.data.data_set import DataSet, make_data_set
from limbeck.data.hold_out import hold_out
from limbeck.data.samples import Samples

NUM_TEST = 360
HIGHEST_VALUE = 16.0


def load_digits() -> DataSet:
    """1,437 training and 360 test images, uint8 [n, 1, 8, 8]; values 0..16 stretched to 0..255. Offline.

    References:
        E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI repository, 1998.
    """
    from sklearn import datasets

    values, labels = datasets.load_digits(return_X_y=True)
    images = np.round(values * (255.0 / HIGHEST_VALUE)).astype(np.uint8).reshape(-1, 1, 8, 8)
    samples = Samples(inputs=torch.from_numpy(images), labels=torch.from_numpy(labels.astype(np.int64)))
    train, test = hold_out(samples, num_test=NUM_TEST)
    return make_data_set("digits", train, test, [str(digit) for digit in range(10)])
