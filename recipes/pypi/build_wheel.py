"""Builds a wheel from source through its PEP 517 backend, in the surroundings of another build.

Runs on Python 2.7, for wheels that Python 2 made, and on 3.8 and later.

Reads /inputs/recipe/build.json:
  archive   file name below /inputs: a source distribution, or the files of a commit
  top       folder to unpack into, for archives without one top folder; else null
  folder    where the package is below the top folder
  lacking   where the package is in /inputs/further.tar, the files of a commit: what the source lacks of them is added; or
            null
  backend   build-backend of PEP 517, with backend_path
  hook      "build_wheel", or "get_requires_for_build_wheel" to only ask for further requirements
  options   options of setuptools' bdist_wheel, as in setup.cfg
  ordered   whether requirements and extras are in the order of the source distribution's own list
  arguments words that setup.py finds on its command line
  described whether the description is that of PKG-INFO in the source distribution, rather than what setup.py composes
  empty     names of packages that were folders without files
  uniform   the one time of all files in the released wheel, or null
  entries   [path, mode, time] of each file of the released wheel, in its order; no time where all have one
  windows   whether the released wheel was written on Windows
  markers   names of files in the released wheel that are empty by their meaning, and that the source may lack
  no_mode   whether a member that was given no mode keeps none, as Python 2 leaves it
  python    version of Python that setuptools puts into file names, empty for none, or null for its own
  sorted    whether setuptools writes requirements in order, as that of Debian and its derivatives does
  pure      name of the project, if its released wheel of setuptools has no compiled code; else null
  impure    whether that wheel is laid out as one with compiled code all the same
  platform  platform tag that auditwheel gives a wheel with compiled code, or null

Nothing here says what the released files hold: neither digest nor size. Source files that bear the names of released
ones get the time and mode that the wheel stores for them, and folders list their files in its order. Files that the build itself writes show the stored mode as well and, where times differ from
file to file, the stored time: the clock that the first build saw. Nothing here writes the archive or changes a
file's content; that is the backend's alone.
"""

from __future__ import print_function

import collections
import email
import fractions
import glob
import importlib
import inspect
import io
import json
import math
import os
import re
import runpy
import shutil
import stat
import subprocess
import sys
import tarfile
import time
import types
import zipfile

PYTHON_2 = sys.version_info[0] == 2
if not PYTHON_2:
    import builtins
    import collections.abc
    import html
    import html.parser
    import importlib.machinery
    import pathlib

# What a result of `os.stat` has by position alone; of its times, the positions have whole seconds, the names more.
BY_POSITION = ("st_mode", "st_ino", "st_dev", "st_nlink", "st_uid", "st_gid", "st_size")
SOURCE = "/build/source"
FURTHER = "/inputs/further.tar"


def unpack(path, top):
    """Unpacks the source; gives its top folder."""
    target = os.path.join(SOURCE, str(top)) if top else SOURCE
    os.makedirs(target)
    if path.endswith(".zip"):
        with zipfile.ZipFile(path) as archive:
            archive.extractall(target)
    else:
        with tarfile.open(path) as archive:
            archive.extractall(target, filter=as_data) if hasattr(tarfile, "data_filter") else archive.extractall(target)
    tops = [name for name in os.listdir(SOURCE) if os.path.isdir(os.path.join(SOURCE, name))]
    if len(tops) != 1:
        sys.exit("the source distribution has {} top folders: {}".format(len(tops), tops))
    return os.path.join(SOURCE, tops[0])


def as_data(member, target):
    """Ordinary files; links may lead anywhere, since nothing that matters is in reach."""
    try:
        return tarfile.data_filter(member, target)
    except (tarfile.AbsoluteLinkError, tarfile.LinkOutsideDestinationError):
        return tarfile.tar_filter(member, target)


def follow_link(path):
    """Puts a copy where a link to a file is, as what was built from it may bear another time and mode than its target."""
    try:
        with open(path, "rb") as file:
            content = file.read()
        mode = stat.S_IMODE(os.stat(path).st_mode)
    except OSError:
        return
    os.unlink(path)
    with open(path, "wb") as file:
        file.write(content)
    os.chmod(path, mode)


def add_markers(top, markers):
    """Puts empty files into packages of a source that lacks them, if its setup names them."""
    named = set()
    for name in ("setup.py", "setup.cfg", "pyproject.toml", "MANIFEST.in"):
        if os.path.isfile(os.path.join(top, name)):
            with io.open(os.path.join(top, name), encoding="utf-8", errors="replace") as file:
                text = file.read()
            named.update(path for path in markers if path.rpartition("/")[2] in text)
    for path in sorted(named):
        for above in ("", "src", "lib"):
            package, name = os.path.split(os.path.join(top, above, path))
            if os.path.isfile(os.path.join(package, "__init__.py")):
                with open(os.path.join(package, name), "ab"):
                    pass
                break


def add_empty(top, names):
    """Makes folders without files beside the list of packages, which names them."""
    for above in ("", "src", "lib", "python"):
        folder = os.path.join(top, above)
        if os.path.isdir(folder) and any(name.endswith(".egg-info") for name in os.listdir(folder)):
            for name in names:
                make_folder(os.path.join(folder, name))
            break


def add_lacking(top, folder):
    """Adds what the source lacks of the package in a folder of the commit; nothing that it has is touched."""
    above = folder.strip("/") + "/" if folder.strip("/") else ""
    with tarfile.open(FURTHER) as archive:
        for member in archive:
            if member.isreg() and member.name.startswith(above):
                put(archive, member, os.path.join(top, member.name[len(above):]))


def make_folder(path):
    """Makes a folder, and those above it, unless it exists."""
    if not os.path.isdir(path):
        os.makedirs(path)


def path_text(path):
    """A path as text."""
    if PYTHON_2:
        return path if isinstance(path, type(u"")) else path.decode("utf-8", "replace")
    return os.fsdecode(path)


def put(archive, member, path):
    """Writes a file of an archive to a path at which there is none."""
    if os.path.lexists(path):
        return
    try:
        make_folder(os.path.dirname(path))
    except OSError:
        # A file of the source is in the way.
        return
    with open(path, "wb") as file:
        file.write(archive.extractfile(member).read())
    os.chmod(path, member.mode | 0o400)


def date_sources(top, entries, uniform):
    """Gives source files the time and mode that the released wheel stores for the file of the same name."""
    by_name = {}
    for path, entry in entries.items():
        by_name.setdefault(path.rpartition("/")[2], []).append((path, entry))
    sources = {}
    for folder, _, names in os.walk(top):
        for name in names:
            path = os.path.join(folder, name)
            if name in by_name and os.path.isfile(path):
                sources.setdefault(name, []).append(path)
    for name, paths in sources.items():
        known = {end for path in paths for end in ends(path)}
        nearest = {path: next(end for end in ends(path) if end in known).count("/") for path, _ in by_name[name]}
        for path in paths:
            # What another source is nearer to is that one's.
            own = [item for item in by_name[name] if common_end(path, item[0]) > nearest[item[0]]]
            found = own or by_name[name]
            if os.path.islink(path):
                follow_link(path)
            # Several may have the same name: the one with the longest common end of path is meant. Of these it is one
            # beside the metadata, which has copies with times of their own, and the one that is nearest to the top,
            # where a package's folder has another name in the source.
            _, entry = max(
                found, key=lambda item: (common_end(path, item[0]), ".dist-info/" not in item[0], -item[0].count("/"))
            )
            moment = uniform if entry["time"] is None else entry["time"]
            os.chmod(path, entry["mode"] | 0o400)
            os.utime(path, (moment, moment))


def ends(path):
    """The ends of a path, the longest first."""
    parts = path.split("/")
    return ["/".join(parts[start:]) for start in range(len(parts))]


def common_end(path, other):
    count = 0
    for one, two in zip(reversed(path.split("/")), reversed(other.split("/"))):
        if one != two:
            break
        count += 1
    return count


class Shown:
    """Shows files that the build writes, and the present moment, as the first build saw them.

    Modes always; times only where they differ from file to file, since SOURCE_DATE_EPOCH gives the one time of all.
    """

    def __init__(self, entries, uniform):
        self.started = time.time()
        self.entries = entries
        self.scripts = {path.rpartition("/")[2]: entry for path, entry in entries.items() if ".data/scripts/" in path}
        self.times = not uniform
        self.real = {name: getattr(os, name) for name in ("stat", "fstat", "lstat")}
        if self.times:
            # Packages that the wheel contains may have a RECORD of their own, deeper down.
            ends = [path for path in entries if path.endswith(".dist-info/RECORD") and path.count("/") == 1]
            records = [entries[path]["time"] for path in ends]
            self.now = records[0] if records else max(entry["time"] for entry in entries.values())

    def entry(self, path):
        parts = path.split("/")
        if len(parts) > 1 and parts[-2].startswith("scripts-"):
            # The folder of distutils for scripts; a module may have the name of one.
            found = self.scripts.get(parts[-1])
            if found is not None:
                return found
        for start in range(len(parts)):
            found = self.entries.get("/".join(parts[start:]))
            if found is not None:
                return found
        return None

    def shown(self, result, path):
        if not stat.S_ISREG(result.st_mode) or path.startswith("/build/venv/"):
            return result
        entry = self.entry(path)
        if entry is None:
            return result
        # Coarse file systems may round down; a second of grace is enough, sources are years old. Copies of them keep
        # their time and not always their mode.
        written = result.st_mtime >= self.started - 1
        # Python 3.13 takes no field by name that is among the values.
        fields = {
            name: getattr(result, name) for name in dir(result) if name.startswith("st_") and name not in BY_POSITION
        }
        values = list(result)
        values[0] = stat.S_IFMT(result.st_mode) | entry["mode"]
        if self.times and written:
            values[8] = entry["time"]
            fields.update(st_mtime=float(entry["time"]), st_mtime_ns=entry["time"] * 10**9)
        return os.stat_result(values, fields)

    def install(self):
        def named(name):
            real = self.real[name]

            def patched(path, *args, **kwargs):
                result = real(path, *args, **kwargs)
                if isinstance(path, int):
                    return self.shown(result, path_text(os.readlink("/proc/self/fd/{}".format(path))))
                return self.shown(result, path_text(path))

            return patched

        for name in self.real:
            setattr(os, name, Unbound(named(name)))
        if self.times:
            time.time = lambda: float(self.now)


class Unbound:
    """A function that stays one where a class holds it, as those of `os` do: pathlib before Python 3.11 holds them."""

    def __init__(self, function):
        self.function = function

    def __call__(self, *args, **kwargs):
        return self.function(*args, **kwargs)


def order_listings(entries):
    """Makes folders list what the released wheel holds in its order, and the rest by name after it."""
    ranks = {}
    for path, entry in entries.items():
        parts = path.split("/")
        for end in range(1, len(parts) + 1):
            place = "/".join(parts[:end])
            ranks[place] = min(ranks.get(place, entry["position"]), entry["position"])

    def rank(folder, name):
        parts = os.path.join(os.path.abspath(folder), name).split("/")
        for start in range(len(parts)):
            found = ranks.get("/".join(parts[start:]))
            if found is not None:
                return found, name
        return len(entries), name

    real_listdir, real_scandir = os.listdir, getattr(os, "scandir", None)

    def listdir(path="."):
        names = real_listdir(path)
        return names if isinstance(path, int) else sorted(names, key=lambda name: rank(path_text(path), path_text(name)))

    class Scan:
        def __init__(self, found):
            self.found = iter(found)

        def __iter__(self):
            return self

        def __next__(self):
            return next(self.found)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def close(self):
            pass

    def scandir(path="."):
        with real_scandir(path) as found:
            found = list(found)
        if not isinstance(path, int):
            found.sort(key=lambda entry: rank(path_text(path), path_text(entry.name)))
        return Scan(found)

    os.listdir = Unbound(listdir)
    if real_scandir:
        os.scandir = Unbound(scandir)


def backend(spec, paths):
    module, _, attributes = spec.partition(":")
    sys.path[:0] = [os.path.join(os.getcwd(), path) for path in paths]
    found = importlib.import_module(module)
    for attribute in attributes.split(".") if attributes else []:
        found = getattr(found, attribute)
    return found


def chosen_backend(build):
    """The backend; None if it is a setuptools that has none, or that of Python 2, which nobody built with it."""
    by_setuptools = build["backend"].startswith("setuptools.build_meta")
    if PYTHON_2 and by_setuptools:
        return None
    try:
        return backend(build["backend"], build["backend_path"])
    except (ImportError, AttributeError):
        if not by_setuptools:
            raise
        return None


def set_options(options):
    """Sets options where every version of setuptools looks, without touching the source."""
    os.environ["HOME"] = "/build/home"
    os.makedirs("/build/home")
    lines = ["[bdist_wheel]"] + ["{} = {}".format(name, value) for name, value in sorted(options.items())]
    with open("/build/home/.pydistutils.cfg", "w") as file:
        file.write("\n".join(lines) + "\n")


def restore_old_names():
    """Gives back names of the standard library that backends of the source's day use and this Python has dropped."""
    for name in collections.abc.__all__:
        if not hasattr(collections, name):
            setattr(collections, name, getattr(collections.abc, name))
    if not hasattr(inspect, "getargspec"):
        inspect.getargspec = lambda function: inspect.getfullargspec(function)[:4]
    if not hasattr(html.parser.HTMLParser, "unescape"):
        html.parser.HTMLParser.unescape = lambda self, text: html.unescape(text)
    if not hasattr(fractions, "gcd"):
        fractions.gcd = math.gcd
    for name in ("FileFinder", "SourceFileLoader"):
        # Where they were before Python 3.5.
        if not hasattr(importlib._bootstrap, name):
            setattr(importlib._bootstrap, name, getattr(importlib.machinery, name))
    if not hasattr(time, "clock"):
        time.clock = time.perf_counter
    real_open = io.open

    def open_leniently(file, mode="r", *rest, **more):
        if isinstance(mode, str):
            # "U" has meant nothing but the default since Python 3.0.
            mode = mode.replace("U", "") or "r"
        return real_open(file, mode, *rest, **more)

    builtins.open = io.open = Unbound(open_leniently)
    compiler = getattr(re, "_compiler", None)
    real_compile = getattr(compiler, "compile", None)

    def compile_leniently(pattern, flags=0):
        try:
            return real_compile(pattern, flags)
        except re.error as error:
            if "global flags" not in str(error) or not isinstance(pattern, str):
                raise
            # What earlier versions took with a warning: flags anywhere.
            found = "".join(re.findall(r"\(\?([aiLmsux]+)\)", pattern))
            return real_compile("(?" + found + ")" + re.sub(r"\(\?[aiLmsux]+\)", "", pattern), flags)

    if compiler:
        compiler.compile = compile_leniently
    try:
        import symbol
    except ImportError:
        # setuptools asks which numbers the grammar had, to read markers; it falls back where none fits.
        symbol = types.ModuleType("symbol")
        names = "test and_test or_test not_test comparison expr atom file_input"
        for number, name in enumerate(names.split(), 256):
            setattr(symbol, name, number)
        sys.modules["symbol"] = symbol
        parser = types.ModuleType("parser")
        sys.modules.setdefault("parser", parser)


def appear_as_windows():
    """Text files get the encoding and line ends, and archives the mark, that Python gives them on Windows."""

    class Windows:
        platform = "win32"

        def __getattr__(self, name):
            return getattr(sys, name)

    zipfile.sys = Windows()
    os.linesep = "\r\n"
    if PYTHON_2:
        write_lines_as_windows()
        return
    real_open = io.open

    def opened(file, mode="r", buffering=-1, encoding=None, errors=None, newline=None, *rest, **more):
        if "b" not in mode and not str(file).startswith("/usr/"):
            encoding = encoding or "cp1252"
            if newline is None and any(letter in mode for letter in "wax+"):
                newline = "\r\n"
        return real_open(file, mode, buffering, encoding, errors, newline, *rest, **more)

    builtins.open = io.open = Unbound(opened)
    sort_paths_as_windows()


def write_lines_as_windows():
    """Text files have the line ends of Windows on Python 2, which translates them when it reads and writes."""
    import __builtin__

    real_open = open

    class Text(object):
        def __init__(self, file):
            self.file = file

        def __getattr__(self, name):
            return getattr(self.file, name)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.file.close()

        def write(self, text):
            self.file.write(text.replace("\n", "\r\n"))

        def writelines(self, lines):
            for line in lines:
                self.write(line)

    def opened(path, mode="r", *rest):
        text = "b" not in mode
        file = real_open(path, mode + "U" if text and mode == "r" else mode, *rest)
        return Text(file) if text and mode[:1] in ("w", "a") else file

    __builtin__.open = Unbound(opened)


def sort_paths_as_windows():
    """Paths compare without regard to case on Windows."""
    for name, chosen in (("__lt__", 0), ("__le__", 1), ("__gt__", 2), ("__ge__", 3)):

        def compare(self, other, chosen=chosen):
            if not isinstance(other, pathlib.PurePath):
                return NotImplemented
            one, two = ([part.lower() for part in path.parts] for path in (self, other))
            return (one < two, one <= two, one > two, one >= two)[chosen]

        setattr(pathlib.PurePath, name, compare)


def keep_members_without_mode():
    """Archives store no mode for a member that was given none: Python 3 makes it 0600, Python 2 does not."""
    real = getattr(zipfile.ZipFile, "_open_to_write", None)
    if real is None:
        return

    def open_to_write(self, member, *rest, **more):
        given = member.external_attr
        opened = real(self, member, *rest, **more)
        member.external_attr = given
        return opened

    zipfile.ZipFile._open_to_write = open_to_write


def appear_as_python(version):
    """Makes setuptools put another version of Python into file names; the interpreter stays what it is."""
    if not version:
        write_bare_names()
        return
    current = "{}.{}".format(*sys.version_info)
    for name in ("setuptools", "pkg_resources", "setuptools.command.egg_info"):
        try:
            found = importlib.import_module(name)
        except ImportError:
            continue
        if hasattr(found, "PY_MAJOR"):
            found.PY_MAJOR = version
        # Some functions have taken it as a default already.
        holders = getattr(found, "Distribution", None), getattr(found, "egg_info", None)
        for function in (getattr(holder, method, None) for holder in holders for method in ("__init__", "_get_egg_basename")):
            defaults = getattr(function, "__defaults__", None) or ()
            if current in defaults:
                function.__defaults__ = tuple(version if one == current else one for one in defaults)


def write_bare_names():
    """Makes setuptools put no version of Python into the name of a namespace file, as that of Debian does."""
    try:
        from setuptools import namespaces
    except ImportError:
        return
    real = namespaces.Installer._get_target
    namespaces.Installer._get_target = lambda self: re.sub(r"-py[0-9.]+(?=\.egg-info$)", "", real(self))


def sort_requirements():
    """Makes setuptools write requirements in order: Debian and its derivatives have patched it so since 2014."""
    for name in ("setuptools.command._requirestxt", "setuptools.command.egg_info"):
        try:
            found = importlib.import_module(name)
            real = found._write_requirements
        except (ImportError, AttributeError):
            continue
        if real.__module__ != name:
            continue

        def in_order(stream, required, real=real):
            from pkg_resources import yield_lines

            real(stream, sorted(yield_lines(required or ())))

        found._write_requirements = in_order


def description(top):
    """The description in PKG-INFO, which setuptools wrote when the setup had all files that it reads."""
    with io.open(os.path.join(top, "PKG-INFO"), encoding="utf-8", newline="\n") as file:
        text = file.read()
        message = email.message_from_string(text.encode("utf-8") if PYTHON_2 else text)
    text = message["Description"]
    if text is None:
        text = message.get_payload()
    else:
        text = text.replace("\n" + 8 * " ", "\n")
    return text if text and text.strip() != "UNKNOWN" else None


def describe(text):
    """Makes setuptools write this description."""
    importlib.import_module("setuptools")
    found = importlib.import_module("distutils.dist")
    found.DistributionMetadata.get_long_description = lambda self: text


def keep_order(top):
    """Makes setuptools write requirements and extras as the source distribution has them, if only their order differs.

    A setup that puts them through a set, or reads them from files in a folder, has them in another order each time.
    """
    found = importlib.import_module("setuptools.command.egg_info").egg_info
    literal = getattr(glob, "escape", lambda path: path)
    written = {}
    for above in ("", "src", "lib", "python"):
        for folder in sorted(glob.glob(os.path.join(literal(os.path.join(top, above)), "*.egg-info"))):
            for name in ("PKG-INFO", "requires.txt"):
                path = os.path.join(folder, name)
                if os.path.isfile(path):
                    with open(path, "rb") as file:
                        written.setdefault((os.path.basename(folder), name), file.read())
    real = found.run

    def run(self):
        real(self)
        for (folder, name), before in written.items():
            path = os.path.join(self.egg_info, name)
            if folder == os.path.basename(self.egg_info) and os.path.isfile(path):
                with open(path, "rb") as file:
                    now = file.read()
                if now != before and sorted(now.splitlines()) == sorted(before.splitlines()):
                    with open(path, "wb") as file:
                        file.write(before)

    found.run = run


def leave_out_extensions(name, impure):
    """Makes setuptools build no compiled code, as if the setup had been told so, by a variable or for want of a compiler."""
    os.environ[re.sub("[^A-Z0-9]", "_", name.upper()) + "_NO_EXTENSIONS"] = "1"
    try:
        from setuptools import dist
    except ImportError:
        return

    real = dist.Distribution.run_commands

    def run_commands(self):
        self.ext_modules = self.libraries = self.rust_extensions = None
        # Classes and helpers that build extensions in their own way say that there are some. Where the released wheel is
        # laid out as if there were some, its setup said so.
        self.has_ext_modules = lambda: impure
        return real(self)

    dist.Distribution.run_commands = run_commands


def setup_requires():
    """What setup.py asks for, where the backend is too old to have a hook that tells."""
    from setuptools import dist

    class Told(BaseException):
        pass

    def tell(_, required):
        raise Told(required)

    dist.Distribution.fetch_build_eggs = tell
    sys.argv = ["setup.py", "--name"]
    sys.path.insert(0, os.getcwd())
    try:
        runpy.run_path("setup.py", run_name="__main__")
    except Told as told:
        required = told.args[0]
        return required.splitlines() if isinstance(required, str) else [str(one) for one in required]
    except SystemExit:
        pass
    return []


def repair(folder, platform):
    """Gives a wheel with compiled code the tag under which it was released, and copies libraries into it."""
    for name in sorted(os.listdir(folder)):
        subprocess.run([sys.executable, "-m", "auditwheel", "repair", "--plat", platform, "-w", "/out",
                        os.path.join(folder, name)], check=True)


def run_setup(out, arguments):
    """What everybody used before backends: setuptools before 40.8 has none."""
    sys.argv = ["setup.py"] + [str(word) for word in arguments] + ["bdist_wheel", "-d", out]
    sys.path.insert(0, os.getcwd())
    runpy.run_path("setup.py", run_name="__main__")


def main():
    with io.open("/inputs/recipe/build.json", encoding="utf-8") as file:
        build = json.load(file)
    top = unpack("/inputs/" + build["archive"], build["top"])
    if build["lacking"] is not None:
        add_lacking(top, build["lacking"])
    os.chdir(os.path.join(top, build["folder"]))
    if not PYTHON_2:
        restore_old_names()
    settings = {"--global-option": build["arguments"]} if build["arguments"] else None
    if build["hook"] == "get_requires_for_build_wheel":
        found = chosen_backend(build)
        hook = getattr(found, build["hook"], None) if found else lambda _: setup_requires()
        required = list(hook(settings or {})) if hook else []
        with open("/out/requires.json", "w") as file:
            json.dump(required, file)
        return
    entries = {
        entry[0]: {"mode": entry[1], "time": entry[2] if entry[2:] else None, "position": position}
        for position, entry in enumerate(build["entries"])
    }
    add_markers(os.getcwd(), build["markers"])
    add_empty(os.getcwd(), build["empty"])
    date_sources(path_text(top), entries, build["uniform"])
    order_listings(entries)
    if build["options"]:
        set_options(build["options"])
    if build["uniform"] is not None:
        os.environ["SOURCE_DATE_EPOCH"] = str(build["uniform"])
    Shown(entries, build["uniform"] is not None).install()
    if build["python"] is not None:
        appear_as_python(build["python"])
    if build["described"] and os.path.isfile("PKG-INFO"):
        text = description(os.getcwd())
        if text:
            describe(text)
    if build["ordered"]:
        keep_order(os.getcwd())
    if build["sorted"]:
        sort_requirements()
    if build["pure"]:
        leave_out_extensions(build["pure"], build["impure"])
    if build["windows"]:
        appear_as_windows()
    if build["no_mode"]:
        keep_members_without_mode()
    # Not /out itself: setuptools 40.8.0 removes the folder that it is given.
    out = "/build/made"
    make_folder(out)
    chosen = chosen_backend(build)
    if chosen:
        print("built", chosen.build_wheel(out, settings))
    else:
        run_setup(out, build["arguments"])
    if build["platform"]:
        repair(out, build["platform"])
    else:
        for name in os.listdir(out):
            shutil.copy(os.path.join(out, name), "/out")


main()
