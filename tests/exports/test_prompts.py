"""What every export starts from: rows in order, with prompts for the model that the user names."""

from __future__ import annotations

import pytest

from rrr_core.errors import RrrError
from rrr_core.exports.prompts import named_model, prompted_rows
from rrr_core.tasks import load_task
from tests.conftest import FakeSite
from tests.exports.plugins import SHAKY


def test_rows_come_in_their_order_with_the_users_data_options(site: FakeSite) -> None:
    site.install_task("shaky", SHAKY)
    prompted = prompted_rows(load_task("shaky"), "test", 2, {"first": "7"}, named_model(""))
    assert [(each.index, each.row["number"]) for each in prompted] == [(0, 7), (1, 8)]


def test_no_more_rows_are_read_than_are_asked_for(site: FakeSite) -> None:
    site.install_task("endless", SHAKY.replace('range(int(options.get("first", "0")), 1000)', "iter(int, 1)"))
    assert len(list(prompted_rows(load_task("endless"), "train", 3, None, named_model("")))) == 3


def test_prompts_are_written_for_the_model_that_the_user_names(site: FakeSite) -> None:
    site.install_task("shaky", SHAKY)
    (prompted,) = prompted_rows(load_task("shaky"), "test", 1, None, named_model("Qwen/Qwen3-8B"))
    assert prompted.messages[0]["content"] == "You are a qwen."


def test_a_given_family_overrides_the_one_in_the_models_name() -> None:
    assert named_model("Qwen/Qwen3-8B", "llama").family == "llama"


def test_fewer_rows_than_one_are_refused(site: FakeSite) -> None:
    site.install_task("shaky", SHAKY)
    with pytest.raises(RrrError, match="rows = 0: at least 1"):
        list(prompted_rows(load_task("shaky"), "test", 0, None, named_model("")))
