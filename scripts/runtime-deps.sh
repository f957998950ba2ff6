#!/usr/bin/env bash
# What hosted servers need: Node 20+ with npx, and uv with uvx. What PATH has is taken; what it lacks
# comes into .tools/bin, where `gatehouse up` looks, too. Prints nothing when all is there.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

UV=0.13.9

need_node
if ! { have uv && have uvx; }; then
    venv uv "uv==$UV"
    link uv/bin/uv
    link uv/bin/uvx
fi
