#!/usr/bin/env bash
# Crea el entorno de los paquetes originales, laion_clap y audioldm, que no caben en el de siempre.
#   bash herramientas/entorno_originales.sh [CARPETA]      (.venv-originales, en la raíz del proyecto)
#
# Tiene que ser Python 3.11: con 3.10 faltan versiones de requirements-originales.txt, y con 3.12 numpy 1.23.5 no se
# construye. Se elige por este orden, y hasta tenerlo no se toca nada:
#   1. IMG2AUDIO_PYTHON_BASE=/ruta/a/python3.11, si se da;
#   2. el del sistema, si es 3.11 y su torch está o se puede instalar: Debian 12, con python3-torch 1.13 (como root);
#   3. python3.11, python3 o python, el primero que sea 3.11;
#   4. el que traiga uv (https://docs.astral.sh/uv/), a la carpeta del usuario.
# Ubuntu 22.04 (3.10), 24.04 (3.12) y 26.04 (3.14) y Colab (3.12) acaban en el 4, o en el 3 si tienen otro python3.11.
# Donde no hay torch del sistema se instala torch 2.0.1 de PyPI.
set -euo pipefail

raiz=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
carpeta=${1:-$raiz/.venv-originales}
requisitos=$raiz/requirements-originales.txt
paquetes=(laion-clap==1.1.7 audioldm==0.1.1)
torch_pypi=(torch==2.0.1 torchvision==0.15.2 torchaudio==2.0.2)
de_debian=(python3-torch python3-torchvision python3-torchaudio python3-venv)
sistema=/usr/bin/python3

es_311() { [ "$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" = 3.11 ]; }
tiene_torch() { "$1" -c 'import torch, torchvision, torchaudio' 2>/dev/null; }
hace_venv() { "$1" -c 'import ensurepip, venv' 2>/dev/null; }
primero() { for p in "$@"; do if command -v "$p" >/dev/null && es_311 "$p"; then command -v "$p"; return; fi; done; return 1; }
# ¿Se podrían instalar? Solo se pregunta: lo único que cambia es la lista de lo que hay
instalable() { [ "$(id -u)" = 0 ] && apt-get update -qq >/dev/null && apt-get install -s "${de_debian[@]}" >/dev/null 2>&1; }
no() { echo "$@" >&2; exit 1; }

del_sistema=no instalar=no
if [ -n "${IMG2AUDIO_PYTHON_BASE:-}" ]; then
  python=$IMG2AUDIO_PYTHON_BASE
  es_311 "$python" || no "$python no es un Python 3.11, y no se ha tocado nada."
  if tiene_torch "$python"; then del_sistema=si; fi
elif command -v apt-get >/dev/null && es_311 "$sistema" && { { tiene_torch "$sistema" && hace_venv "$sistema"; } || instalable; }; then
  python=$sistema; del_sistema=si
  if ! tiene_torch "$sistema" || ! hace_venv "$sistema"; then instalar=si; fi
elif ! python=$(primero python3.11 python3 python); then
  command -v uv >/dev/null || no "Hace falta Python 3.11, ni más ni menos, y aquí no está; no se ha tocado nada. Instale uv (https://docs.astral.sh/uv/) y repita: lo trae sin ser root. O diga dónde lo tiene: IMG2AUDIO_PYTHON_BASE=/ruta/a/python3.11"
  echo "uv trae Python 3.11…"
  uv python install -q 3.11
  python=$(uv python find 3.11)
fi

if [ "$instalar" = si ]; then
  echo "Se instalan los paquetes de Debian: ${de_debian[*]}…"
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${de_debian[@]}" >/dev/null
fi
hace_venv "$python" || no "A $python le falta venv (en Debian y Ubuntu: sudo apt install python3-venv o python3.11-venv); no se ha tocado nada."

if [ "$del_sistema" = si ]; then
  echo "Con $python y su torch."
  "$python" -m venv --clear --system-site-packages "$carpeta"
else
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
from contextlib import ExitStack
from unittest.mock import patch

import audioldm.pipeline
import transformers as tf

with ExitStack() as sin_red:
    for clase in (tf.BertTokenizer, tf.BartTokenizer, tf.RobertaTokenizer):
        sin_red.enter_context(patch.object(clase, "from_pretrained"))
    import laion_clap
PY
echo "Listo: $carpeta/bin/python"
case $carpeta in
  "$raiz/.venv-originales" | "${XDG_DATA_HOME:-$HOME/.local/share}/img2audio/venv-originales") ;;
  *) echo "Como no está en ninguno de los sitios de siempre, dígalo: export IMG2AUDIO_PYTHON_ORIGINALES=$carpeta/bin/python" ;;
esac
