"""Exported programs, run without limbeck, give the classifier's logits for any batch."""

import pytest
import torch
from tests.models.conftest import make_bert, make_tokenizer, random_images
from torch import nn

from limbeck.core.errors import InputError
from limbeck.models import Classifier, adapt, encode_texts, export

TEXTS = ["a good film", "bad", "not very good films", "good"]


def run_onnx(path, inputs):
    session = pytest.importorskip("onnxruntime").InferenceSession(path, providers=["CPUExecutionProvider"])
    feed = {"inputs": inputs} if isinstance(inputs, torch.Tensor) else inputs
    return torch.from_numpy(session.run(None, {name: value.numpy() for name, value in feed.items()})[0])


def run_torch(path, inputs):
    return torch.export.load(path).module()(inputs)


FORMS = pytest.mark.parametrize(
    ("form", "name", "run"), [("onnx", "m.onnx", run_onnx), ("torch", "m.pt2", run_torch)]
)


@FORMS
def test_an_image_program_takes_raw_images(tmp_path, net, form, name, run):
    classifier = adapt(net, normalize="imagenet", input_size=(12, 10))
    export(classifier, tmp_path / name, example=random_images(1, 1, 16, 16), form=form)
    for batch in (1, 5):
        images = random_images(batch, 1, 16, 16, seed=batch)
        torch.testing.assert_close(run(tmp_path / name, images), classifier(images), atol=1e-5, rtol=1e-5)
    assert [path.name for path in tmp_path.iterdir()] == [name]


@FORMS
def test_a_text_program_takes_tokens_of_any_length(tmp_path, form, name, run):
    classifier = adapt(make_bert(), tokenizer=make_tokenizer())
    export(classifier, tmp_path / name, example=encode_texts([classifier], TEXTS[:2]), form=form)
    for texts in (TEXTS[:1], TEXTS[1:]):
        columns = classifier.pick_columns(encode_texts([classifier], texts))
        torch.testing.assert_close(run(tmp_path / name, columns), classifier(columns), atol=1e-5, rtol=1e-5)


def test_the_classifier_stays_in_its_mode(tmp_path, net):
    classifier = adapt(net.train())
    export(classifier, tmp_path / "m.pt2", example=random_images(2, 3, 8, 8), form="torch")
    assert classifier.training


def test_an_unknown_form_is_refused(tmp_path, net):
    with pytest.raises(InputError, match="Unknown form `tflite`"):
        export(adapt(net), tmp_path / "m", example=random_images(2, 3, 8, 8), form="tflite")


def test_what_depends_on_values_is_refused_and_no_file_is_left(tmp_path):
    class Picky(nn.Module):
        def forward(self, x):
            return x[:, 0, :, 0] if float(x.sum()) > 0 else x[:, 0, 0]

    with pytest.raises(InputError, match="A Picky must be traceable"):
        export(Classifier(Picky()), tmp_path / "m.pt2", example=random_images(2, 3, 8, 8), form="torch")
    assert list(tmp_path.iterdir()) == []


def read_axes(path):
    graph = pytest.importorskip("onnx").load(path).graph
    return {
        value.name: [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim]
        for value in (*graph.input, *graph.output)
    }


def test_axes_of_an_onnx_program_have_names(tmp_path, net):
    export(adapt(net), tmp_path / "m.onnx", example=random_images(2, 3, 8, 8), form="onnx")
    assert read_axes(tmp_path / "m.onnx") == {"inputs": ["batch", 3, 8, 8], "logits": ["batch", 5]}
    classifier = adapt(make_bert(), tokenizer=make_tokenizer())
    export(classifier, tmp_path / "t.onnx", example=encode_texts([classifier], TEXTS), form="onnx")
    tokens = ["batch", "length"]
    names = ("input_ids", "token_type_ids", "attention_mask")
    assert read_axes(tmp_path / "t.onnx") == dict.fromkeys(names, tokens) | {"logits": ["batch", 2]}
