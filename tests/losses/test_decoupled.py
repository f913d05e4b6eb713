"""dkd: the label against all others, and the others among themselves."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tests.losses import reference
from tests.losses.draws import BATCH, CLASSES, class_ids, coefficients, finite, laws, logits, temperatures

from limbeck.losses import dkd, kd


@laws
@given(
    z_s=logits, z_t=logits, y=class_ids, alpha=coefficients, beta=coefficients, temperature=st.floats(2, 20)
)
def test_dkd_equals_the_reference(z_s, z_t, y, alpha, beta, temperature):
    ours = dkd(*map(torch.from_numpy, (z_s, z_t, y)), alpha=alpha, beta=beta, temperature=temperature).numpy()
    np.testing.assert_allclose(
        ours, reference.dkd(z_s, z_t, y, alpha, beta, temperature), rtol=1e-6, atol=1e-6
    )


@laws
@given(z_s=logits, z_t=logits, y=class_ids, temperature=temperatures)
def test_kd_is_the_label_term_and_the_others_weighed_by_what_the_teacher_leaves_them(
    z_s, z_t, y, temperature
):
    student, teacher, labels = map(torch.from_numpy, (z_s, z_t, y))
    of_label = dkd(student, teacher, labels, alpha=1, beta=0, temperature=temperature)
    of_others = dkd(student, teacher, labels, alpha=0, beta=1, temperature=temperature)
    left = 1 - torch.from_numpy(reference.softmax(z_t, temperature)[np.arange(BATCH), y])
    torch.testing.assert_close(
        of_label + left * of_others, kd(student, teacher, temperature=temperature), rtol=1e-8, atol=1e-8
    )


@laws
@given(z_s=logits, z_t=logits, y=class_ids, alpha=coefficients, beta=coefficients)
def test_dkd_is_linear_in_alpha_and_beta(z_s, z_t, y, alpha, beta):
    def value(alpha: float, beta: float) -> torch.Tensor:
        return dkd(*map(torch.from_numpy, (z_s, z_t, y)), alpha=alpha, beta=beta, temperature=2)

    torch.testing.assert_close(value(alpha, beta), alpha * value(1, 0) + beta * value(0, 1))


@laws
@given(z_s=logits, z_t=logits, y=class_ids)
def test_as_temperature_grows_both_terms_tend_to_squared_distances(z_s, z_t, y):
    student, teacher, labels = map(torch.from_numpy, (z_s, z_t, y))
    centred = (z_s - z_s.mean(axis=1, keepdims=True)) - (z_t - z_t.mean(axis=1, keepdims=True))
    of_label = centred[np.arange(BATCH), y] ** 2 / (2 * (CLASSES - 1))
    difference = reference.others(z_s, y) - reference.others(z_t, y)
    of_others = ((difference - difference.mean(axis=1, keepdims=True)) ** 2).sum(axis=1) / (2 * (CLASSES - 1))
    for alpha, beta, limit in ((1, 0, of_label), (0, 1, of_others)):
        value = dkd(student, teacher, labels, alpha=alpha, beta=beta, temperature=1e5).numpy()
        np.testing.assert_allclose(value, limit, rtol=5e-3, atol=1e-4)


two_classes = arrays(np.float64, (BATCH, 2), elements=finite)


@laws
@given(z_s=two_classes, z_t=two_classes, y=arrays(np.int64, (BATCH,), elements=st.integers(0, 1)))
def test_of_two_classes_only_the_label_counts_and_dkd_is_kd(z_s, z_t, y):
    student, teacher, labels = map(torch.from_numpy, (z_s, z_t, y))
    assert not dkd(student, teacher, labels, alpha=0, beta=8, temperature=2).any()
    torch.testing.assert_close(
        dkd(student, teacher, labels, alpha=1, beta=8, temperature=2), kd(student, teacher, temperature=2)
    )
