#!/usr/bin/env bash
# What the action of this repository does, and what anybody can do by hand:
#
#   DRILL_MANIFEST=mine.toml harness/action/run.sh
#
# Builds sshdrill, runs it against the implementation that the variables name, and leaves the reports
# in a folder. Ends with sshdrill's exit code.
set -euo pipefail

usage() {
    cat <<'USAGE'
Usage: run.sh, with variables in the environment

  DRILL_MANIFEST       a manifest of the implementation (harness/PEERS.md), or instead of it:
  DRILL_SERVER_START   the shell line that starts a server, and
  DRILL_CLIENT_START   the shell line that starts a client; one of them is enough, and both begin
                       in the folder that this script is called in
  DRILL_SCENARIOS      which scenarios, as names or globs  [default: all]
  DRILL_ARGUMENTS      more arguments for `sshdrill run`
  DRILL_REPORTS        the folder of the reports           [default: sshdrill-reports]
  DRILL_PROGRAM        an sshdrill that is built already   [default: it is built]
USAGE
}
case ${1:-} in
'') ;;
-h | --help) usage && exit ;;
*) usage >&2 && exit 2 ;;
esac

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
reports=${DRILL_REPORTS:-sshdrill-reports}
mkdir -p "$reports"

stop() { # MESSAGE HINT
    printf 'error: %s\nhint: %s\n' "$1" "$2" >&2
    exit 2
}

# Changes to this folder. Commands of peers begin in a fresh one, in which `./my-sshd` is nothing.
to_here() {
    # shellcheck disable=SC2016 # that is what must not be expanded
    printf 'cd "%s" || exit' "$(sed 's/[\\"$`]/\\&/g' <<<"$PWD")"
}

# A role of a manifest. A TOML string of this kind may hold anything but three quotes in a row.
role() { # NAME SHELL-LINE
    [[ $PWD$2 != *"'''"* ]] || stop "three single quotes in a row in \`$PWD\` or \`$2\`" \
        'put the line into a script, or call the folder otherwise'
    printf "[%s]\nstart = '''\n%s\n%s\n'''\n" "$1" "$(to_here)" "$2"
}

# The manifest of who has none.
write_manifest() {
    echo 'name = "subject"'
    # shellcheck disable=SC2016 # the version is asked for by sshdrill
    echo 'version = "echo \"${GITHUB_REPOSITORY:-subject} ${GITHUB_SHA:-}\""'
    if [[ -n ${DRILL_SERVER_START:-} ]]; then
        role server "$DRILL_SERVER_START"
    fi
    if [[ -n ${DRILL_CLIENT_START:-} ]]; then
        role client "$DRILL_CLIENT_START"
    fi
}

manifest=${DRILL_MANIFEST:-}
if [[ -z $manifest ]]; then
    [[ -n ${DRILL_SERVER_START:-}${DRILL_CLIENT_START:-} ]] ||
        stop 'nothing to test' 'set manifest, server or client; DRILL_MANIFEST and the like by hand'
    manifest=$reports/subject.toml
    write_manifest >"$manifest"
fi
[[ -r $manifest ]] || stop "cannot read the manifest $manifest" 'its path is relative to the workspace'
peer=$(sed -n "s/^name *= *[\"']\(.*\)[\"'].*/\1/p" "$manifest" | head -n 1)
[[ -n $peer ]] || stop "$manifest has no name" 'it begins with a line such as name = "mine"'

program=${DRILL_PROGRAM:-}
if [[ -z $program ]]; then
    echo '::group::sshdrill is built'
    cargo build --quiet --locked --manifest-path "$root/Cargo.toml" --package sshdrill
    echo '::endgroup::'
    program=${CARGO_TARGET_DIR:-$root/target}/debug/sshdrill
fi

# Words may stand on several lines.
read -r -d '' -a scenarios <<<"${DRILL_SCENARIOS:-}" || true
read -r -d '' -a arguments <<<"${DRILL_ARGUMENTS:-}" || true
status=0
"$program" run "${scenarios[@]}" --peer-manifest "$manifest" --peer "$peer" \
    --junit "$reports/drill.xml" --json "$reports/drill.json" --markdown "$reports/drill.md" \
    --html "$reports/drill.html" --out "$reports/cases" \
    "${arguments[@]}" 2>&1 | tee "$reports/drill.txt" || status=$?

# Nothing was run when there is no report.
if [[ -n ${GITHUB_STEP_SUMMARY:-} && -e $reports/drill.md ]]; then
    cat "$reports/drill.md" >>"$GITHUB_STEP_SUMMARY"
fi
exit "$status"
