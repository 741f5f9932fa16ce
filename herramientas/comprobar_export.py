"Comprueba que `img2audio/` es exactamente lo que exportan los cuadernos."

import difflib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

RAIZ = Path(__file__).resolve().parents[1]
PAQUETE = 'img2audio'


def modulos(
    carpeta: Path,  # carpeta de un paquete
) -> dict[str, list[str]]:  # ruta relativa -> líneas
    "Los ficheros `.py` de `carpeta`, subcarpetas incluidas."
    return {
        f.relative_to(carpeta).as_posix(): f.read_text(encoding='utf-8').splitlines()
        for f in sorted(carpeta.rglob('*.py'))
    }


def exportar(
    destino: Path,  # carpeta vacía
) -> Path:  # el paquete exportado en ella
    """Exporta los cuadernos en una copia.

    De lo ya exportado solo pasa `__init__.py`, que nbdev no crea sino que actualiza."""
    for n in ('settings.ini', 'pyproject.toml'):
        shutil.copy(RAIZ / n, destino / n)
    for f in sorted((RAIZ / 'nbs').rglob('*.ipynb')):
        copia = destino / f.relative_to(RAIZ)
        copia.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(f, copia)
    (destino / PAQUETE).mkdir()
    for n in ('__init__.py', '__main__.py'):  # `__main__.py` tampoco sale de ningún cuaderno
        if (RAIZ / PAQUETE / n).exists():
            shutil.copy(RAIZ / PAQUETE / n, destino / PAQUETE)
    orden = Path(sys.executable).with_name('nbdev_export')
    subprocess.run([str(orden)], cwd=destino, check=True, env={**os.environ, 'PYTHONPATH': str(destino)})
    return destino / PAQUETE


def diferencias(
    hay: dict[str, list[str]],  # lo que está en el repositorio
    debe: dict[str, list[str]],  # lo que exportan los cuadernos
) -> list[str]:  # líneas de un `diff`, ninguna si coinciden
    "Diferencias entre dos paquetes, fichero a fichero."
    return [
        linea
        for n in sorted(hay.keys() | debe.keys())
        if hay.get(n) != debe.get(n)
        for linea in [
            f'{PAQUETE}/{n}:',
            *difflib.unified_diff(
                hay.get(n, []),
                debe.get(n, []),
                'en el repositorio' if n in hay else '(no está)',
                'según los cuadernos' if n in debe else '(ningún cuaderno lo exporta)',
                lineterm='',
            ),
        ]
    ]


def principal() -> int:
    "Estado de salida: 0 si coinciden, 1 si no."
    with tempfile.TemporaryDirectory(prefix='img2audio-export-') as tmp:
        debe = modulos(exportar(Path(tmp)))
    hay = modulos(RAIZ / PAQUETE)
    if dif := diferencias(hay, debe):
        print(*dif[:200], sep='\n', file=sys.stderr)
        print(f'\n{PAQUETE}/ no es lo que exportan los cuadernos: ejecute «make export».', file=sys.stderr)
        return 1
    print(f'{PAQUETE}/ coincide con los cuadernos ({len(debe)} módulos).')
    return 0


if __name__ == '__main__':
    sys.exit(principal())
