#!/usr/bin/env bash
# What a build needs beside Rust: a C compiler (TLS and SQLite are compiled in), and protoc with
# Google's well-known protos (the gRPC interfaces are generated). Prints nothing when all is there.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# Tried, not looked up: a compiler without libc headers, or protoc without the protos, is no use.
cc_ok() {
    printf '#include <stdlib.h>\nint main(void) { return EXIT_SUCCESS; }\n' |
        "${CC:-cc}" -x c - -o /dev/null 2>/dev/null
}
protoc_ok() {
    local dir ok=0
    dir="$(mktemp -d)"
    printf 'syntax = "proto3";\nimport "google/protobuf/timestamp.proto";\nmessage T { optional google.protobuf.Timestamp t = 1; }\n' >"$dir/t.proto"
    "${PROTOC:-protoc}" -I "$dir" ${PROTOC_INCLUDE:+-I "$PROTOC_INCLUDE"} -o /dev/null "$dir/t.proto" >/dev/null 2>&1 || ok=1
    rm -rf "$dir"
    return $ok
}

have cargo || die "needs Rust: install it from https://rustup.rs, then open a new shell"
cc_ok || install "a C compiler" "gcc libc6-dev" "" \
    "install gcc or clang with the C library's headers (macOS: xcode-select --install)"
cc_ok || die "the C compiler '${CC:-cc}' cannot build a program: set CC to one that can"
protoc_ok || install "protoc and Google's protos" "protobuf-compiler libprotobuf-dev" protobuf \
    "install protobuf-compiler and libprotobuf-dev, or protoc 3.15+ from github.com/protocolbuffers/protobuf/releases (keep its include folder)"
protoc_ok || die "protoc cannot import google/protobuf/timestamp.proto: set PROTOC and PROTOC_INCLUDE to a complete protoc 3.15+"
