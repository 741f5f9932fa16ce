"""Prepara en `build/espacio` un Space de Hugging Face: la imagen del Dockerfile, con lo que esta necesita.

Con `--subir USUARIO/NOMBRE` lo crea, si no estaba, y lo sube; antes, `hf auth login`."""

import argparse
import fnmatch
import shutil
import sys
from pathlib import Path

from huggingface_hub import HfApi

RAIZ = Path(__file__).resolve().parents[1]
DESTINO = RAIZ / 'build' / 'espacio'


def contexto() -> list[Path]:
    """Los archivos que Docker ve al construir, según `.dockerignore`. De lo que allí cabe, este usa tres cosas:
    `*` (nada entra), `!ruta` (menos esto) y `**/nombre` (y esto tampoco, esté donde esté)."""
    reglas = [o.strip() for o in (RAIZ / '.dockerignore').read_text(encoding='utf-8').splitlines()]
    reglas = [o for o in reglas if o and not o.startswith('#')]
    entran = [RAIZ / o[1:] for o in reglas if o.startswith('!')]
    fuera = [o.removeprefix('**/') for o in reglas if o.startswith('**/')]
    if len(reglas) != 1 + len(entran) + len(fuera) or reglas[0] != '*':
        raise SystemExit('.dockerignore tiene una regla que no es «*», «!ruta» ni «**/nombre».')

    def entra(f: Path) -> bool:
        partes = f.relative_to(RAIZ).parts
        return f.is_file() and not any(fnmatch.fnmatch(p, o) for p in partes for o in fuera)

    hay = [f for e in entran for f in ([e] if e.is_file() else e.rglob('*'))]
    return sorted(filter(entra, hay))


def preparar() -> Path:
    "Escribe la carpeta desde cero, y la devuelve."
    shutil.rmtree(DESTINO, ignore_errors=True)
    for f in [*contexto(), RAIZ / 'Dockerfile', RAIZ / '.dockerignore', RAIZ / 'LICENSE']:
        destino = DESTINO / f.relative_to(RAIZ)
        destino.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(f, destino)
    shutil.copy(RAIZ / 'herramientas' / 'espacio' / 'README.md', DESTINO / 'README.md')
    return DESTINO


def subir(
    espacio: str,  # `usuario/nombre`
) -> str:  # su dirección
    "Lleva la carpeta a huggingface.co; lo que allí hubiera y ya no esté, se borra."
    api = HfApi()
    direccion = api.create_repo(espacio, repo_type='space', space_sdk='docker', exist_ok=True)
    api.upload_folder(repo_id=espacio, repo_type='space', folder_path=DESTINO, delete_patterns='*')
    return str(direccion)


def principal() -> int:
    "Estado de salida: 0."
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument('--subir', metavar='USUARIO/NOMBRE', help='crea el Space, si no estaba, y lo sube')
    espacio = p.parse_args().subir
    preparar()
    if espacio:
        print(f'Subido: {subir(espacio)}')
    else:
        print(f'Preparado en {DESTINO.relative_to(RAIZ)}. Para subirlo: make espacio ESPACIO=usuario/img2audio')
    return 0


if __name__ == '__main__':
    sys.exit(principal())
