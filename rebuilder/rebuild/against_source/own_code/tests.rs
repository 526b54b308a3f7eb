use super::*;

#[test]
fn programs_that_build_are_at_the_top() {
    for (path, program, rules) in [
        ("p-1/configure", true, false),
        ("./Makefile", true, false),
        ("p-1/meson.build", true, false),
        ("p-1/docs/Makefile", false, false),
        ("debian/rules", false, true),
        ("p-1/debian/rules", false, true),
        ("p-1/rules", false, false),
    ] {
        assert_eq!((is_program(path), is_rules(path)), (program, rules), "{path}");
    }
}

#[test]
fn a_source_with_code_of_its_own_may_change_its_files() {
    let backend = |name: &str| format!("[build-system]\nrequires = []\nbuild-backend = \"{name}\"\n");
    let hatch = |more: &str| backend("hatchling.build") + more;
    for (path, text, expected) in [
        ("p-1/setup.py", "setup(packages=['p'])", false),
        ("p-1/setup.py", "exec(open('p/version.py').read())\nsetup()", true),
        (
            "p-1/setup.py",
            "v = eval(re.search('v = (.*)', open('p.py').read()).group(1))\nsetup(version=v)",
            false,
        ),
        (
            "p-1/setup.py",
            "def read(name):\n    'Reads (a file)'  # with open()\n    return open(name).read()\nsetup(x=read('a'))",
            false,
        ),
        (
            "p-1/setup.py",
            "import runpy\nrunpy.run_path('stamp.py')\nsetup()",
            true,
        ),
        (
            "p-1/setup.py",
            "import importlib\nimportlib.import_module('stamp')\nsetup()",
            true,
        ),
        ("p-1/setup.py", "from stamp import version\nsetup()", true),
        ("p-1/setup.py", "print(commit, file = f)\nsetup()", true),
        (
            "p-1/setup.py",
            "__import__('zipfile').ZipFile('a.zip').extractall('p')\nsetup()",
            true,
        ),
        ("p-1/setup.py", "steps[0]()\nsetup()", true),
        ("p-1/setup.py", "setup(distclass=D)", true),
        (
            "p-1/setup.py",
            "setup(setup_requires=['wheel', 'pytest_runner>=2'])",
            false,
        ),
        (
            "p-1/setup.py",
            "setup(setup_requires=['setuptools-download'])",
            true,
        ),
        ("p-1/setup.py", "setup(setup_requires=NEEDED)", true),
        ("p-1/setup.cfg", "[options]\nsetup_requires = x\n", true),
        (
            "p-1/setup.py",
            "print(\n    'v = %r' % v,\n    file=f,\n)\nsetup()",
            true,
        ),
        ("p-1/setup.py", "print >>f, 'v = %r' % v\nsetup()", true),
        ("p-1/setup.py", "exec open('stamp.py').read()\nsetup()", true),
        (
            "p-1/setup.py",
            "eval(compile(open('stamp.py').read(), 'stamp.py', 'exec'))\nsetup()",
            true,
        ),
        ("p-1/setup.py", "Path('a.py').replace('p/b.py')\nsetup()", true),
        ("p-1/setup.py", "setup(version=v.replace('-', '.'))", false),
        (
            "p-1/setup.py",
            "def copy(a):\n    open(a).copy(a)\ncopy('x')\nsetup()",
            true,
        ),
        (
            "p-1/setup.py",
            "setup(setup_requires=['setuptools_scm[toml]>=3.4', 'setuptools_scm_git_archive'])",
            true,
        ),
        ("p-1/setup.py", "setup(setup_requires=['wheel'] + NEEDED)", true),
        ("p-1/setup.py", "setup(cmdclass={} if quick else COMMANDS)", true),
        ("p-1/setup.py", "try: import stamp\nexcept: pass\nsetup()", true),
        ("p-1/setup.py", "import os.path; import stamp\nsetup()", true),
        ("p-1/setup.py", "from os import path; import stamp\nsetup()", true),
        ("p-1/setup.py", "from stamp import*\nsetup()", true),
        ("p-1/setup.py", "from p.stamp import version\nsetup()", true),
        ("p-1/setup.py", "from p._version import version\nsetup()", false),
        ("p-1/setup.py", "import sys  # not stamp\nsetup()", false),
        ("p-1/setup.py", "list(map(f.write, lines))\nsetup()", true),
        ("p-1/setup.py", "install_lib.run = stamp\nsetup()", true),
        ("p-1/setup.py", "print(f\"{stamp('p')}\")\nsetup()", true),
        ("p-1/setup.py", "f.stamp \\\n  (x)\nsetup()", true),
        ("p-1/setup.py", "open('p/x.py', 'w').close()\nsetup()", true),
        (
            "p-1/setup.py",
            "open('p/x.py', 'rb').close()\nsetup(classifiers=['write'])",
            false,
        ),
        (
            "p-1/setup.cfg",
            "[metadata]\nversion = attr: p.__version__\n",
            false,
        ),
        (
            "p-1/setup.cfg",
            "[metadata]\nversion = attr: stamp.get_version\n",
            true,
        ),
        (
            "p-1/pyproject.toml",
            "[tool.setuptools.dynamic]\nversion = {attr = 'stamp.get_version'}\n",
            true,
        ),
        (
            "p-1/pyproject.toml",
            "[tool.setuptools.dynamic]\nversion = {attr = 'p.__version__'}\n",
            false,
        ),
        ("p-1/pyproject.toml", "[tool.pdm]\nbuild = 'build.py'\n", true),
        (
            "p-1/pyproject.toml",
            "[build-system]\nrequires = ['setuptools @ git+https://example.org/it']\n",
            true,
        ),
        (
            "p-1/pyproject.toml",
            "[tool.poetry-dynamic-versioning]\nenable = true\n",
            true,
        ),
        (
            "p-1/pyproject.toml",
            "[tool.cibuildwheel]\nbefore-build = 'python stamp.py'\n",
            true,
        ),
        (
            "p-1/hatch.toml",
            "[version]\nsource = 'code'\npath = 'stamp.py'\n",
            true,
        ),
        (
            "p-1/pyproject.toml",
            "[build-system]\nrequires = [\"setuptools>=61\", 'setuptools_scm[toml]']\n",
            false,
        ),
        (
            "p-1/pyproject.toml",
            "[build-system]\nrequires = ['setuptools', 'setuptools-download']\n",
            true,
        ),
        (
            "p-1/pyproject.toml",
            "[tool.pdm.version]\nsource = 'call'\ngetter = 'stamp:version'\n",
            true,
        ),
        (
            "p-1/pyproject.toml",
            "[tool.pdm.version]\nsource = 'scm'\n",
            false,
        ),
        (
            "p-1/pyproject.toml",
            "[tool.setuptools_scm]\nversion_file_template = 'x'\n",
            true,
        ),
        ("p-1/setup.py", "sys.stderr.write('too old')\nsetup()", false),
        (
            "p-1/setup.py",
            "print('too old', file=sys.stderr)\nsetup()",
            false,
        ),
        ("p-1/setup.py", "setup(cmdclass={'test': PyTest})", false),
        (
            "p-1/setup.py",
            "setup(cmdclass={'test': A, \"upload\": B,\n})",
            false,
        ),
        ("p-1/setup.py", "setup(cmdclass={})", false),
        ("p-1/setup.py", "from p import __version__\nsetup()", false),
        (
            "p-1/setup.py",
            "from p import (VERSION, __author__)\nsetup()",
            false,
        ),
        (
            "p-1/setup.py",
            "import os, sys, setuptools.command.test as t\nsetup()",
            false,
        ),
        ("p-1/setup.py", "from stamp import stamp\nstamp()\nsetup()", true),
        (
            "p-1/setup.py",
            "class T(TestCommand):\n    def run_tests(self):\n        import pytest\nsetup(cmdclass={'test': T})",
            false,
        ),
        ("p-1/setup.py", "import os, stamp\nsetup()", true),
        (
            "p-1/setup.py",
            "try:\n    import stamp\nexcept ImportError: pass\nsetup()",
            true,
        ),
        ("p-1/setup.py", "json.dump(commit(), f)\nsetup()", true),
        ("p-1/setup.py", "setup(cmdclass={'test': A, 'build': B})", true),
        ("p-1/setup.py", "setup(cmdclass={'build_py': A})", true),
        ("p-1/setup.py", "setup(cmdclass=versioneer.get_cmdclass())", true),
        ("p-1/setup.py", "setup(use_2to3=True)", true),
        (
            "p-1/setup.py",
            "with open('p/v.py', 'w') as f: f.write(commit())",
            true,
        ),
        ("p-1/setup.py", "print(commit(), file=f)", true),
        ("p-1/setup.py", "Path('p/v.py').write_text(commit())", true),
        ("p-1/setup.py", "shutil.copy('win.py', 'p/conf.py')", true),
        ("p-1/setup.py", "os.system('make')", true),
        ("p-1/setup.py", "subprocess.Popen(['git'])", true),
        ("p-1/tests/data/a/b/setup.py", "setup(use_2to3=True)", false),
        ("a/packages/b/setup.py", "setup(use_2to3=True)", true),
        ("p-1/other.py", "shutil.copy('win.py', 'p/conf.py')", false),
        ("p-1/setup.cfg", "[metadata]\nname = p\n", false),
        (
            "p-1/setup.cfg",
            "[global]\ncommand-packages = x\n[build_py]\nx = 1\n",
            true,
        ),
        ("p-1/pyproject.toml", "[project]\nname = 'p'\n", false),
        ("p-1/pyproject.toml", &backend("setuptools.build_meta"), false),
        ("p-1/pyproject.toml", &backend("flit_core.buildapi"), false),
        ("p-1/pyproject.toml", &backend("mesonpy"), true),
        ("p-1/pyproject.toml", &backend("scikit_build_core.build"), true),
        (
            "p-1/pyproject.toml",
            &(backend("flit_core.buildapi") + "backend-path = ['be']\n"),
            true,
        ),
        (
            "p-1/pyproject.toml",
            &(backend("setuptools.build_meta") + "[tool.setuptools.cmdclass]\nbuild = 'a.B'\n"),
            true,
        ),
        (
            "p-1/pyproject.toml",
            &hatch("[tool.hatch.build.targets.wheel]\npackages = ['p']\n"),
            false,
        ),
        (
            "p-1/pyproject.toml",
            &hatch("[tool.hatch.build.hooks.vcs]\nversion-file = 'p/v.py'\n"),
            false,
        ),
        (
            "p-1/pyproject.toml",
            &hatch("[tool.hatch.build.hooks.custom]\n"),
            true,
        ),
        (
            "p-1/pyproject.toml",
            &hatch("[tool.hatch.build.targets.wheel.hooks.custom]\n"),
            true,
        ),
        ("p-1/hatch.toml", "[build.hooks.jupyter-builder]\n", true),
        ("p-1/hatch.toml", "[build.targets.sdist]\n", false),
        (
            "p-1/pyproject.toml",
            &(backend("poetry.core.masonry.api") + "[tool.poetry.build]\nscript = 'build.py'\n"),
            true,
        ),
        (
            "p-1/pyproject.toml",
            &(backend("poetry.core.masonry.api") + "[tool.poetry]\nbuild = 'build.py'\n"),
            true,
        ),
        (
            "p-1/pyproject.toml",
            &(backend("poetry.core.masonry.api") + "[tool.poetry]\nname = 'p'\n"),
            false,
        ),
        ("p-1/pyproject.toml", &backend("pdm.backend"), false),
        (
            "p-1/pdm_build.py",
            "def pdm_build_update_files(context, files): pass",
            true,
        ),
        ("p-1/pyproject.toml", "not toml", true),
        (
            "package.json",
            r#"{"scripts": {"test": "node test.js", "lint": "eslint ."}}"#,
            false,
        ),
        ("package.json", r#"{"name": "a"}"#, false),
        (
            "package.json",
            r#"{"scripts": {"prepack": "node stamp.js"}}"#,
            true,
        ),
        (
            "packages/a/package.json",
            r#"{"scripts": {"build": "tsc"}}"#,
            true,
        ),
        ("package.json", r#"{"release": {"plugins": []}}"#, true),
        (
            "package.json",
            r#"{"scripts": {"ship": "semantic-release"}}"#,
            true,
        ),
        (".releaserc.json", "{}", true),
        ("release.config.cjs", "", true),
        (".changeset/config.json", "{}", true),
        ("p/config.json", "{}", false),
        ("gulpfile.js", "", true),
        ("package.json", "{", true),
        ("p-1/debian/rules", "#!/usr/bin/make -f\n%:\n\tdh $@\n", false),
        (
            "p-1/debian/rules",
            "override_dh_install:\n\tsed -i s/@V@/1/ p\n",
            true,
        ),
        ("p-1/rules", "sed -i", false),
    ] {
        assert_eq!(changes_files(path, text, "P"), expected, "{path}: {text}");
    }
}

#[test]
fn a_workflow_may_change_the_files_of_a_checkout() {
    let release = ".github/workflows/release.yml";
    let with = |step: &str| {
        format!(
            "on: push\njobs:\n  pypi:\n    defaults:\n      run:\n        shell: bash\n    steps:\n      \
             - uses: actions/checkout@v4\n      - {step}\n      - uses: pypa/gh-action-pypi-publish@release/v1\n"
        )
    };
    for (step, expected) in [
        ("uses: actions/setup-python@v5", false),
        ("run: npm publish", false),
        ("run: \"npm publish\"", false),
        ("run: cargo publish --locked", false),
        ("run: python -m build 2>&1 | cat > /dev/null", false),
        (
            "run: |\n          pip install -U build\n          # both\n          python -m build \\\n            \
             --wheel\n          echo done >> \"$GITHUB_OUTPUT\"\n        env:\n          X: sed",
            false,
        ),
        ("run: if [ -d x ]; then pip install build; fi", false),
        ("run: if [ -d x ]; then ./stamp.sh; fi", true),
        ("run: sed -i s/dev/1/ p.js && npm publish", true),
        ("run: printf '%s' x > p/conf.py", true),
        ("run: echo x > $GITHUB_WORKSPACE/p/conf.py", true),
        (
            "run: |\n          pip install build\n          echo x >p/conf.py",
            true,
        ),
        ("run: make release", true),
        ("run: python stamp.py", true),
        ("run: python stamp.py -m build", true),
        ("run: python -m stamp", true),
        ("run: echo $(python stamp.py)", true),
        ("run: pip install build; ./stamp", true),
        ("run: pip install build\n          && ./stamp", true),
        ("run: if true; then \\\n  ./stamp.sh; fi", true),
        ("{name: Stamp, run: ./stamp.sh}", true),
        ("\"run\": ./stamp.sh", true),
        ("run: npm --prefix test run stamp", true),
        ("run: npm version 1.0.0", true),
        ("run: cargo publish --allow-dirty", true),
        ("uses: ./.github/actions/stamp", true),
        ("uses: stranger/stamp@v1", true),
        (
            "uses: actions/checkout@v4\n        with:\n          repository: o/other\n          path: p/vendor",
            true,
        ),
        (
            "uses: pypa/cibuildwheel@v2\n        env:\n          CIBW_BEFORE_BUILD: python stamp.py",
            true,
        ),
        ("run: x\n        shell: python", true),
    ] {
        let text = with(step);
        assert_eq!(edits_checkout(release, &text), expected, "{text}");
    }
    for (path, text, expected) in [
        (
            ".github/workflows/test.yaml",
            "jobs: {a: {steps: [{run: make}]}}",
            true,
        ),
        (".github/workflows/test.yaml", "not: [yaml", true),
        ("docs/release.yml", "run: sed -i s/dev/1/ p.js", false),
        (".gitlab-ci.yml", "script: [twine upload]", true),
        (".circleci/config.yml", "", true),
    ] {
        assert_eq!(edits_checkout(path, text), expected, "{path}: {text}");
    }
}
