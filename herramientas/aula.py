"""Los cuadernos, para una clase: los reparte sin las respuestas y corrige lo que se entrega.

    python herramientas/aula.py repartir CARPETA          nbs/ entera, y las lecciones sin respuestas
    python herramientas/aula.py corregir ENTREGA.ipynb …  qué ejercicios pasan su prueba

Corregir ejecuta el código de quien entrega: hágalo en una cuenta que no le importe."""

import argparse
import json
import re
import shutil
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

RAIZ = Path(__file__).resolve().parents[1]
LECCIONES = sorted(f.name for f in (RAIZ / 'nbs').glob('0*.ipynb'))
RESPUESTA = re.compile(r'^#\| code-summary: "Respuesta"$', re.M)
CON_DATOS = re.compile(r'^#\| notest', re.M)  # pide datos que no van en el paquete, o tarda
PREGUNTA = re.compile(r'^::: \{\.callout-note [^}]*title="([^"]+)"\}\n.*?^:::$', re.M | re.S)
DE_COLAB = re.compile(r'^#\| eval: false', re.M)


def sin_respuestas(
    celdas: list[dict],  # las de una lección
) -> list[dict]:  # sin las de respuesta, y del cuestionario solo las preguntas
    "Lo que se reparte de una lección. Si una celda pide datos y no los hay, «Ejecutar todo» sigue adelante."
    quedan = [c for c in celdas if not RESPUESTA.search(''.join(c['source']))]
    for c in quedan:
        texto = ''.join(c['source'])
        if c['cell_type'] == 'markdown':
            c['source'] = PREGUNTA.sub(r'**\1**', texto).splitlines(True)
        elif CON_DATOS.search(texto):
            c['metadata']['tags'] = [*c['metadata'].get('tags', []), 'raises-exception']
    return quedan


def repartir(
    destino: Path,  # no debe existir
) -> None:
    "Copia `nbs/`, con las lecciones sin respuestas."
    shutil.copytree(RAIZ / 'nbs', destino, ignore=shutil.ignore_patterns('.*', '__pycache__'))
    for n in LECCIONES:
        nb = json.loads((RAIZ / 'nbs' / n).read_text(encoding='utf-8'))
        nb['cells'] = sin_respuestas(nb['cells'])
        (destino / n).write_text(json.dumps(nb, indent=1, ensure_ascii=False) + '\n', encoding='utf-8')


def comprobaciones() -> dict[str, str]:  # del identificador de su celda a su código
    "Las funciones `comprobar_…` de las lecciones, como se repartieron."
    cuadernos = [json.loads((RAIZ / 'nbs' / n).read_text(encoding='utf-8')) for n in LECCIONES]
    celdas = {c['id']: ''.join(c['source']) for nb in cuadernos for c in nb['cells']}
    return {k: texto for k, texto in celdas.items() if re.search(r'^def comprobar_\d', texto, re.M)}


def corregir(
    entrega: Path,  # un cuaderno
) -> dict[int, str]:  # de cada ejercicio, `bien`, `mal` o `sin hacer`
    """Ejecuta el cuaderno en su carpeta, sin escribir en él, y mira si se llamó a cada `comprobar_…` y no protestó.
    Las comprobaciones son las repartidas, aunque en la entrega se hayan tocado."""
    nb, de_serie = nbformat.read(entrega, as_version=4), comprobaciones()
    nb.cells = [c for c in nb.cells if c.cell_type == 'code']
    nb.cells = [c for c in nb.cells if not CON_DATOS.search(c.source) and not DE_COLAB.search(c.source)]
    for c in nb.cells:
        c.source = de_serie.get(c.id, c.source)
    NotebookClient(nb, timeout=600, allow_errors=True, resources=dict(metadata=dict(path=entrega.parent))).execute()
    notas = {}
    for c in nb.cells:
        notas |= {int(k): 'sin hacer' for k in re.findall(r'^def comprobar_(\d+)\(', c.source, re.M)}
        fallo = any(o.output_type == 'error' for o in c.outputs)
        notas |= {int(k): 'mal' if fallo else 'bien' for k in re.findall(r'^comprobar_(\d+)\(', c.source, re.M)}
    return notas


def principal() -> int:
    "Estado de salida: 0."
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ordenes = p.add_subparsers(dest='orden', required=True)
    ordenes.add_parser('repartir').add_argument('carpeta', type=Path)
    ordenes.add_parser('corregir').add_argument('entregas', type=Path, nargs='+')
    o = p.parse_args()
    if o.orden == 'repartir':
        if o.carpeta.exists():
            p.error(f'«{o.carpeta}» ya existe: dé una carpeta nueva.')
        repartir(o.carpeta)
        print(f'Repartido en {o.carpeta}: {", ".join(LECCIONES)} van sin respuestas.')
        return 0
    for f in o.entregas:
        print(f, *(f'{k}: {nota}' for k, nota in corregir(f).items()), sep='\t')
    return 0


if __name__ == '__main__':
    sys.exit(principal())
