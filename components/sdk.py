"""The provider SDKs, imported fast: `from components.sdk import cloudflare, linode`.

A plain `import pulumi_cloudflare` runs its `__init__`, which star-imports 661 modules, of which we use ten. Here a
package stands without having run its `__init__`, and a name brings the module that defines it when it is first used.
The collector is off meanwhile, and passes over the hundred thousand classes and functions that these modules make from
then on: they are not garbage before the program ends, nor worth a look when it does.
`tests/components/test_sdk.py` fails where an update of an SDK breaks this; then import the packages plainly.
"""

import gc
import importlib
import importlib.util
import re
import sys
from types import ModuleType
from typing import Any


class _Package(ModuleType):
    """An SDK package whose names are found in its modules: `NodeBalancer` in `node_balancer`, inputs in `_inputs`."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        module = "_inputs" if name.endswith("Args") else re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
        collecting = gc.isenabled()
        gc.disable()
        try:
            value = getattr(importlib.import_module(f"{self.__name__}.{module}"), name)
        except ImportError as error:
            raise AttributeError(f"{self.__name__} has no '{name}': {error}") from None
        finally:
            gc.freeze()
            if collecting:
                gc.enable()
        setattr(self, name, value)
        return value


def _package(name: str) -> Any:
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.find_spec(name)
    if spec is None or spec.submodule_search_locations is None:
        raise ImportError(f"{name} is not installed; ./inv makes the environment that has it")
    package = _Package(name)
    package.__path__ = list(spec.submodule_search_locations)
    package.__file__ = spec.origin
    package.__spec__ = spec
    sys.modules[name] = package
    return package


linode = _package("pulumi_linode")
cloudflare = _package("pulumi_cloudflare")
