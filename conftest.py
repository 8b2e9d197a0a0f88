"""Short aliases of the plugin's options, for this checkout only.

An installed plugin must not claim `--model` in foreign projects; a project that owns its
command line may. pytest accepts new options only from plugins and the root conftest.
"""

from pytest_scratchverify.plugin.options import add_options

pytest_plugins = ["pytester"]


def pytest_addoption(parser):
    """Add --model, --against ... beside --scratch-model, --scratch-against ..."""
    group = parser.getgroup("scratchverify")
    # `--model FOLDER` of another checkout makes pytest load that checkout's conftest too.
    if not any("--model" in option.names() for option in group.options):
        add_options(group.addoption, "--")
