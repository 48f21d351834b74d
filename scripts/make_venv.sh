#!/bin/sh
# Makes the virtual environment, and says what is missing where it cannot.
set -eu
python=$1
venv=$2
if ! command -v "$python" >/dev/null 2>&1; then
    echo "make: no $python here; install Python 3.11 or newer (Debian: apt-get install python3 python3-venv)" >&2
    exit 1
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "make: $python is $("$python" -V 2>&1), but 3.11 or newer is needed; name one: make PYTHON=python3.12" >&2
    exit 1
fi
if ! "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
    echo "make: $python cannot make virtual environments; on Debian: apt-get install python3-venv" >&2
    exit 1
fi
exec "$python" -m venv "$venv"
