#!/usr/bin/env bash
# Packs what `make build` made: one archive with the binaries, the manual, completions, the licence and the
# quick start, and its SHA-256, into target/dist. Builds nothing and uploads nothing.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

cd "$root"
host="$(rustc -vV | sed -n 's/^host: //p')"
version="$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)"
name="gatehouse-$version-$host"
stage="target/dist/$name"

rm -rf "$stage"
mkdir -p "$stage/deploy"
for bin in gatehouse gatehouse-control-plane gatehouse-edge gatehouse-sidecar; do
    [ -x "target/release/$bin" ] || die "target/release/$bin is not there: run make build first"
    cp "target/release/$bin" "$stage/"
done
"$stage/gatehouse" man --out "$stage/share/man/man1" >&2
completions() { # completions SHELL FILE
    mkdir -p "$stage/share/$(dirname "$2")"
    "$stage/gatehouse" completions "$1" >"$stage/share/$2"
}
completions bash bash-completion/completions/gatehouse
completions zsh zsh/site-functions/_gatehouse
completions fish fish/vendor_completions.d/gatehouse.fish
completions powershell gatehouse/gatehouse.ps1
completions elvish gatehouse/gatehouse.elv
cp LICENSE README.md "$stage/"
cp -R deploy/quickstart deploy/examples "$stage/deploy/"
tar -C target/dist -czf "target/dist/$name.tar.gz" "$name"
rm -rf "$stage"
if have sha256sum; then sum=(sha256sum); else sum=(shasum -a 256); fi
(cd target/dist && "${sum[@]}" "$name.tar.gz" >"$name.tar.gz.sha256")
say "target/dist/$name.tar.gz"
