"""Texts for several classifiers at once."""

import pytest
import torch
from tests.models.conftest import WORDS, make_bert, make_tokenizer

from limbeck.core.errors import InputError
from limbeck.models import adapt, encode_texts, measure_truncation

OTHER_WORDS = (*WORDS[:5], *reversed(WORDS[5:]))
TEXTS = ("a very good film", "bad", "not a good films not a good film")


def make_reader(words=WORDS, *, max_length=16, seed=0):
    return adapt(make_bert(seed=seed), tokenizer=make_tokenizer(words), max_length=max_length)


def test_tokens_are_those_calculated_by_hand():
    reader = make_reader()
    columns = encode_texts([reader], ["very good", "films"])
    ids = columns[f"{reader.tokenizer_id}/input_ids"]
    assert ids.tolist() == [[2, 7, 5, 3], [2, 8, 9, 3]]


def test_classifiers_share_one_dict_and_each_reads_its_own_columns():
    first, other = make_reader(), make_reader(OTHER_WORDS, seed=1)
    columns = encode_texts([first, other], TEXTS)
    for reader in (first, other):
        alone = reader.tokenizer(list(TEXTS), padding=True, return_tensors="pt")
        torch.testing.assert_close(reader(columns), reader.module(**alone).logits)


def test_equal_tokenizers_share_columns():
    first, same, shorter = make_reader(), make_reader(seed=1), make_reader(max_length=8)
    first.tokenizer("a call leaves settings behind", truncation=True, max_length=3)
    assert first.tokenizer_id == make_reader().tokenizer_id == same.tokenizer_id != shorter.tokenizer_id
    assert len(encode_texts([first, same], TEXTS)) == 3
    assert len(encode_texts([first, same, shorter], TEXTS)) == 6


def test_cut_texts_are_counted():
    reader = make_reader(max_length=5)
    columns = encode_texts([reader], TEXTS)
    assert columns[f"{reader.tokenizer_id}/input_ids"].shape == (3, 5)
    assert measure_truncation([reader], TEXTS) == {reader.tokenizer_id: pytest.approx(2 / 3)}


def test_nothing_to_read_is_refused():
    with pytest.raises(InputError, match="0 texts"):
        encode_texts([make_reader()], [])
    with pytest.raises(InputError, match="a NoneType"):
        encode_texts([make_reader()], ["good", None])
    with pytest.raises(InputError, match="must have a tokenizer"):
        encode_texts([adapt(make_bert())], ["good"])


def test_a_text_without_any_token_is_refused():
    tokenizer = make_tokenizer()
    tokenizer.backend_tokenizer.post_processor = None  # no [CLS] and [SEP], as in the GPT family
    bare = adapt(make_bert(), tokenizer=tokenizer)
    assert len(encode_texts([make_reader()], ["good", ""])) == 3
    with pytest.raises(InputError, match="1 texts without any, the first at 1"):
        encode_texts([bare], ["good", ""])


def test_a_tokenizer_with_more_tokens_than_the_model_is_refused():
    with pytest.raises(InputError, match="token number 12 with 12 embeddings"):
        make_reader((*WORDS, "plot"))
