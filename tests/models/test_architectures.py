"""Architectures by reference, and the number of classes of a checkpoint."""

import pytest
import timm
import torch
import torchvision
from tests.models.conftest import make_bert, make_vit

from limbeck.core.errors import InputError
from limbeck.core.fingerprint import hash_state
from limbeck.models import build, build_architecture, infer_num_classes
from limbeck.models.libraries import require_library


@pytest.fixture
def folders(tmp_path):
    """Folders with a transformers config each, without weights."""
    make_vit(num_labels=3).config.save_pretrained(tmp_path / "vit")
    make_bert(num_labels=3).config.save_pretrained(tmp_path / "bert")
    return tmp_path


@pytest.mark.parametrize(
    "ref", ["resnet8", "timm:test_resnet", "timm:test_vit.r160_in1k", "torchvision:mobilenet_v3_small"]
)
def test_a_reference_builds_a_model_with_as_many_classes(ref):
    before = torch.random.get_rng_state()
    model = build_architecture(ref, num_classes=7, input_shape=(3, 160, 160)).eval()
    assert model(torch.zeros(1, 3, 160, 160)).shape == (1, 7)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_the_zoo_is_built_as_by_the_zoo():
    model = build_architecture("cnn", num_classes=4, input_shape=(1, 8, 8), seed=3)
    same = build("cnn", num_classes=4, input_shape=(1, 8, 8), seed=3)
    assert hash_state(model.state_dict()) == hash_state(same.state_dict())


def test_transformers_configs_build_images_or_texts(folders):
    vit = build_architecture(f"hf:{folders / 'vit'}", num_classes=4).eval()
    assert vit(torch.zeros(1, 3, 16, 16)).logits.shape == (1, 4)
    bert = build_architecture(f"hf:{folders / 'bert'}", num_classes=4).eval()
    assert bert(torch.tensor([[2, 3]])).logits.shape == (1, 4)


def test_a_users_function_or_class_is_called(user_file):
    for name in ("small", "Wrapped"):
        model = build_architecture(f"{user_file}:{name}", num_classes=4)
        assert model(torch.zeros(1, 3, 8, 8)).shape == (1, 4)
    assert build_architecture(f"{user_file}:fixed", num_classes=4)(torch.zeros(1, 3, 8, 8)).shape == (1, 6)


def test_a_timm_model_takes_grey_images_where_the_data_are_grey():
    model = build_architecture("timm:test_resnet", num_classes=4, input_shape=(1, 32, 32)).eval()
    assert model(torch.zeros(1, 1, 32, 32)).shape == (1, 4)


@pytest.mark.parametrize(
    ("ref", "message"),
    [
        ("resnt20", "Did you mean `resnet20`.*timm:NAME"),
        ("timm:test_resnt", "Did you mean `test_resnet`"),
        ("timm:test_vit.nothing", "Did you mean `test_vit.r160_in1k`"),
        ("torchvision:resnet19", "Did you mean `resnet1"),
        ("torchvision:fcn_resnet50", "Unknown torchvision model"),
        ("hf:/nowhere/at/all", "holds config.json"),
        ("/nowhere/file.py:build", "file exists"),
        ("mlp", r"Pass input_shape=\(channels, height, width\)"),
    ],
)
def test_unknown_references_are_refused(ref, message):
    with pytest.raises(InputError, match=message):
        build_architecture(ref, num_classes=4)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("smal", "Did you mean `small`"),
        ("broken", "raises KeyError: 'no such layer'"),
        ("nothing", "returns a torch.nn.Module` must hold, but got a NoneType from"),
    ],
)
def test_a_users_mistakes_are_explained(user_file, name, message):
    with pytest.raises(InputError, match=message):
        build_architecture(f"{user_file}:{name}", num_classes=4)


def test_a_file_that_does_not_run_is_explained(tmp_path):
    (tmp_path / "bad.py").write_text("def build(:\n")
    with pytest.raises(InputError, match="must run as Python, but it raises SyntaxError"):
        build_architecture(f"{tmp_path / 'bad.py'}:build", num_classes=4)


def test_code_of_a_transformers_folder_is_never_run(tmp_path):
    (tmp_path / "config.json").write_text(
        '{"model_type": "mine", "auto_map": {"AutoConfig": "mine.Config"}, "architectures": ["Mine"]}'
    )
    (tmp_path / "mine.py").write_text(f"open({str(tmp_path / 'run')!r}, 'w').close()\n")
    with pytest.raises(InputError, match=r"config\.json"):
        build_architecture(f"hf:{tmp_path}", num_classes=4)
    assert not (tmp_path / "run").exists()


def test_a_config_of_no_classifier_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "vits"}')
    with pytest.raises(InputError, match="image or sequence classifier"):
        build_architecture(f"hf:{tmp_path}", num_classes=4)


def test_the_number_of_classes_is_read_from_the_weights(user_file, folders):
    models = {
        "timm:test_vit": timm.create_model("test_vit", pretrained=False, num_classes=9),
        "torchvision:resnet18": torchvision.models.resnet18(num_classes=9),
        "resnet8": build("resnet8", input_shape=(3, 32, 32), num_classes=9, seed=0),
        f"{user_file}:small": build_architecture(f"{user_file}:small", num_classes=9),
        f"{user_file}:Wrapped": build_architecture(f"{user_file}:small", num_classes=9),
        f"hf:{folders / 'bert'}": make_bert(num_labels=9),
    }
    for ref, model in models.items():
        assert infer_num_classes(ref, model.state_dict()) == 9, ref


def test_weights_of_another_model_have_no_head():
    state = build("cnn", input_shape=(3, 32, 32), num_classes=9, seed=0).state_dict()
    with pytest.raises(
        InputError, match=r"its head \(`linear\.bias`\), but 0 of its 8 tensors.*Check `arch`"
    ):
        infer_num_classes("resnet20", state)


def test_a_missing_library_is_asked_for_by_its_extra():
    with pytest.raises(InputError, match=r"pip install 'limbeck\[hf\]'"):
        require_library("a_package_that_nobody_wrote", extra="hf")


def test_an_architecture_of_fixed_size_has_no_number_to_read(user_file):
    with pytest.raises(InputError, match="Accept num_classes"):
        infer_num_classes(f"{user_file}:fixed", {})
