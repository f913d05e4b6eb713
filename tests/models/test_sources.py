"""Classifiers trained elsewhere, from wherever they lie."""

import json
import logging
from pathlib import Path

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file
from tests.models.conftest import WORDS, make_bert, make_tokenizer, make_vit, random_images

from limbeck.core.errors import InputError
from limbeck.models import (
    NORMALIZATIONS,
    Preprocessing,
    adapt,
    build,
    build_architecture,
    encode_texts,
    load_classifier,
)

CHECKPOINTS = Path(__file__).resolve().parents[3] / "shared" / "models"
IMAGES = random_images(3, 3, 16, 16)


@pytest.mark.parametrize(("arch", "digest"), [("resnet20", "12fca82f"), ("resnet32", "d509ac18")])
def test_published_checkpoints_load_with_ten_classes(arch, digest):
    path = CHECKPOINTS / f"{arch}-{digest}.th"
    if not path.exists():
        pytest.skip(f"no published checkpoint at {path}")
    classifier = load_classifier(path, arch=arch, normalize="imagenet")
    assert classifier(random_images(2, 3, 32, 32)).shape == (2, 10)
    assert classifier.preprocessing.normalization == NORMALIZATIONS["imagenet"]
    expected = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]["module.linear.bias"]
    assert torch.equal(classifier.module.linear.bias, expected)


def test_a_checkpoint_of_timm_comes_back_with_its_preprocessing(tmp_path):
    model = timm.create_model("test_resnet", pretrained=False, num_classes=4).eval()
    torch.save({"state_dict": model.state_dict()}, tmp_path / "m.pth")
    loaded = load_classifier(tmp_path / "m.pth", arch="timm:test_resnet")
    assert torch.equal(loaded(IMAGES), adapt(model)(IMAGES))
    assert load_classifier(
        tmp_path / "m.pth", arch="timm:test_resnet", normalize="none", input_size="none"
    ).preprocessing == (Preprocessing())


def test_a_checkpoint_of_torchvision_comes_back(tmp_path):
    model = torchvision.models.mobilenet_v3_small(num_classes=4).eval()
    save_file(model.state_dict(), tmp_path / "m.safetensors")
    loaded = load_classifier(
        tmp_path / "m.safetensors", arch="torchvision:mobilenet_v3_small", normalize="cifar10"
    )
    assert torch.equal(loaded(IMAGES), adapt(model, normalize="cifar10")(IMAGES))


def test_unknown_normalization_is_reported(tmp_path, caplog):
    torch.save(build("resnet8", input_shape=(3, 8, 8), num_classes=4, seed=0).state_dict(), tmp_path / "m.pt")
    with caplog.at_level(logging.WARNING, logger="limbeck"):
        load_classifier(tmp_path / "m.pt", arch="resnet8", normalize="none")
        assert not caplog.text
        load_classifier(tmp_path / "m.pt", arch="resnet8")
    assert "says nothing about normalization" in caplog.text


@pytest.mark.parametrize("name", ["small", "Wrapped", "fixed"])
def test_a_users_architecture_takes_its_checkpoint(tmp_path, user_file, name):
    ref = f"{user_file}:{name}"
    model = build_architecture(ref, num_classes=6, seed=1).eval()
    torch.save({"model": model.state_dict()}, tmp_path / "m.pt")
    loaded = load_classifier(tmp_path / "m.pt", arch=ref, class_names=tuple("abcdef"))
    assert torch.equal(loaded(IMAGES), adapt(model)(IMAGES))
    assert loaded.arch == ref


def test_weights_go_into_a_module_of_the_users(tmp_path, net):
    torch.save(net.state_dict(), tmp_path / "m.pt")
    with torch.no_grad():
        expected = adapt(net)(IMAGES)
        net[4].bias.zero_()
        assert torch.equal(load_classifier(tmp_path / "m.pt", module=net)(IMAGES), expected)


def test_the_zoo_takes_the_channels_of_the_checkpoint(tmp_path):
    model = build("resnet8", input_shape=(1, 8, 8), num_classes=4, seed=0).eval()
    torch.save(model.state_dict(), tmp_path / "m.pt")
    grey = random_images(2, 1, 8, 8)
    loaded = load_classifier(tmp_path / "m.pt", arch="resnet8", input_shape=(3, 8, 8))
    assert torch.equal(loaded(grey), adapt(model)(grey))


def test_the_shape_of_the_data_is_needed_for_the_smallest_networks(tmp_path):
    model = build("cnn", input_shape=(1, 8, 8), num_classes=4, seed=0)
    torch.save(model.state_dict(), tmp_path / "m.pt")
    with pytest.raises(InputError, match="Pass input_shape"):
        load_classifier(tmp_path / "m.pt", arch="cnn")
    assert load_classifier(tmp_path / "m.pt", arch="cnn", input_shape=(1, 8, 8))(
        random_images(2, 1, 8, 8)
    ).shape == (2, 4)


@pytest.mark.parametrize("is_safe", [True, False])
def test_a_transformers_text_folder_reads_texts(tmp_path, is_safe):
    model = make_bert(id2label={0: "bad", 1: "good"}, label2id={"bad": 0, "good": 1})
    write_folder(model, tmp_path, is_safe=is_safe)
    make_tokenizer().save_pretrained(tmp_path)
    loaded = load_classifier(tmp_path)
    assert loaded.class_names == ("bad", "good")
    alone = make_tokenizer()(["a good film", "bad"], padding=True, return_tensors="pt")
    logits = loaded(encode_texts([loaded], ["a good film", "bad"]))
    torch.testing.assert_close(logits, model(**alone).logits)


def test_a_tokenizer_without_words_is_refused(tmp_path):
    write_folder(make_bert(), tmp_path, is_safe=True)
    make_tokenizer().save_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    with pytest.raises(InputError, match="the tokenizer knows words"):
        load_classifier(tmp_path)


def test_a_tokenizer_with_fewer_tokens_than_the_model_is_reported(tmp_path, caplog):
    write_folder(make_bert(), tmp_path, is_safe=True)
    make_tokenizer(WORDS[:10]).save_pretrained(tmp_path)
    with caplog.at_level(logging.WARNING, logger="limbeck"):
        load_classifier(tmp_path)
    assert "knows 10 tokens, and the model 12" in caplog.text


def write_folder(model, folder, *, is_safe):
    if is_safe:
        model.config.architectures = [type(model).__name__]
        save_file(model.state_dict(), folder / "model.safetensors", metadata={"format": "pt"})
    else:
        torch.save(model.state_dict(), folder / "pytorch_model.bin")
    model.config.save_pretrained(folder)


def test_a_transformers_image_folder_brings_its_processor(tmp_path, vit):
    write_folder(vit, tmp_path, is_safe=True)
    processor = {"image_mean": [0.5] * 3, "image_std": [0.25] * 3, "size": {"height": 16, "width": 16}}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(processor))
    loaded = load_classifier(tmp_path)
    expected = vit((IMAGES.float() / 255 - 0.5) / 0.25).logits
    torch.testing.assert_close(loaded(IMAGES), expected)
    assert loaded.class_names == ("cat", "dog", "owl")


@pytest.mark.parametrize(
    ("settings", "byte", "expected"),
    [
        ({"rescale_factor": 1 / 127.5, "image_mean": [1.0] * 3, "image_std": [1.0] * 3}, 255, 1.0),
        ({"do_rescale": False, "image_mean": [100.0] * 3, "image_std": [50.0] * 3}, 200, 2.0),
        ({"do_normalize": False}, 255, 1.0),
    ],
)
def test_scales_of_image_processors_are_kept(tmp_path, vit, settings, byte, expected):
    write_folder(vit, tmp_path, is_safe=True)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(settings))
    images = torch.full((1, 3, 16, 16), byte, dtype=torch.uint8)
    prepared = load_classifier(tmp_path).preprocess(images)
    torch.testing.assert_close(prepared, torch.full((1, 3, 16, 16), expected))


def test_sizes_of_image_processors_are_what_the_model_sees(tmp_path, vit):
    write_folder(vit, tmp_path, is_safe=True)
    settings = {
        "size": {"shortest_edge": 18},
        "do_center_crop": True,
        "crop_size": {"height": 16, "width": 16},
    }
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(settings))
    assert load_classifier(tmp_path).preprocessing.input_size == (16, 16)


def test_weights_in_several_files_are_read(tmp_path, vit):
    vit.config.architectures = ["ViTForImageClassification"]
    vit.config.save_pretrained(tmp_path)
    state, names = vit.state_dict(), sorted(vit.state_dict())
    files = {"a.safetensors": names[::2], "b.safetensors": names[1::2]}
    for file, part in files.items():
        save_file({name: state[name] for name in part}, tmp_path / file, metadata={"format": "pt"})
    index = {"weight_map": {name: file for file, part in files.items() for name in part}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    torch.testing.assert_close(load_classifier(tmp_path)(IMAGES), adapt(vit)(IMAGES))


def test_an_encoder_without_a_head_is_refused(tmp_path):
    model = make_bert().bert
    save_file(model.state_dict(), tmp_path / "model.safetensors", metadata={"format": "pt"})
    model.config.architectures = ["BertModel"]
    model.config.save_pretrained(tmp_path)
    with pytest.raises(InputError, match=r"2 missing: classifier\.bias, classifier\.weight.*head first"):
        load_classifier(tmp_path)


def test_a_config_that_is_smaller_than_its_weights_is_refused(tmp_path, vit):
    write_folder(vit, tmp_path, is_safe=True)
    vit.config.num_hidden_layers = 0
    vit.config.save_pretrained(tmp_path)
    with pytest.raises(InputError, match=r"unexpected: vit\."):
        load_classifier(tmp_path)


def test_a_checkpoint_with_a_transformers_architecture(tmp_path):
    model = make_vit(num_labels=4)
    model.config.save_pretrained(tmp_path / "config")
    torch.save(model.state_dict(), tmp_path / "m.pt")
    loaded = load_classifier(tmp_path / "m.pt", arch=f"hf:{tmp_path / 'config'}", normalize="none")
    assert torch.equal(loaded(IMAGES), adapt(model)(IMAGES))


def test_a_folder_without_weights_is_refused(tmp_path, vit):
    vit.config.save_pretrained(tmp_path)
    with pytest.raises(InputError, match=r"model\.safetensors or pytorch_model\.bin"):
        load_classifier(tmp_path)


def test_what_is_missing_is_named(tmp_path, net):
    with pytest.raises(InputError, match="the model exists"):
        load_classifier(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"neither `card\.json` nor `config\.json`"):
        load_classifier(tmp_path)
    torch.save(net.state_dict(), tmp_path / "m.pt")
    with pytest.raises(InputError, match="Pass `--arch`"):
        load_classifier(tmp_path / "m.pt")
    with pytest.raises(InputError, match="got both"):
        load_classifier(tmp_path / "m.pt", arch="cnn", module=net)
    with pytest.raises(InputError, match="Did you mean `cnn`"):
        load_classifier(tmp_path / "m.pt", arch="cnnn")
    for ref in ("mine.py", "mine.py:"):
        with pytest.raises(InputError, match=r"must name a function.*Write `mine\.py:NAME`"):
            load_classifier(tmp_path / "m.pt", arch=ref)


def test_as_many_class_names_as_logits_are_needed(tmp_path):
    torch.save(build("resnet8", input_shape=(3, 8, 8), num_classes=4, seed=0).state_dict(), tmp_path / "m.pt")
    with pytest.raises(InputError, match="3 class names and 4 logits"):
        load_classifier(tmp_path / "m.pt", arch="resnet8", class_names=("a", "b", "c"))


def test_weights_of_another_kind_are_refused(tmp_path):
    save_file({"data.inputs": torch.zeros(3, dtype=torch.uint8)}, tmp_path / "data.safetensors")
    with pytest.raises(InputError, match=r"0 of its 1 tensor belong there; it holds data\.inputs"):
        load_classifier(tmp_path / "data.safetensors", arch="resnet20")
