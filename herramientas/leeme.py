"Escribe `README.md` a partir de `nbs/index.ipynb`, o comprueba que dice lo mismo (`--comprobar`)."

import argparse
import difflib
import posixpath
import re
import shutil
import sys
from pathlib import Path

import mistune
import nbformat
from nbconvert import MarkdownExporter
from nbconvert.preprocessors import Preprocessor

RAIZ = Path(__file__).resolve().parents[1]
CUADERNO, LEEME, FIGURAS = RAIZ / 'nbs' / 'index.ipynb', RAIZ / 'README.md', 'index_files'
DIRECTIVA = re.compile(r'^\s*#\s*\|\s*([\w-]+)\s*:?\s*(.*?)\s*$')
EXTERNO = re.compile(r'^([a-zA-Z][a-zA-Z0-9+.-]*:|#|/)')
ENLACE = re.compile(r'(\]\()([^)\s]+)')
TROZO_CODIGO = re.compile(r'(^(?P<v>```+|~~~+).*?^(?P=v)[^\n]*$|`[^`\n]+`)', re.M | re.S)


def directivas(
    codigo: str,  # código de una celda
) -> tuple[dict[str, str], str]:  # sus directivas `#|`, y el código sin ellas
    "Separa las directivas de nbdev y de Quarto del código."
    lineas = codigo.splitlines()
    n = next((i for i, o in enumerate(lineas) if not DIRECTIVA.match(o)), len(lineas))
    return {m[1]: m[2] for m in map(DIRECTIVA.match, lineas[:n])}, '\n'.join(lineas[n:]).strip('\n')


def desde_raiz(
    url: str,  # destino de un enlace escrito en nbs/
) -> str:  # el mismo destino visto desde la raíz, donde está README.md
    "Los enlaces relativos del cuaderno parten de `nbs/`; los del README, de la raíz."
    if EXTERNO.match(url) or url.startswith('attachment:'):
        return url
    ruta, almohadilla, ancla = url.partition('#')
    return posixpath.normpath(posixpath.join('nbs', ruta)) + almohadilla + ancla


def enlaces_desde_raiz(
    md: str,  # Markdown de una celda
) -> str:  # el mismo, con los enlaces relativos vistos desde la raíz
    "No toca lo que está entre acentos graves."
    trozos, i = [], 0
    for m in TROZO_CODIGO.finditer(md):
        trozos += [ENLACE.sub(lambda e: e[1] + desde_raiz(e[2]), md[i : m.start()]), m[0]]
        i = m.end()
    return ''.join(trozos) + ENLACE.sub(lambda e: e[1] + desde_raiz(e[2]), md[i:])


class ParaLeer(Preprocessor):
    "Deja de `index.ipynb` lo que se lee en una página sin JavaScript: sin celdas ocultas, directivas ni reproductores."

    def preprocess(self, nb, resources):
        "Recorre las celdas y quita las que no se ven."
        nb.metadata['language_info'] = {'name': 'python'}
        nb.cells = [c for c in map(self.celda, nb.cells) if c is not None]
        return nb, resources

    def celda(self, c):
        "La celda que se verá, o `None`."
        if c.cell_type == 'raw':
            return None
        if c.cell_type == 'markdown':
            c.source = enlaces_desde_raiz(c.source)
            return c
        d, c.source = directivas(c.source)
        if {'hide', 'default_exp', 'exporti'} & d.keys() or d.get('include') == 'false':
            return None
        if 'export' in d or 'hide_input' in d or d.get('echo') == 'false':
            c.metadata['transient'] = {'remove_source': True}
        if 'hide_output' in d or d.get('output') == 'false':
            c.outputs = []
        c.outputs = [o for o in map(self.salida, c.outputs) if o is not None]
        return c if c.outputs or (c.source and 'transient' not in c.metadata) else None

    def salida(self, o):
        "La salida que se verá, o `None`: figuras, texto y Markdown; nada de avisos ni de HTML."
        if o.output_type == 'stream':
            return o if o.name == 'stdout' else None
        if o.output_type == 'error' or 'data' not in o:
            return None
        if 'application/vnd.jupyter.widget-view+json' in o.data or '<audio' in ''.join(o.data.get('text/html', '')):
            return None
        for t in ('image/png', 'image/jpeg', 'text/markdown', 'text/plain'):
            if t in o.data:
                o.data = {t: o.data[t]}
                return o
        return None


def convertir(
    cuaderno: Path = CUADERNO,  # cuaderno de portada
) -> tuple[str, dict[str, bytes]]:  # el Markdown, y las figuras por su ruta
    "Markdown de la portada con el exportador de nbconvert."
    nb = nbformat.read(cuaderno, as_version=4)
    exportador = MarkdownExporter(preprocessors=[])
    exportador.register_preprocessor(ParaLeer(), enabled=True)
    # primero se elige qué se ve y luego se extraen las figuras
    exportador._preprocessors.sort(key=lambda p: not isinstance(p, ParaLeer))
    md, recursos = exportador.from_notebook_node(nb, {'output_files_dir': FIGURAS, 'unique_key': 'figura'})
    md = re.sub(r'^!\[(png|jpeg)\]\(', '![Figura](', md, flags=re.M)
    md = re.sub(r'\n{3,}', '\n\n', re.sub(r'^[ \t]+$', '', md, flags=re.M)).strip() + '\n'
    return '<!-- Escrito por `make readme` a partir de nbs/index.ipynb: los cambios, allí. -->\n\n' + md, recursos[
        'outputs'
    ]


def _texto(nodo) -> str:
    "Texto de un nodo de mistune, con el de sus hijos."
    if nodo['type'] in ('softbreak', 'linebreak'):
        return ' '
    if nodo['type'] in ('image', 'inline_html', 'block_html', 'block_code'):
        return ' '
    return nodo.get('raw', '') + ''.join(map(_texto, nodo.get('children', ())))


def _normal(s: str) -> str:
    "Comillas, rayas, escapes y espacios de una sola manera: Quarto los cambia."
    for a, b in (
        ('“', '"'),
        ('”', '"'),
        ('‘', "'"),
        ('’', "'"),
        ('…', '...'),
        ('\u00a0', ' '),
        ('—', '---'),
        ('–', '--'),
    ):
        s = s.replace(a, b)
    return ' '.join(s.split())


def partes(
    md: str,  # un documento Markdown
) -> dict[str, list[str]]:  # títulos, texto, código y enlaces, en orden
    "Lo que se compara de un README. Las salidas de las celdas, que cada herramienta escribe a su modo, no cuentan."
    res = {'títulos': [], 'texto': [], 'código': [], 'enlaces': []}
    bloques = {'paragraph', 'block_text', 'table_cell'}

    def enlaces(n):
        if n['type'] in ('link', 'image'):
            url = n['attrs']['url']
            if n['type'] == 'link' or not url.split('/')[0].endswith('_files'):
                res['enlaces'].append(url)
        for h in n.get('children', ()):
            enlaces(h)

    def visita(n):
        if n['type'] == 'heading':
            res['títulos'].append(f"{'#' * n['attrs']['level']} {_normal(_texto(n))}")
            enlaces(n)
        elif n['type'] in bloques:
            enlaces(n)
            if t := _normal(_texto(n)):
                res['texto'].append(t)
        elif n['type'] == 'block_code':
            if n.get('marker'):
                res['código'].append('\n'.join(o.rstrip() for o in n['raw'].strip('\n').splitlines()))
        else:
            for h in n.get('children', ()):
                visita(h)

    for n in mistune.create_markdown(renderer='ast', plugins=['table', 'strikethrough', 'url'])(md):
        visita(n)
    return res


def comparar(
    leeme: str,  # README.md
    esperado: str,  # lo que da el cuaderno
) -> list[str]:  # diferencias, ninguna si dicen lo mismo
    "Títulos, texto, código y enlaces que faltan o sobran en el README."
    hay, debe = partes(leeme), partes(esperado)
    # Quarto deja los enlaces como en el cuaderno y nbdev enlaza los símbolos a su documentación
    hay['enlaces'] = [o if o in debe['enlaces'] else desde_raiz(o) for o in hay['enlaces']]
    hay['enlaces'] = [o for o in hay['enlaces'] if o in debe['enlaces'] or not re.search(r'\.html#[\w.]+$', o)]
    return [
        linea
        for k in debe
        if hay[k] != debe[k]
        for linea in (f'{k}:', *difflib.unified_diff(hay[k], debe[k], 'README.md', 'nbs/index.ipynb', lineterm='', n=1))
    ]


def escribir(
    md: str,  # texto del README
    figuras: dict[str, bytes],  # figuras por su ruta
) -> None:
    "Escribe README.md y rehace la carpeta de sus figuras."
    shutil.rmtree(RAIZ / FIGURAS, ignore_errors=True)
    for ruta, datos in figuras.items():
        (RAIZ / ruta).parent.mkdir(parents=True, exist_ok=True)
        (RAIZ / ruta).write_bytes(datos)
    LEEME.write_text(md, encoding='utf-8')


def principal() -> int:
    "Estado de salida: 0 si todo va bien, 1 si el README no dice lo que el cuaderno."
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument('--comprobar', action='store_true', help='no escribe: compara y sale con 1 si difieren')
    a = p.parse_args()
    if not CUADERNO.exists():
        print(f'No existe {CUADERNO.relative_to(RAIZ)}.', file=sys.stderr)
        return 1
    md, figuras = convertir()
    if not a.comprobar:
        escribir(md, figuras)
        print(f'README.md: {len(md.splitlines())} líneas, {len(figuras)} figuras.')
        return 0
    dif = comparar(LEEME.read_text(encoding='utf-8'), md) if LEEME.exists() else ['README.md no existe.']
    if dif:
        print(
            *dif, '\nREADME.md no dice lo mismo que nbs/index.ipynb: ejecute «make readme».', sep='\n', file=sys.stderr
        )
        return 1
    print('README.md dice lo mismo que nbs/index.ipynb.')
    return 0


if __name__ == '__main__':
    sys.exit(principal())
