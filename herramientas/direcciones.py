"""Pone en todos los archivos las direcciones del proyecto que dice settings.ini (`user`), o comprueba que son esas.

python herramientas/direcciones.py               # tras cambiar `user`
python herramientas/direcciones.py --comprobar   # sale con 1 si algún archivo dice otra cosa
"""

import argparse
import configparser
import re
import subprocess
import sys
from pathlib import Path

RAIZ = Path(__file__).resolve().parents[1]
TEXTO = ('.cff', '.html', '.ipynb', '.md', '.py', '.qmd', '.toml', '.yml', '')
PATRONES = {  # lo que se busca -> lo que se pone, con lo que dice settings.ini
    r'https://github\.com/[\w-]+/{repo}(?![\w-])': 'https://github.com/{user}/{repo}',
    r'colab\.research\.google\.com/github/[\w-]+/{repo}(?![\w-])': 'colab.research.google.com/github/{user}/{repo}',
    r'https://[\w-]+\.github\.io/{repo}(?![\w-])': 'https://{user}.github.io/{repo}',
}


def leer_ini(raiz: Path) -> dict[str, str]:
    "Lo que dice el settings.ini de una copia del proyecto."
    ini = configparser.ConfigParser(delimiters=['='])
    ini.read(raiz / 'settings.ini', encoding='utf-8')
    return dict(ini['DEFAULT'])


def con_direcciones(
    texto: str,
    c: dict[str, str],  # de settings.ini
) -> str:
    "El texto, con las direcciones del proyecto que tocan."
    for patron, direccion in PATRONES.items():
        texto = re.sub(patron.format(repo=re.escape(c['repo'])), direccion.format(**c), texto)
    return texto


def archivos(raiz: Path) -> list[Path]:
    "Los de texto que lleva git."
    salida = subprocess.run(['git', 'ls-files', '-z'], cwd=raiz, capture_output=True, text=True, check=True).stdout
    return [raiz / n for n in salida.split('\0') if n and Path(n).suffix in TEXTO and (raiz / n).is_file()]


def repasar(raiz: Path, comprobar: bool) -> list[str]:
    "Los archivos cuyas direcciones no eran las de settings.ini; si no se comprueba, quedan cambiados."
    c, cambian = leer_ini(raiz), []
    for f in archivos(raiz):
        texto = f.read_text(encoding='utf-8')
        bien = con_direcciones(texto, c)
        if bien == texto:
            continue
        cambian.append(f.relative_to(raiz).as_posix())
        if not comprobar:
            f.write_text(bien, encoding='utf-8')
    return cambian


def principal() -> int:
    "Estado de salida: 0 si todo va bien, 1 si se comprueba y algo no es lo que dice settings.ini."
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--comprobar', action='store_true', help='no escribe')
    comprobar = p.parse_args().comprobar
    cambian = repasar(RAIZ, comprobar)
    if cambian:
        print(f"{'Otra dirección en' if comprobar else 'Cambiados'}: {', '.join(cambian)}.")
    return int(bool(cambian) and comprobar)


if __name__ == '__main__':
    sys.exit(principal())
