#!/usr/bin/env bash
# Crea el entorno de los paquetes originales, laion_clap y audioldm, que no caben en el de siempre.
#   bash herramientas/entorno_originales.sh [CARPETA]      (.venv-originales, en la raíz del proyecto)
# Necesitan torch con torchvision y torchaudio, de su época. Por orden: el que ya tenga un Python del sistema; el de
# Debian (python3-torch 1.13), si se puede instalar; y si no, torch 2.0.1 de PyPI, con Python 3.10 o 3.11.
# Con IMG2AUDIO_PYTHON_BASE=/ruta/a/python se elige el Python de partida.
set -euo pipefail

raiz=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
carpeta=${1:-$raiz/.venv-originales}
requisitos=$raiz/requirements-originales.txt
paquetes=(laion-clap==1.1.7 audioldm==0.1.1)
torch_pypi=(torch==2.0.1 torchvision==0.15.2 torchaudio==2.0.2)

tiene_torch() { "$1" -c 'import sys, torch, torchvision, torchaudio; sys.exit(not sys.version_info[:2] in ((3, 10), (3, 11)))' 2>/dev/null; }
primero() { for p in "$@"; do if command -v "$p" >/dev/null && "$p" -c 'import sys; sys.exit(not sys.version_info[:2] in ((3, 10), (3, 11)))'; then command -v "$p"; return; fi; done; return 1; }

sistema=${IMG2AUDIO_PYTHON_BASE:-/usr/bin/python3}
if ! tiene_torch "$sistema" && [ -z "${IMG2AUDIO_PYTHON_BASE:-}" ] && command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
  echo "Se instalan los paquetes de Debian: python3-torch, python3-torchvision, python3-torchaudio…"
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-torch python3-torchvision python3-torchaudio python3-venv; } >/dev/null ||
    echo "Debian no los tiene en esta versión; se prueba con PyPI." >&2
fi

if tiene_torch "$sistema"; then
  echo "Con el torch de $sistema."
  "$sistema" -m venv --clear --system-site-packages "$carpeta"
else
  python=$(primero ${IMG2AUDIO_PYTHON_BASE:-} python3.11 python3.10 python3 python) || {
    echo "Hace falta Python 3.10 o 3.11 (con torch, torchvision y torchaudio, o para instalarlos): IMG2AUDIO_PYTHON_BASE=/ruta/a/python3.11" >&2; exit 1; }
  echo "Con $python y torch 2.0.1 de PyPI."
  "$python" -m venv --clear "$carpeta"
  # el de CPU, que pesa la décima parte; con GPU: INDICE_TORCH=https://pypi.org/simple
  "$carpeta/bin/python" -m pip install -q --retries 1 --extra-index-url "${INDICE_TORCH:-https://download.pytorch.org/whl/cpu}" -c "$requisitos" "${torch_pypi[@]}"
fi
echo "*" > "$carpeta/.gitignore"
"$carpeta/bin/python" -m pip install -q -r "$requisitos"
"$carpeta/bin/python" -m pip install -q --no-deps "${paquetes[@]}"

# laion_clap descarga al importarse; se comprueba lo que importa, sin red
HF_HUB_OFFLINE=1 "$carpeta/bin/python" -W ignore - <<'PY'
from unittest.mock import patch
import transformers as tf
import audioldm.pipeline
with patch.object(tf.BertTokenizer, "from_pretrained"), patch.object(tf.BartTokenizer, "from_pretrained"), patch.object(tf.RobertaTokenizer, "from_pretrained"): import laion_clap
PY
echo "Listo: $carpeta/bin/python"
if [ "$carpeta" != "$raiz/.venv-originales" ]; then echo "Como no está en el sitio de siempre, dígalo: export IMG2AUDIO_PYTHON_ORIGINALES=$carpeta/bin/python"; fi
