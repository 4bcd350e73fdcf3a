#!/usr/bin/env bash
# Puts the wheels that a machine with Python 3.12, JAX, SciPy and scikit-learn lacks into FOLDER: benchmarks/gpu/prepare.sh FOLDER
# OpenVINO is not among them (56 MiB): nothing that runs there imports it.
set -euo pipefail
folder=${1:?usage: benchmarks/gpu/prepare.sh FOLDER}
here=$(cd "$(dirname "$0")/../.." && pwd)
for name in keras optree namex pydicom nibabel imagecodecs jsonschema jsonschema-specifications referencing rpds-py tensorboardX; do
    wanted=$(grep -i "^$name==" "$here/constraints.txt" || echo "$name")
    python3 -m pip download -q --no-deps --only-binary=:all: --python-version 3.12 --implementation cp \
        --platform manylinux_2_28_x86_64 --platform manylinux_2_27_x86_64 --platform manylinux_2_17_x86_64 \
        --platform manylinux2014_x86_64 --platform manylinux1_x86_64 -d "$folder" "$wanted"
done
wheels=$(du -cb "$folder"/*.whl | tail -1 | cut -f1)
tree=$(cd "$here" && git ls-files -z | xargs -0 du -cb | tail -1 | cut -f1)
echo "wheels $((wheels >> 20)) MiB, tree $((tree >> 20)) MiB, together $(((wheels + tree) >> 20)) MiB"
