"""Small packages, each with one edit, by what the edit does to the digest of the code that is reached."""

# Case -> files by name ("a__b" is a/b.py), with one edit "«old|new»" that changes what `pkg.main.run` gives.
MOVES = {
    "its own body": {"pkg__main": "def run():\n    return «1|2»"},
    "a name that it calls": {"pkg__main": "def help():\n    return «1|2»\ndef run():\n    return help()"},
    "a constant": {"pkg__main": "X = «1|2»\ndef run():\n    return X"},
    "a constant behind a constant": {"pkg__main": "X = «1|2»\nY = X + 1\ndef run():\n    return Y"},
    "an annotated constant": {"pkg__main": "X: int = «1|2»\ndef run():\n    return X"},
    "one of several names": {"pkg__main": "A, B = «1|2», 3\ndef run():\n    return B"},
    "a starred target": {"pkg__main": "A, *B = «1|2», 3\ndef run():\n    return B"},
    "an operator": {"pkg__main": "def run(x):\n    return x «<|<=» 3"},
    "a default argument": {"pkg__main": "def run(x=«1|2»):\n    return x"},
    "a name in a default argument": {"pkg__main": "D = «1|2»\ndef run(x=D):\n    return x"},
    "a keyword-only default": {"pkg__main": "def run(*, x=«1|2»):\n    return x"},
    "a decorator": {"pkg__main": "from functools import cache\n«@cache|»\ndef run():\n    return 1"},
    "a decorator's body": {
        "pkg__main": "def twice(f):\n    return lambda: «2|3» * f()\n@twice\ndef run():\n    return 1"
    },
    "a method": {
        "pkg__main": "class C:\n    def m(self):\n        return «1|2»\ndef run():\n    return C().m()"
    },
    "a base class": {
        "pkg__main": "from pkg.other import Base\nclass C(Base):\n    pass\ndef run():\n    return C().m()",
        "pkg__other": "class Base:\n    def m(self):\n        return «1|2»",
    },
    "a nested function": {
        "pkg__main": "def run():\n    def inner():\n        return «1|2»\n    return inner()"
    },
    "an import from": {
        "pkg__main": "from pkg.other import f\ndef run():\n    return f()",
        "pkg__other": "def f():\n    return «1|2»",
    },
    "an import under another name": {
        "pkg__main": "from pkg.other import f as g\ndef run():\n    return g()",
        "pkg__other": "def f():\n    return «1|2»",
    },
    "where an import comes from": {
        "pkg__main": "from pkg.«one|two» import f\ndef run():\n    return f()",
        "pkg__one": "def f():\n    return 1",
        "pkg__two": "def f():\n    return 1",
    },
    "a relative import": {
        "pkg__main": "from .other import f\ndef run():\n    return f()",
        "pkg__other": "def f():\n    return «1|2»",
    },
    "a module by a relative import": {
        "pkg__main": "from . import other\ndef run():\n    return other.f()",
        "pkg__other": "def f():\n    return «1|2»",
    },
    "a relative import in a package": {
        "pkg__main": "from pkg.sub import f\ndef run():\n    return f()",
        "pkg__sub__INIT": "from ..other import f",
        "pkg__other": "def f():\n    return «1|2»",
    },
    "an import with dots under a name": {
        "pkg__main": "import pkg.sub.deep as d\ndef run():\n    return d.f()",
        "pkg__sub__INIT": "",
        "pkg__sub__deep": "def f():\n    return «1|2»",
    },
    "a chain of attributes": {
        "pkg__main": "import pkg.sub.deep\ndef run():\n    return pkg.sub.deep.f()",
        "pkg__sub__INIT": "",
        "pkg__sub__deep": "def f():\n    return «1|2»",
    },
    "a class attribute behind a module": {
        "pkg__main": "from pkg import other\ndef run():\n    return other.C.value",
        "pkg__other": "class C:\n    value = «1|2»",
    },
    "an import inside the function": {
        "pkg__main": "def run():\n    from pkg.other import f\n    return f()",
        "pkg__other": "def f():\n    return «1|2»",
    },
    "a module imported inside the function": {
        "pkg__main": "def run():\n    import pkg.other as o\n    return o.f()",
        "pkg__other": "def f():\n    return «1|2»",
    },
    "a name that a package hands on": {
        "pkg__main": "from pkg.sub import f\ndef run():\n    return f()",
        "pkg__sub__INIT": "from pkg.sub.deep import f",
        "pkg__sub__deep": "def f():\n    return «1|2»",
    },
    "whom a package hands on": {
        "pkg__main": "from pkg.sub import f\ndef run():\n    return f()",
        "pkg__sub__INIT": "from pkg.sub.deep import «f|g as f»",
        "pkg__sub__deep": "def f():\n    return 1\ndef g():\n    return 1",
    },
    "a name of a module that is handed on": {
        "pkg__main": "from pkg.sub import deep\ndef run():\n    return deep.f()",
        "pkg__sub__INIT": "from pkg.other import deep",
        "pkg__other__deep": "def f():\n    return «1|2»",
    },
    "which part of a library is handed on": {
        "pkg__main": "from pkg.other import sin\ndef run():\n    return sin(1)",
        "pkg__other": "from numpy import «sin|cos as sin»",
    },
    "two modules that import each other": {
        "pkg__main": "from pkg import other\ndef run():\n    return other.f(1)\ndef g():\n    return «1|2»",
        "pkg__other": "from pkg import main\ndef f(n):\n    return main.g()",
    },
    "a setting of the environment": {
        "pkg__main": "import os\nos.environ['X'] = '«1|2»'\ndef run():\n    return 1"
    },
    "a setting in an imported module": {
        "pkg__main": "from pkg.other import f\ndef run():\n    return f()",
        "pkg__other": "import os\nos.environ['X'] = '«1|2»'\ndef f():\n    return 1",
    },
    "a setting in a module that is imported for it alone": {
        "pkg__main": "import pkg.setup\ndef run():\n    return 1",
        "pkg__setup": "import os\nos.environ['X'] = '«1|2»'",
    },
    "a setting two imports away": {
        "pkg__main": "import pkg.one\ndef run():\n    return 1",
        "pkg__one": "from pkg.two import X",
        "pkg__two": "import os\nX = 1\nos.environ['X'] = '«1|2»'",
    },
    "a setting in a package's __init__": {
        "pkg__main": "from pkg.sub.deep import f\ndef run():\n    return f()",
        "pkg__sub__INIT": "import os\nos.environ['X'] = '«1|2»'",
        "pkg__sub__deep": "def f():\n    return 1",
    },
    "a statement in with": {
        "pkg__main": "import contextlib, os\nwith contextlib.suppress(KeyError):\n"
        "    os.environ['X'] = '«1|2»'\ndef run():\n    return 1"
    },
    "a statement in if": {
        "pkg__main": "import os\nif os.name:\n    os.environ['X'] = '«1|2»'\ndef run():\n    return 1"
    },
    "a name bound by a loop": {"pkg__main": "for X in range(«3|4»):\n    pass\ndef run():\n    return X"},
    "a name bound by with": {"pkg__main": "with open('«a|b»') as X:\n    pass\ndef run():\n    return X"},
    "a name bound in try": {
        "pkg__main": "try:\n    X = «1|2»\nexcept OSError:\n    X = 3\ndef run():\n    return X"
    },
    "a function defined in if": {
        "pkg__main": "import os\nif os.name == 'nt':\n    def f():\n        return 1\n"
        "else:\n    def f():\n        return «2|3»\ndef run():\n    return f()"
    },
    "a function defined in if, imported": {
        "pkg__main": "from pkg.other import f\ndef run():\n    return f()",
        "pkg__other": "import os\nif os.name:\n    def f():\n        return «1|2»",
    },
    "either import of a pair": {
        "pkg__main": "try:\n    from pkg.one import f\nexcept ImportError:\n    from pkg.two import f\n"
        "def run():\n    return f()",
        "pkg__one": "def f():\n    return «1|2»",
        "pkg__two": "def f():\n    return 1",
    },
    "the second import of a pair": {
        "pkg__main": "try:\n    from pkg.one import f\nexcept ImportError:\n    from pkg.two import f\n"
        "def run():\n    return f()",
        "pkg__one": "def f():\n    return 1",
        "pkg__two": "def f():\n    return «1|2»",
    },
    "an imported name that is wrapped": {
        "pkg__main": "from pkg.other import f\nf = [f, «1|2»]\ndef run():\n    return f",
        "pkg__other": "def f():\n    return 1",
    },
    "a name bound by a walrus": {"pkg__main": "Y = (X := «1|2») + 1\ndef run():\n    return X"},
    "a sum that grows": {"pkg__main": "X = 1\nX += «1|2»\ndef run():\n    return X"},
    "a name that is deleted": {"pkg__main": "X = 1\n«del X|»\ndef run():\n    return globals().get('X')"},
    "an entry that is added": {"pkg__main": "X = {}\nX['a'] = «1|2»\ndef run():\n    return X"},
    "a value that is appended": {"pkg__main": "X = []\nX.append(«1|2»)\ndef run():\n    return X"},
    "a call whose value nobody wants": {
        "pkg__main": "import os\n_ = os.environ.setdefault('X', '«1|2»')\ndef run():\n    return 1"
    },
    "a global that a function sets": {
        "pkg__main": "X = 0\ndef set():\n    global X\n    X = «1|2»\ndef run():\n    set()\n    return X"
    },
    "a patched module": {
        "pkg__main": "import pkg.patch\nfrom pkg import other\ndef run():\n    return other.f()",
        "pkg__other": "def f():\n    return 1",
        "pkg__patch": "from pkg import other\ndef g():\n    return «1|2»\nother.f = g",
    },
    "a registry filled by a decorator": {
        "pkg__main": "KNOWN = {}\ndef known(f):\n    KNOWN[f.__name__] = f\n    return f\n"
        "@known\ndef help():\n    return «1|2»\ndef run():\n    return KNOWN['help']()",
    },
    "a registry in another module": {
        "pkg__main": "from pkg.keep import KNOWN\nimport pkg.other\ndef run():\n    return KNOWN['f']()",
        "pkg__keep": "KNOWN = {}\ndef known(name):\n    return lambda f: KNOWN.setdefault(name, f)",
        "pkg__other": "from pkg import keep\n@keep.known('f')\ndef help():\n    return «1|2»",
    },
    "a member by its name in a string": {
        "pkg__main": "from pkg import other\ndef run(name):\n    return getattr(other, name)()",
        "pkg__other": "def f():\n    return «1|2»",
    },
    "a module in a table": {
        "pkg__main": "from pkg import other\nALL = {'a': other}\ndef run():\n    return ALL['a'].f()",
        "pkg__other": "def f():\n    return «1|2»",
    },
    "a module's dictionary": {
        "pkg__main": "from pkg import other\ndef run():\n    return other.__dict__['f']()",
        "pkg__other": "def f():\n    return «1|2»",
    },
    "a module's own attribute lookup": {
        "pkg__main": "from pkg import other\ndef run():\n    return other.anything",
        "pkg__other": "def __getattr__(name):\n    return «1|2»",
    },
    "a name from a module's own attribute lookup": {
        "pkg__main": "from pkg.other import anything\ndef run():\n    return anything",
        "pkg__other": "def __getattr__(name):\n    return «1|2»",
    },
    "code beside the package": {
        "pkg__main": "import beside\ndef run():\n    return beside.f()",
        "beside": "def f():\n    return «1|2»",
    },
    "code beside the package, in a folder without __init__": {
        "pkg__main": "from beside.deep import f\ndef run():\n    return f()",
        "beside__deep": "def f():\n    return «1|2»",
    },
    "the else of a block for type checkers": {
        "pkg__main": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    X = 1\nelse:\n    X = «1|2»\n"
        "def run():\n    return X"
    },
    "an exception that may be caught": {
        "pkg__main": "class A(Exception): ...\nclass B(Exception): ...\ndef f():\n    raise «A|B»('x')\n"
        "def run():\n    try:\n        f()\n    except A:\n        return 1",
    },
    "when an error is raised": {
        "pkg__main": "from privacy_report.errors import UserError\ndef run(x):\n    if x > «1|2»:\n"
        "        raise UserError('too large')\n    return x"
    },
    "which values are a dataclass's fields": {
        "pkg__main": "from dataclasses import dataclass\nfrom typing import ClassVar\n@dataclass\nclass C:\n"
        "    x: «int|ClassVar[int]» = 3\ndef run():\n    return C()"
    },
}

# Edits that cannot change what `pkg.main.run` gives.
STAYS = {
    "a comment": {"pkg__main": "def run():\n    return 1  «# one|# another»"},
    "a docstring": {"pkg__main": 'def run():\n    """«One|Another»."""\n    return 1'},
    "a docstring added": {"pkg__main": 'def run():\n    «|"""One."""»\n    return 1'},
    "a module's docstring": {"pkg__main": '"""«One|Another»."""\ndef run():\n    return 1'},
    "an attribute's docstring": {"pkg__main": 'X = 1\n"""«One|Another»."""\ndef run():\n    return X'},
    "a class's docstring": {
        "pkg__main": 'class C:\n    """«One|Another»."""\n    x = 1\ndef run():\n    return C'
    },
    "a class of a docstring alone": {
        "pkg__main": 'class C:\n    «"""One."""|pass»\ndef run():\n    return C'
    },
    "formatting": {"pkg__main": "def run(x):\n    return «x + 1|(x\n            + 1)»"},
    "the way a number is written": {"pkg__main": "def run():\n    return «1e-3|0.001»"},
    "an argument's annotation": {"pkg__main": "def run(x«|: int»):\n    return x"},
    "a result's annotation": {"pkg__main": "def run(x)«| -> int»:\n    return x"},
    "a result's annotation of a coroutine": {
        "pkg__main": "async def f(x)«| -> int»:\n    return x\ndef run():\n    return f"
    },
    "a variable's annotation": {"pkg__main": "X: «int|float» = 3\ndef run():\n    return X"},
    "a class that annotations name": {
        "pkg__main": "class C:\n    x = «1|2»\ndef run(c: C) -> C:\n    return c.x"
    },
    "an import for annotations": {
        "pkg__main": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    «import keras|pass»\n"
        "def run(x: keras.Model):\n    return x"
    },
    "what an error says": {
        "pkg__main": "from privacy_report.errors import UserError\ndef run(x):\n    if x:\n"
        "        raise UserError(f'«too large: {x}|too small»')"
    },
    "an error's function": {
        "pkg__main": "from privacy_report.pipeline.params import refuse\ndef run(x):\n    if x:\n"
        "        raise refuse('x', x, '«1|2»')"
    },
    "a function that is not called": {
        "pkg__main": "def other():\n    return «1|2»\ndef run():\n    return 1"
    },
    "a constant that is not read": {"pkg__main": "X = «1|2»\ndef run():\n    return 1"},
    "another name of a module": {
        "pkg__main": "from pkg import other\ndef run():\n    return other.f()",
        "pkg__other": "def f():\n    return 1\ndef g():\n    return «1|2»",
    },
    "a module that nobody imports": {"pkg__main": "def run():\n    return 1", "pkg__other": "X = «1|2»"},
    "the order of definitions": {
        "pkg__main": "«A = 1\nB = 2|B = 2\nA = 1»\ndef run():\n    return A + B",
    },
    "what runs on the command line alone": {
        "pkg__main": "def run():\n    return 1\nif __name__ == '__main__':\n    print(«1|2»)"
    },
    "a local name like another's": {
        "pkg__main": "def other():\n    return «1|2»\ndef run(others):\n    return others"
    },
    "a function decorated by a library": {
        "pkg__main": "from functools import cache\n@cache\ndef other():\n    return «1|2»\n"
        "def run():\n    return 1"
    },
    "a function decorated by a library that a module of ours hands on": {
        "pkg__main": "from pkg.other import cache\n@cache\ndef help():\n    return «1|2»\n"
        "def run():\n    return 1",
        "pkg__other": "from functools import cache",
    },
}
