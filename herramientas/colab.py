"""Pone en cada cuaderno el distintivo «Abrir en Colab» y las celdas que allí hacen falta.

Con `--comprobar`, solo mira si están."""

import argparse
import configparser
import hashlib
import json
import re
import sys
from pathlib import Path

RAIZ = Path(__file__).resolve().parents[1]
# El comentario del final no se ve: sin él, Quarto hace del distintivo una figura, con su pie y sin texto alternativo.
DISTINTIVO = (
    '[![Abrir en Colab]({sube}colab.svg)]'
    '(https://colab.research.google.com/github/{user}/{repo}/blob/{branch}/nbs/{nombre})<!-- sin pie -->'
)
# Se clona, y no solo se instala: los cuadernos usan archivos que están junto a ellos.
INSTALAR = """\
#| hide
#| eval: false
# Solo en Colab: trae el proyecto, lo instala y se coloca en la carpeta de los cuadernos.
if "google.colab" in str(get_ipython()):
    ![ -d /content/{repo} ] || git clone -q --depth 1 {git_url} /content/{repo}
    %pip install -q /content/{repo}
    %cd -q /content/{repo}/nbs{carpeta}
    import sys
    from importlib.metadata import version
    viejas = [m for m in ("numpy", "pandas", "torch") if m in sys.modules and sys.modules[m].__version__ != version(m)]
    if viejas: print("Reinicie la sesión (Entorno de ejecución) y siga: Colab tenía abierta otra versión de", *viejas)\
"""
CON_GPU = """\
#| hide
#| eval: false
# Solo en Colab, si hay GPU: ¿los modelos públicos?
import torch

if "google.colab" in str(get_ipython()) and torch.cuda.is_available():
    if input("¿Usar los modelos públicos? Se descargan 2,9 GB. [s/N] ").strip().lower() == "s": perfil = "base\""""


def celda(
    tipo: str,  # `markdown` o `code`
    nombre: str,  # del cuaderno
    cual: str,  # qué celda es
    texto: str,
) -> dict:  # la celda; su identificador no cambia al repetir
    "Una celda de las que pone este guion."
    x = dict(
        id='colab' + hashlib.sha1(f'{nombre} {cual}'.encode()).hexdigest()[:6],
        metadata={},
        source=texto.splitlines(True),
    )
    if tipo == 'code':
        x |= dict(execution_count=None, outputs=[])
    return dict(cell_type=tipo, **x)


def con_colab(
    celdas: list[dict],  # las de un cuaderno
    nombre: str,  # del cuaderno, con su extensión y desde `nbs/`
    c: dict[str, str],  # lo que dice settings.ini
) -> list[dict]:  # las mismas, con las de Colab en su sitio
    "El distintivo y la instalación, tras el título; la elección del perfil, tras la celda que pone `mini`."
    res, carpeta = [], nombre.rpartition('/')[0]
    c = dict(c, nombre=nombre, sube='../' * bool(carpeta), carpeta=f'/{carpeta}' * bool(carpeta))
    for x in [x for x in celdas if not x['id'].startswith('colab')]:
        res.append(x)
        texto = ''.join(x['source'])
        if x['cell_type'] == 'markdown' and texto.startswith('# '):
            res += [
                celda('markdown', nombre, 'distintivo', DISTINTIVO.format(**c)),
                celda('code', nombre, 'instalar', INSTALAR.format(**c)),
            ]
        elif x['cell_type'] == 'code' and re.match(r'perfil = "mini"[^\n]*(\n[A-Z]|$)', texto):
            res.append(celda('code', nombre, 'perfil', CON_GPU))
    return res


def principal() -> int:
    "Estado de salida: 0 si todo va bien, 1 si se comprueba y falta algo."
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument('--comprobar', action='store_true', help='no escribe: sale con 1 si algún cuaderno no las tiene')
    comprobar, faltan = p.parse_args().comprobar, []
    ini = configparser.ConfigParser(delimiters=['='])
    ini.read(RAIZ / 'settings.ini', encoding='utf-8')
    for f in sorted((RAIZ / 'nbs').rglob('*.ipynb')):
        nb = json.loads(f.read_text(encoding='utf-8'))
        celdas = con_colab(nb['cells'], f.relative_to(RAIZ / 'nbs').as_posix(), dict(ini['DEFAULT']))
        if celdas == nb['cells']:
            continue
        faltan.append(f.name)
        if not comprobar:
            f.write_text(json.dumps({**nb, 'cells': celdas}, indent=1, ensure_ascii=False) + '\n', encoding='utf-8')
    if faltan:
        print(
            f"{'Les faltan las celdas de Colab' if comprobar else 'Celdas de Colab puestas en'}: {', '.join(faltan)}."
        )
    if faltan and comprobar:
        print('Ejecute «python herramientas/colab.py».', file=sys.stderr)
    return int(bool(faltan) and comprobar)


if __name__ == '__main__':
    sys.exit(principal())
