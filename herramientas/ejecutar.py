"""Ejecuta cuadernos y guarda sus salidas, sin lo que fuera de aquí no sirve (avisos de stderr, *widgets*, horas y
números de celda) y con las figuras ligeras."""

import argparse
import base64
import io
import json
import os
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from PIL import Image

NBS = Path(__file__).resolve().parents[1] / 'nbs'
WIDGET = 'application/vnd.jupyter.widget-view+json'
PESO = 100_000  # bytes: con más, a una figura se le buscan menos colores


def con_blanco(
    dibujo: Image.Image,  # de modo P
) -> Image.Image:
    "El mismo, con el blanco blanco: al juntar colores, el del fondo se queda en un gris que se nota en la página."
    paleta = dibujo.getpalette('RGB')
    colores = [paleta[i : i + 3] for i in range(0, len(paleta), 3)]
    dibujo.putpalette([x for c in colores for x in ([255] * 3 if min(c) >= 250 else c)], 'RGB')
    return dibujo


def ligera(
    png: bytes,
) -> bytes:  # el mismo dibujo; si no gana, o si tiene transparencias, tal cual
    "Una figura con 256 colores, los que mejor le van; si aun así pesa, los de una rejilla, y luego 64 de ellos."
    dibujo = Image.open(io.BytesIO(png)).convert('RGBA')
    if dibujo.getextrema()[3][0] < 255:
        return png
    llano = dibujo.convert('RGB')
    for origen, colores, metodo in (
        (llano, 256, Image.Quantize.MEDIANCUT),
        (dibujo, 256, Image.Quantize.FASTOCTREE),
        (dibujo, 64, Image.Quantize.FASTOCTREE),
    ):
        tampon = io.BytesIO()
        pocos = origen.quantize(colores, method=metodo, dither=Image.Dither.NONE)
        con_blanco(pocos).save(tampon, 'PNG', optimize=True)
        if tampon.tell() <= PESO:
            break
    return min(png, tampon.getvalue(), key=len)


def aligerar(
    salida: dict,  # de una celda; se cambia
) -> None:
    "Aligera la figura de una salida, si la hay."
    datos = salida.get('data', {})
    if 'image/png' in datos:
        png = base64.b64decode(''.join(datos['image/png']))
        datos['image/png'] = base64.b64encode(ligera(png)).decode()


def limpiar(
    nb: nbformat.NotebookNode,  # recién ejecutado; se cambia
) -> nbformat.NotebookNode:
    """Quita las salidas que piden un núcleo en marcha, lo que se escribió en stderr,
    las horas y los números de cada celda; y aligera las figuras."""
    nb.metadata.pop('widgets', None)
    for c in nb.cells:
        if c.cell_type != 'code':
            continue
        c.metadata.pop('execution', None)
        c.outputs = [o for o in c.outputs if o.get('name') != 'stderr' and WIDGET not in o.get('data', {})]
        for o in c.outputs:
            aligerar(o)
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
    os.environ['MATPLOTLIBRC'] = str(NBS / 'matplotlibrc')
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
