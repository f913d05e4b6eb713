"""The program on a transfer's page that uses the new student without limbeck: it is run as it stands."""

import pytest
import torch

from limbeck import models
from limbeck.data import Normalization
from limbeck.report.loading import write_load_program

NET = """
from torch import nn


def make({arguments}):
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 4))


class Net(nn.Sequential):
    def __init__(self, *, num_classes):
        super().__init__(nn.Flatten(), nn.Linear(3 * 8 * 8, num_classes))
"""


def save(classifier, folder, input_shape):
    return models.save_classifier(
        classifier, folder, training={}, accuracies={}, data_fingerprint="", input_shape=input_shape
    )


def run_program(folder, card, inputs):
    """The logits of the program's last line, for inputs under the name that it takes them by."""
    names = dict(inputs)
    exec(write_load_program(folder / "model.safetensors", card), names)
    return names["logits"]


def make_images(*shape):
    return torch.rand(5, *shape, generator=torch.Generator().manual_seed(0))


def check(folder, input_shape, *, arch=None, kept=(), **settings):
    """Save a model made by `arch`, run the program on images, and ask the saved one for the same."""
    module = models.build_architecture(arch, num_classes=4, input_shape=kept or input_shape, seed=0)
    classifier = models.Classifier(
        module,
        class_names=("cat", "dog", "owl", "yak"),
        preprocessing=models.Preprocessing(**settings),
        arch=arch,
    ).eval()
    card = save(classifier, folder, input_shape)
    images = make_images(*input_shape)
    with torch.no_grad():
        logits = run_program(folder, card, {"images": images})
        assert torch.allclose(logits, classifier(images), atol=1e-4)


GREY = Normalization(mean=(0.3,), std=(0.2,))
COLOUR = Normalization(mean=(0.3, 0.4, 0.5), std=(0.2, 0.25, 0.3))


@pytest.mark.parametrize("arch", ["mlp", "cnn", "resnet20", "timm:resnet10t", "torchvision:squeezenet1_1"])
def test_the_program_gives_the_logits_of_the_saved_student(arch, tmp_path):
    if arch.startswith("timm:"):
        pytest.importorskip("timm")
    size = 32 if ":" in arch else 8
    check(tmp_path, (3, size, size), arch=arch, normalization=COLOUR)


def test_the_program_resizes_and_repeats_grey_images_as_limbeck_does(tmp_path):
    check(
        tmp_path,
        (1, 8, 8),
        arch="resnet20",
        kept=(3, 12, 16),
        normalization=COLOUR,
        input_size=(12, 16),
    )


def test_grey_models_of_timm_are_built_with_one_channel(tmp_path):
    pytest.importorskip("timm")
    check(tmp_path, (1, 32, 32), arch="timm:resnet10t", normalization=GREY)


@pytest.mark.parametrize(
    ("function", "arguments"), [("make", ""), ("make", "num_classes"), ("make", "**settings"), ("Net", "")]
)
def test_the_program_calls_a_users_function_with_what_it_takes(function, arguments, tmp_path):
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / f"net_{function}{len(arguments)}.py").write_text(NET.format(arguments=arguments))
    ref = f"{tmp_path}/nets/net_{function}{len(arguments)}.py:{function}"
    check(tmp_path / "saved", (3, 8, 8), arch=ref)


def test_the_program_runs_no_code_while_it_is_written(tmp_path):
    (tmp_path / "trap.py").write_text("raise SystemExit('ran')\n\ndef make(num_classes): ...\n")
    module = torch.nn.Flatten()
    card = save(models.Classifier(module, arch=f"{tmp_path}/trap.py:make"), tmp_path / "saved", (3, 8, 8))
    text = write_load_program(tmp_path / "saved" / "model.safetensors", card)
    assert f"sys.path.insert(0, {str(tmp_path)!r})".replace("'", '"') in text


def test_a_transformers_folder_is_read_by_transformers(tmp_path):
    transformers = pytest.importorskip("transformers")
    words = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "film")
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    config = transformers.BertConfig(vocab_size=len(words), num_labels=4, **small)
    tokenizer = transformers.BertTokenizer(vocab={word: number for number, word in enumerate(words)})
    classifier = models.adapt(transformers.BertForSequenceClassification(config), tokenizer=tokenizer).eval()
    texts = ["good film", "film"]
    card = save(classifier, tmp_path, ())
    with torch.no_grad():
        logits = run_program(tmp_path, card, {"texts": texts})
        assert torch.allclose(logits, classifier(models.encode_texts([classifier], texts)), atol=1e-5)


def test_images_for_transformers_are_read_by_its_image_classifier(tmp_path):
    transformers = pytest.importorskip("transformers")
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    config = transformers.ViTConfig(image_size=16, patch_size=8, num_labels=4, **small)
    classifier = models.adapt(transformers.ViTForImageClassification(config), normalize=COLOUR).eval()
    card = save(classifier, tmp_path, (3, 20, 20))
    images = make_images(3, 20, 20)
    with torch.no_grad():
        logits = run_program(tmp_path, card, {"images": images})
        assert torch.allclose(logits, classifier(images), atol=1e-4)


def test_a_model_that_only_its_maker_can_build_is_left_to_them(tmp_path):
    card = save(models.Classifier(torch.nn.Flatten()), tmp_path, (3, 8, 8))
    text = write_load_program(tmp_path / "model.safetensors", card)
    assert "model = ...  # build the student's module here, as you built the one you gave" in text
    assert "as they are" in text


def test_the_program_says_what_raw_inputs_are(tmp_path):
    model = models.build("mlp", input_shape=(1, 8, 8), num_classes=2, seed=0)
    preprocessing = models.Preprocessing(normalization=GREY)
    card = save(models.Classifier(model, arch="mlp", preprocessing=preprocessing), tmp_path, (1, 8, 8))
    text = write_load_program(tmp_path / "model.safetensors", card)
    assert "# images: float32 [n, 1, 8, 8]; divide uint8 images by 255 first, to [0, 1]." in text
    assert "mean = torch.tensor([0.3]).view(-1, 1, 1)" in text
    assert "std = torch.tensor([0.2]).view(-1, 1, 1)" in text
