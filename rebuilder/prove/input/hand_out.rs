//! The script that takes the outputs out of a finished build.

/// Hands one file out, or all that are in a folder. Each has its own name, or else that of its path; two never have one. Where
/// a link leads is handed out as a text.
const TAKE: &str = r#"
take() {
  if [ -d "$1" ] && [ ! -L "$1" ]; then
    find "$1" ! -type d | LC_ALL=C sort > /tmp/prove-inside
    while IFS= read -r inner; do take "$inner"; done < /tmp/prove-inside
    return
  fi
  name=$(basename "$1")
  if [ -L "$1" ]; then name=$name.link; fi
  if [ -e "/out/$name" ]; then name=$(echo "$1" | sed 's,^[./]*,,; s,/,_,g'); fi
  free=$name
  number=2
  while [ -e "/out/$free" ]; do free=$name.$number; number=$((number + 1)); done
  if [ -L "$1" ]; then readlink "$1" > "/out/$free"; else cp -- "$1" "/out/$free"; fi
}
# Lists of dependencies, which compilers and cargo leave beside what they make, are no outputs.
listed() {
  case "$1" in *.d) ;; *) return 1 ;; esac
  for made in "${1%.d}" "${1%.d}.o" "${1%.d}.rlib" "${1%.d}.so" "${1%.d}.a"; do
    if [ -f "$made" ]; then return 0; fi
  done
  return 1
}
"#;

/// What was installed as one archive, or else all files that the build made or changed.
const TAKE_ALL: &str = r#"
if [ -d "$INSTALLED" ] && [ -n "$(ls -A "$INSTALLED")" ]; then
  # Times of installed files are those of the build, and mean nothing.
  tar cf /out/installed.tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -C "$INSTALLED" .
else
  tar tf /inputs/prove/source.tar | sed 's,^,./,' | LC_ALL=C sort > /tmp/prove-source
  find . \( -type f -o -type l \) ! -name '*.o' ! -path '*/.git/*' | LC_ALL=C sort > /tmp/prove-found
  LC_ALL=C comm -13 /tmp/prove-source /tmp/prove-found > /tmp/prove-new
  LC_ALL=C tar df /inputs/prove/source.tar 2>/dev/null | sed -n 's,: \(Contents differ\|Size differs\|Symlink differs\)$,,p' |
    LC_ALL=C sort -u | sed 's,^,./,' > /tmp/prove-changed
  cat /tmp/prove-new /tmp/prove-changed > /tmp/prove-all
  while IFS= read -r file; do
    if ! listed "$file"; then take "$file"; fi
  done < /tmp/prove-all
fi
"#;

/// What fits each pattern. The project's own patterns name folders too, and one that nothing fits is an error; those of its kind
/// are for files, and for some projects only.
const TAKE_FITTING: &str = r#"
  set +f
  fits=
  if [ -z "$named" ]; then fits=1; fi
  for file in $pattern; do
    if [ ! -e "$file" ] && [ ! -L "$file" ]; then continue; fi
    if [ -z "$named" ] && [ -d "$file" ]; then continue; fi
    fits=1
    if ! listed "$file"; then take "$file"; fi
  done
  set -f
  if [ -z "$fits" ]; then
    echo "no file matches the output $pattern"
    exit 1
  fi
done
"#;

/// The script for what fits the patterns, or without patterns for all that was made.
pub(super) fn hand_out(patterns: &[String], named: bool) -> String {
    if patterns.is_empty() {
        return format!("{TAKE}{TAKE_ALL}");
    }
    let patterns: Vec<_> = patterns
        .iter()
        .map(|pattern| crate::plan::quote(pattern))
        .collect();
    let named = if named { "1" } else { "" };
    let patterns = patterns.join(" ");
    format!("{TAKE}named={named}\nset -f\nfor pattern in {patterns}; do{TAKE_FITTING}")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    /// What the script hands out of a tree, in one line, and whether it succeeds.
    fn handed(place: &Path, patterns: &[&str], named: bool) -> (bool, String) {
        let out = place.join("out");
        let _ = fs::remove_dir_all(&out);
        fs::create_dir(&out).unwrap();
        let patterns: Vec<_> = patterns.iter().map(|text| (*text).to_owned()).collect();
        let script = hand_out(&patterns, named)
            .replace("\"/out/", &format!("\"{}/", out.display()))
            .replace(
                "/inputs/prove/source.tar",
                &place.join("source.tar").display().to_string(),
            )
            .replace("/tmp/prove-", &format!("{}/", place.display()));
        let mut shell = std::process::Command::new("sh");
        shell
            .args(["-eu", "-c", &script])
            .current_dir(place.join("tree"))
            .env("INSTALLED", place.join("none"));
        let ended = shell.output().unwrap();
        let mut found: Vec<_> = fs::read_dir(&out)
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| {
                let text = fs::read_to_string(entry.path()).unwrap();
                format!("{}={}", entry.file_name().to_string_lossy(), text.trim_end())
            })
            .collect();
        found.sort();
        (ended.status.success(), found.join(" "))
    }

    #[test]
    fn nothing_that_a_build_makes_is_left_out_in_silence() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path();
        let tree = place.join("tree");
        for inner in ["a", "b", "folder"] {
            fs::create_dir_all(tree.join(inner)).unwrap();
        }
        fs::write(tree.join("tracked"), "as released").unwrap();
        let status = std::process::Command::new("tar")
            .args(["cf", "../source.tar", "tracked"])
            .current_dir(&tree)
            .status();
        assert!(status.unwrap().success());
        for (name, text) in [
            ("tracked", "changed"),
            ("a/x", "1"),
            ("b/x", "2"),
            ("b_x", "3"),
            ("dates.d", "4"),
            ("unit.o", "5"),
            ("unit.d", "6"),
            ("program", "8"),
            ("program.d", "9"),
            ("folder/in it", "7"),
        ] {
            fs::write(tree.join(name), text).unwrap();
        }
        symlink("elsewhere", tree.join("link")).unwrap();
        let three = "b_x.2=3 b_x=2";
        for (patterns, named, succeeds, found) in [
            (
                &[][..],
                false,
                true,
                &*format!("{three} dates.d=4 in it=7 link.link=elsewhere program=8 tracked=changed x=1"),
            ),
            (&["a/x", "b/x", "b_x"], true, true, &format!("{three} x=1")),
            (&["folder", "link"], true, true, "in it=7 link.link=elsewhere"),
            (&["a/x", "none*"], true, false, "x=1"),
            (
                &["a/*", "*", "none*"],
                false,
                true,
                "b_x=3 dates.d=4 link.link=elsewhere program=8 tracked=changed unit.o=5 x=1",
            ),
        ] {
            assert_eq!(
                handed(place, patterns, named),
                (succeeds, found.to_owned()),
                "{patterns:?}"
            );
        }
    }
}
