"""Ejecuta cuadernos y guarda sus salidas, sin lo que fuera de aquí no sirve:
avisos de stderr, *widgets*, horas y números de celda."""

import argparse
import json
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

NBS = Path(__file__).resolve().parents[1] / 'nbs'
WIDGET = 'application/vnd.jupyter.widget-view+json'


def limpiar(
    nb: nbformat.NotebookNode,  # recién ejecutado; se cambia
) -> nbformat.NotebookNode:
    """Quita las salidas que piden un núcleo en marcha, lo que se escribió en stderr,
    las horas y los números de cada celda."""
    nb.metadata.pop('widgets', None)
    for c in nb.cells:
        if c.cell_type != 'code':
            continue
        c.metadata.pop('execution', None)
        c.outputs = [o for o in c.outputs if o.get('name') != 'stderr' and WIDGET not in o.get('data', {})]
        for o in (c, *c.outputs):
            if 'execution_count' in o:
                o['execution_count'] = None
    return nb


def ejecutar(
    archivo: Path,
) -> int:  # lo que ocupa, en bytes
    "Ejecuta un cuaderno en su carpeta y lo escribe como lo hace nbdev: cada `source`, una lista de líneas."
    nb = nbformat.read(archivo, as_version=4)
    NotebookClient(nb, timeout=3000, resources={'metadata': {'path': str(archivo.parent)}}).execute()
    nb = json.loads(nbformat.writes(limpiar(nb)))
    archivo.write_text(json.dumps(nb, indent=1, ensure_ascii=False) + '\n', encoding='utf-8')
    return archivo.stat().st_size


def principal() -> int:
    "Estado de salida: 0 si todos acaban bien; 1 si alguno falla, y ese se queda como estaba."
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument('cuadernos', nargs='+', help='nombres de nbs/, sin .ipynb')
    estado = 0
    for nombre in p.parse_args().cuadernos:
        try:
            print(f'{nombre}: {ejecutar(NBS / f"{nombre}.ipynb") / 2**20:.1f} MiB', flush=True)
        except CellExecutionError as e:
            print(f'{nombre}: {e}', file=sys.stderr)
            estado = 1
    return estado


if __name__ == '__main__':
    sys.exit(principal())
