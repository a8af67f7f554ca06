"""Ways in which a model of one's own may come by a number, each with an edit that changes it.

Way -> files below nets/ways/, or variables of the environment ("$NAME"), with one edit "«old|new»". The way's
own module has a function `scale`; its model multiplies the inputs by that.
"""

from __future__ import annotations

BASE = """import keras
def model(shape, n_classes, scale):
    layers = [keras.Input(shape), keras.layers.Rescaling(scale), keras.layers.Flatten()]
    return keras.Sequential([*layers, keras.layers.Dense(n_classes)])
"""
END = """

def net(shape, n_classes):
    from nets.ways.base import model
    return model(shape, n_classes, float(scale()))
"""
HERE = "from pathlib import Path\nHERE = Path(__file__).parent\n"
OTHER = "value = «2|3»"

WAYS: dict[str, dict[str, str]] = {
    "a constant": {"": "def scale():\n    return «2|3»"},
    "a function that it calls": {"": "def half():\n    return «1|2»\ndef scale():\n    return 2 * half()"},
    "a default argument": {"": "def scale(value=«2|3»):\n    return value"},
    "a closure": {
        "": "def maker(a):\n    def inner():\n        return a + «1|2»\n    return inner\nscale = maker(1)"
    },
    "functools.partial": {"": "from functools import partial\nscale = partial(max, 1, «2|3»)"},
    "a table of functions": {"": "ALL = {'a': lambda: «2|3»}\ndef scale():\n    return ALL['a']()"},
    "another module": {"": "from nets.ways.module_o import value\ndef scale():\n    return value", "module_o": OTHER},
    "a relative import": {"": "from .relative_o import value\ndef scale():\n    return value", "relative_o": OTHER},
    "an import of everything": {"": "from nets.ways.star_o import *\ndef scale():\n    return value", "star_o": OTHER},
    "an import within a function": {
        "": "def scale():\n    from nets.ways import inner_o\n    return inner_o.value",
        "inner_o": OTHER,
    },
    "import_module": {
        "": "from importlib import import_module\ndef scale():\n    return import_module('nets.ways.named_o').value",
        "named_o": OTHER,
    },
    "import_module of a name in pieces": {
        "": "from importlib import import_module\ndef scale():\n"
        "    return import_module('.'.join(['nets', 'ways', 'pieces' + '_o'])).value",
        "pieces_o": OTHER,
    },
    "__import__": {
        "": "def scale():\n    return __import__('nets.ways.dunder_o', fromlist=['x']).value",
        "dunder_o": OTHER,
    },
    "a module from a file's path": {
        "": HERE + "from importlib import util\ndef scale():\n"
        "    spec = util.spec_from_file_location('anything', HERE / 'by_path_o.py')\n"
        "    module = util.module_from_spec(spec)\n    spec.loader.exec_module(module)\n    return module.value",
        "by_path_o": OTHER,
    },
    "runpy": {
        "": HERE + "import runpy\ndef scale():\n    return runpy.run_path(str(HERE / 'runpy_o.py'))['value']",
        "runpy_o": OTHER,
    },
    "a folder put on sys.path": {
        "": HERE + "import sys\nsys.path.append(str(HERE / 'extra'))\n"
        "def scale():\n    import helper_of_ways\n    return helper_of_ways.value",
        "extra/helper_of_ways": OTHER,
    },
    "a package's __init__": {
        "": "from nets.ways import deep\ndef scale():\n    return deep.value",
        "deep/__init__": OTHER,
    },
    "globals()": {"": "def one():\n    return «2|3»\ndef scale():\n    return globals()['on' + 'e']()"},
    "getattr of sys.modules[__name__]": {
        "": "import sys\ndef one():\n    return «2|3»\ndef scale():\n    return getattr(sys.modules[__name__], 'one')()"
    },
    "vars of a module": {
        "": "from nets.ways import vars_o\ndef scale():\n    return vars(vars_o)['val' + 'ue']",
        "vars_o": OTHER,
    },
    "a registry of subclasses": {
        "": "KNOWN = {}\nclass Base:\n    def __init_subclass__(cls):\n        KNOWN[cls.__name__] = cls\n"
        "class A(Base):\n    value = «2|3»\ndef scale():\n    return KNOWN['A'].value"
    },
    "a registry that another module fills": {
        "": "from nets.ways.keep_o import KNOWN\nimport nets.ways.fill_o\ndef scale():\n    return KNOWN['a']",
        "keep_o": "KNOWN = {}",
        "fill_o": "from nets.ways.keep_o import KNOWN\nKNOWN['a'] = «2|3»",
    },
    "a metaclass": {
        "": "class Meta(type):\n    def __new__(meta, name, bases, body):\n"
        "        return super().__new__(meta, name, bases, body | {'value': «2|3»})\n"
        "class A(metaclass=Meta): ...\ndef scale():\n    return A.value"
    },
    "a registry of a decorator": {
        "": "KNOWN = []\ndef known(function):\n    KNOWN.append(function)\n    return function\n"
        "@known\ndef one():\n    return «2|3»\ndef scale():\n    return KNOWN[0]()"
    },
    "a lazy __getattr__ of a module": {
        "": "from nets.ways import lazy_o\ndef scale():\n    return lazy_o.anything",
        "lazy_o": "def __getattr__(name):\n    if name == 'anything':\n        return «2|3»\n    raise AttributeError(name)",
    },
    "singledispatch": {
        "": "from functools import singledispatch\n@singledispatch\ndef of(x):\n    return 1\n"
        "@of.register\ndef _(x: int):\n    return «2|3»\ndef scale():\n    return of(7)"
    },
    "a value in a caught exception": {
        "": "def scale():\n    try:\n        raise KeyError(«2|3»)\n    except KeyError as error:\n"
        "        return error.args[0]"
    },
    "which exception is caught": {
        "": "def scale():\n    try:\n        return [][0]\n    except «LookupError|KeyError»:\n        return 2\n"
        "    except Exception:\n        return 3"
    },
    "a property": {
        "": "class A:\n    @property\n    def value(self):\n        return «2|3»\ndef scale():\n    return A().value"
    },
    "an operator": {
        "": "class A:\n    def __matmul__(self, other):\n        return «2|3»\ndef scale():\n    return A() @ A()"
    },
    "a dataclass's field": {
        "": "from dataclasses import dataclass\n@dataclass\nclass A:\n    value: float = «2|3»\n"
        "def scale():\n    return A().value"
    },
    "an annotation": {
        "": "from typing import Literal, get_args, get_type_hints\ndef one(x: Literal[«2|3»]): ...\n"
        "def scale():\n    return get_args(get_type_hints(one)['x'])[0]"
    },
    "a docstring": {"": 'def scale():\n    """«2|3»"""\n    return scale.__doc__'},
    "a comment": {"": "def scale():\n    return open(__file__).read().count('# ')\n«# one|# one # two»"},
    "exec": {"": "def scale():\n    names = {}\n    exec('x = «2|3»', names)\n    return names['x']"},
    "a function that patches another module": {
        "": "from nets.ways import patched_o\nimport nets.ways.patch_o\ndef scale():\n    return patched_o.one()",
        "patched_o": "def one():\n    return 1",
        "patch_o": "from nets.ways import patched_o\npatched_o.one = lambda: «2|3»",
    },
    "a JSON file": {
        "": HERE + "import json\ndef scale():\n    return json.loads((HERE / 'a.json').read_text())['scale']",
        "a.json": '{"scale": «2|3»}',
    },
    "a TOML file": {
        "": HERE + "import tomllib\ndef scale():\n    return tomllib.loads((HERE / 'a.toml').read_text())['scale']",
        "a.toml": "scale = «2|3»",
    },
    "a table": {
        "": HERE + "import csv\ndef scale():\n    return list(csv.reader(open(HERE / 'a.csv')))[1][0]",
        "a.csv": "scale\n«2|3»\n",
    },
    "bytes": {
        "": HERE + "import numpy as np\ndef scale():\n    return np.fromfile(HERE / 'a.bin', np.uint8).sum() / 99",
        "a.bin": "«A|Z»",
    },
    "importlib.resources": {
        "": "from importlib import resources\ndef scale():\n"
        "    return resources.files('nets.ways').joinpath('resource.txt').read_text()",
        "resource.txt": "«2|3»",
    },
    "a file in a folder above": {
        "": HERE + "def scale():\n    return (HERE.parent / 'above.txt').read_text()",
        "../above.txt": "«2|3»",
    },
    "a path from the working folder": {
        "": "def scale():\n    return open('nets/ways/cwd.txt').read()",
        "cwd.txt": "«2|3»",
    },
    "the environment": {"": "import os\ndef scale():\n    return os.environ['WAYS_SCALE']", "$WAYS_SCALE": "«2|3»"},
    "os.getenv with a default": {
        "": "import os\ndef scale():\n    return os.getenv('WAYS_OTHER') or 2",
        "$WAYS_OTHER": "«|3»",
    },
    "a variable whose name is put together": {
        "": "import os\ndef scale():\n    return sum(float(os.environ.get(f'WAYS_N_{i}', 1)) for i in range(2))",
        "$WAYS_N_1": "«2|3»",
    },
    "a layer's call in training": {
        "": "import keras\ndef net(shape, n_classes):\n    class Turned(keras.layers.Layer):\n"
        "        def call(self, x, training=False):\n            return x * «2|3» if training else x\n"
        "    layers = [keras.Input(shape), keras.layers.Flatten(), Turned()]\n"
        "    return keras.Sequential([*layers, keras.layers.Dense(n_classes)])"
    },
}  # fmt: skip


def file_of(way: str, name: str) -> str:
    """The path of a way's file from the root of the repository."""
    module = "".join(letter if letter.isalnum() else "_" for letter in way.lower())
    stem = name or f"way_{module}"
    return f"nets/ways/{stem}" if "." in stem.rsplit("/")[-1] else f"nets/ways/{stem}.py"


def net_of(way: str) -> str:
    """The dotted name of a way's model."""
    return f"{file_of(way, '').removesuffix('.py').replace('/', '.')}.net"
