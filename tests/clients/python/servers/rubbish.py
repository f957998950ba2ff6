"""A server that talks, but not JSON: a banner on standard output as so many programs have, then the end."""

import sys

import wire

wire.log("rubbish: starting")
wire.send_line("Welcome to the rubbish server! Listening on port 3000.")
sys.stdin.readline()  # whatever the client asks first
wire.send_line('{"jsonrpc": "2.0", "id": ')
wire.send_line("Segmentation fault (not really)")
wire.log("rubbish: out of words")
sys.exit(3)
