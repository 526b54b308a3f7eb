"""Builds a wheel from a source distribution through its PEP 517 backend, under the clock of another build.

Reads /inputs/recipe/build.json:
  sdist     file name below /inputs/source
  backend   build-backend of PEP 517, with backend_path
  hook      "build_wheel", or "get_requires_for_build_wheel" to only ask for further requirements
  universal whether the released wheel is tagged py2.py3, which setuptools does only when told to
  uniform   the one time of all files in the released wheel, or null
  entries   path in the released wheel -> {time, mode, sha256}

Source files that the released wheel holds get the time and mode that it stores for them. Where times differ
from file to file, files that the build itself writes show the stored time as well: the clock that the first
build saw. Nothing here writes the archive or changes a file's content; that is the backend's alone.
"""

import hashlib
import importlib
import json
import os
import subprocess
import sys
import tarfile
import time
import zipfile

SOURCE = "/build/source"


def unpack(path):
    """Unpacks the source distribution; gives its top folder."""
    os.makedirs(SOURCE)
    if path.endswith(".zip"):
        with zipfile.ZipFile(path) as archive:
            archive.extractall(SOURCE)
    else:
        with tarfile.open(path) as archive:
            archive.extractall(SOURCE, filter="data") if hasattr(tarfile, "data_filter") else archive.extractall(SOURCE)
    tops = [name for name in os.listdir(SOURCE) if os.path.isdir(os.path.join(SOURCE, name))]
    if len(tops) != 1:
        sys.exit(f"the source distribution has {len(tops)} top folders: {tops}")
    return os.path.join(SOURCE, tops[0])


def date_sources(top, entries):
    """Gives source files the time and mode that the released wheel stores for the same content."""
    by_content = {}
    for path, entry in entries.items():
        by_content.setdefault(entry["sha256"], []).append((path, entry))
    for folder, _, names in os.walk(top):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.islink(path) or not os.path.isfile(path):
                continue
            with open(path, "rb") as file:
                found = by_content.get(hashlib.sha256(file.read()).hexdigest())
            if not found:
                continue
            # Several files may have the same content: the one with the longest common end of path is meant.
            _, entry = max(found, key=lambda item: common_end(path, item[0]))
            os.chmod(path, entry["mode"] | 0o400)
            os.utime(path, (entry["time"], entry["time"]))


def common_end(path, other):
    count = 0
    for one, two in zip(reversed(path.split("/")), reversed(other.split("/"))):
        if one != two:
            break
        count += 1
    return count


class Clock:
    """Shows files that the build writes, and the present moment, as the first build saw them."""

    def __init__(self, entries):
        self.started = time.time()
        self.times = {path: entry["time"] for path, entry in entries.items()}
        self.real = {name: getattr(os, name) for name in ("stat", "fstat", "lstat")}
        records = [when for path, when in self.times.items() if path.endswith(".dist-info/RECORD")]
        self.now = records[0] if records else max(self.times.values())

    def when(self, path):
        parts = path.split("/")
        for start in range(len(parts)):
            found = self.times.get("/".join(parts[start:]))
            if found is not None:
                return found
        return None

    def dated(self, result, path):
        # Coarse file systems may round down; a second of grace is enough, sources are years old.
        if result.st_mtime < self.started - 1:
            return result
        found = self.when(path)
        if found is None:
            return result
        fields = {name: getattr(result, name) for name in dir(result) if name.startswith("st_")}
        fields.update(st_mtime=float(found), st_mtime_ns=found * 10**9)
        values = list(result)
        values[8] = found
        return os.stat_result(values, fields)

    def install(self):
        def named(name):
            real = self.real[name]

            def patched(path, *args, **kwargs):
                result = real(path, *args, **kwargs)
                if isinstance(path, int):
                    return self.dated(result, os.readlink(f"/proc/self/fd/{path}"))
                return self.dated(result, os.fsdecode(path))

            return patched

        for name in self.real:
            setattr(os, name, named(name))
        time.time = lambda: float(self.now)


def backend(spec, paths):
    module, _, attributes = spec.partition(":")
    sys.path[:0] = [os.path.join(os.getcwd(), path) for path in paths]
    found = importlib.import_module(module)
    for attribute in attributes.split(".") if attributes else []:
        found = getattr(found, attribute)
    return found


def ask_for_universal():
    """Sets the option where every version of setuptools looks, without touching the source."""
    os.environ["HOME"] = "/build/home"
    os.makedirs("/build/home")
    with open("/build/home/.pydistutils.cfg", "w", encoding="utf-8") as file:
        file.write("[bdist_wheel]\nuniversal = 1\n")


def main():
    with open("/inputs/recipe/build.json", encoding="utf-8") as file:
        build = json.load(file)
    top = unpack("/inputs/source/" + build["sdist"])
    os.chdir(top)
    if build["hook"] == "get_requires_for_build_wheel":
        hook = getattr(backend(build["backend"], build["backend_path"]), build["hook"], None)
        with open("/out/requires.json", "w", encoding="utf-8") as file:
            json.dump(list(hook({})) if hook else [], file)
        return
    date_sources(top, build["entries"])
    if build["universal"]:
        ask_for_universal()
    if build["uniform"] is not None:
        os.environ["SOURCE_DATE_EPOCH"] = str(build["uniform"])
    else:
        Clock(build["entries"]).install()
    try:
        chosen = backend(build["backend"], build["backend_path"])
    except (ImportError, AttributeError):
        if not build["backend"].startswith("setuptools.build_meta"):
            raise
        # setuptools before 40.8 has no such backend; its own command is what everybody used.
        subprocess.run([sys.executable, "setup.py", "bdist_wheel", "-d", "/out"], check=True)
        return
    print("built", chosen.build_wheel("/out", None))


main()
