#!/usr/bin/env bash
# papermill 2.7.0 writes a notebook that is no JSON when a parameter is infinite.
#
# `papermill in.ipynb out.ipynb -p x inf` runs the notebook and exits with 0. It keeps the
# parameters in the metadata of out.ipynb, where the infinite one stands as the bare word Infinity,
# which JSON (RFC 8259) does not have. Python's json reads it back; JSON.parse, and so a notebook in
# a browser, does not. One would expect an error, or null or "inf" in the file.
#
# Seen: status 0; "Infinity" in the file; a reader that keeps to RFC 8259 refuses it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet papermill==2.7.0 ipykernel==7.4.0
cd "$folder"
cat > in.ipynb << 'NOTEBOOK'
{"cells": [{"cell_type": "code", "id": "a", "execution_count": null, "outputs": [],
            "metadata": {"tags": ["parameters"]}, "source": "x = 1.0"},
           {"cell_type": "code", "id": "b", "execution_count": null, "outputs": [],
            "metadata": {}, "source": "print(x)"}],
 "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
 "nbformat": 4, "nbformat_minor": 5}
NOTEBOOK
env/bin/papermill in.ipynb out.ipynb -p x inf --no-progress-bar 2> log || { cat log; exit 1; }
grep --only-matching '"x": Infinity' out.ipynb | sort -u
env/bin/python - << 'PYTHON'
import json

def refuse(word):
    raise ValueError(f"{word} is no JSON")

try:
    json.load(open("out.ipynb"), parse_constant=refuse)
except ValueError as error:
    print("papermill 2.7.0, status 0:", error)
else:
    raise SystemExit("the notebook is JSON now")
PYTHON
