"""The hub's client logs whole addresses when it tries again; none of their secrets is printed."""

from __future__ import annotations

import logging
from dataclasses import replace
from importlib import import_module

import pytest

from pytest_scratchverify.core.errors import Unavailable
from pytest_scratchverify.stores.http.logs import LOGGERS, keep_secrets_out
from tests.stores.reading import read_range

SECRET = "hunter2"


class Heard(logging.Handler):
    def __init__(self):
        super().__init__(logging.DEBUG)
        self.said = []

    def emit(self, record):
        self.said.append(self.format(record))


@pytest.fixture
def heard():
    handler = Heard()
    for name in LOGGERS:
        logging.getLogger(name).addHandler(handler)
    yield handler
    for name in LOGGERS:
        logging.getLogger(name).removeHandler(handler)


def test_the_clients_loggers_have_these_names():
    for name in ("huggingface_hub.utils._http", "huggingface_hub.file_download"):
        assert import_module(name).logger.name == name in LOGGERS


@pytest.mark.parametrize("name", LOGGERS)
def test_user_and_password_of_an_address_are_not_logged(heard, name):
    keep_secrets_out()
    logging.getLogger(name).warning("while requesting %s", f"https://u:{SECRET}@host/x\x1b[2J")
    assert heard.said == ["while requesting https://host/x␛[2J"]


def test_what_is_logged_while_a_hub_fails_names_no_secret(
    hub, independent, opened, access, heard, waits, capfd
):
    hub.add_repo("org/model", independent)
    shard = "model-00001-of-00002.safetensors"
    for file in (shard, "config.json"):
        hub.fault("org/model", file, "status", code=503, times=50)
    secret = replace(access, endpoint=hub.endpoint.replace("//", f"//user:{SECRET}@"))
    store = opened("org/model", access=secret)
    with pytest.raises(Unavailable) as one:
        store.config()
    with pytest.raises(Unavailable) as two:
        read_range(store, shard, 0, 8)
    assert [line for line in heard.said if "503" in line], "the client did try again, and said so"
    assert waits
    for said in (*heard.said, str(one.value), str(two.value), *capfd.readouterr()):
        assert SECRET not in said
