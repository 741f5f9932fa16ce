"""Las páginas del sitio sin Quarto: cada cuaderno, tal como lo prepara nbdev, pasado por pandoc y por nuestro filtro,
con las mismas clases que pone Quarto."""

import base64
import posixpath
import re
import subprocess
import sys
from functools import cache
from html import escape
from pathlib import Path

import nbformat
import yaml
from bs4 import BeautifulSoup

RAIZ = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(RAIZ / 'herramientas'))
from leeme import directivas  # noqa: E402

DOCS = RAIZ / '_docs'  # el sitio que hace Quarto: make sitio
SITIO = 'https://img2audio.github.io/img2audio/'  # lo que enlaza nbdev desde un nombre de la API
IMAGENES = {'image/svg+xml': 'svg', 'image/png': 'png', 'image/jpeg': 'jpeg'}
TEXTOS = ('text/markdown', 'text/latex', 'text/plain')  # sin widgets, que piden un núcleo

# Lo justo de Quarto y de sus temas, cosmo y darkly, para que nbs/styles.css actúe sobre lo mismo
CASCARA = """<!DOCTYPE html>
<html lang="es"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{titulo}</title><link rel="icon" href="{raiz}logo.svg">
<style>
*, *::before, *::after {{ box-sizing: border-box }}
body {{ margin: 0; font: 17px/1.5 "Source Sans Pro", system-ui, sans-serif }}
.quarto-light {{ color: #343a40; background: #fff }} .quarto-light a {{ color: #2761e3 }}
.quarto-dark {{ color: #fff; background: #222 }} .quarto-dark a {{ color: #00bc8c }}
.navbar {{ background: {fondo}; padding: .5rem 1rem }} .navbar a {{ color: {tinta}; text-decoration: none }}
.navbar-brand-container {{ display: flex; align-items: center }} .navbar-brand-logo {{ display: inline-flex }}
.navbar-logo {{ max-height: 24px; width: auto; padding-right: 4px }}
#quarto-sidebar {{ display: none; font-size: .85em }} #quarto-sidebar ul {{ list-style: none; padding-left: .8em }}
#quarto-sidebar, header, main {{ max-width: 50rem; margin: 0 auto; padding: .5rem 1rem }}
@media (min-width: 992px) {{
  #quarto-sidebar {{ display: block; float: left; width: 17rem }} header, main {{ margin-left: 18rem }}
}}
img {{ max-width: 100%; height: auto; vertical-align: middle }}
pre {{ overflow: auto; font-size: .875em; margin-top: 0 }}
div.sourceCode {{ margin: 1em 0; padding: .4em; border-radius: 4px }}
.quarto-light div.sourceCode {{ background: rgba(233, 236, 239, .65) }}
.quarto-dark div.sourceCode {{ background: #2a2a2a }}
table {{ border-collapse: collapse; margin-bottom: 1rem }}
th, td {{ padding: .25rem .5rem; border-bottom: 1px solid #8886 }}
figure {{ margin: 0 0 1rem }}
</style><link rel="stylesheet" href="{raiz}styles.css"></head><body class="quarto-light">
<nav class="navbar" aria-label="Sitio"><div class="navbar-brand-container">
<a href="{raiz}index.html" class="navbar-brand navbar-brand-logo">
<img src="{raiz}logo.svg" alt="{logo}" class="navbar-logo"></a>
<a class="navbar-brand" href="{raiz}index.html"><span class="navbar-title">img2audio</span></a></div></nav>
<nav id="quarto-sidebar" aria-label="Páginas">{barra}</nav>
<header><h1>{titulo}</h1><p class="description">{descripcion}</p></header>
<main class="content" id="quarto-document-content">{cuerpo}</main>
{accesible}
</body></html>
"""


@cache
def docs_al_dia() -> bool:
    "¿Está hecho el sitio, y después del último cambio?"
    fuentes = [f for f in (RAIZ / 'nbs').rglob('*') if f.suffix in ('.ipynb', '.qmd', '.css', '.lua', '.html', '.yml')]
    indice = DOCS / 'index.html'
    return indice.is_file() and indice.stat().st_mtime > max(f.stat().st_mtime for f in fuentes)


def barra(elementos: list, nombres: dict[str, tuple[str, str]]) -> str:
    "La barra lateral de nbs/sidebar.yml, en una lista."
    html = ''
    for e in elementos:
        if isinstance(e, str):
            html += '<li><a href="{}">{}</a></li>'.format(*nombres[e])
        elif 'section' in e:
            html += f'<li>{e["section"]}: <ul>{barra(e["contents"], nombres)}</ul></li>'
        else:
            html += f'<li><a href="{e["href"]}">{e["text"]}</a></li>'
    return html


def abrir(archivo: Path) -> tuple[dict, nbformat.NotebookNode]:
    "Un cuaderno preparado por nbdev, o un `.qmd`: su cabecera y lo demás."
    if archivo.suffix == '.qmd':
        _, cabecera, texto = archivo.read_text(encoding='utf-8').split('---\n', 2)
        return {'output-file': archivo.stem + '.html', **yaml.safe_load(cabecera)}, nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_markdown_cell(texto)]
        )
    nb = nbformat.v4.reads(archivo.read_text(encoding='utf-8'))
    for c in nb.cells:
        c.pop('has_sd', None)  # una marca de nbdev que nbformat no conoce
    cabecera = nb.cells.pop(0)
    assert cabecera.cell_type == 'raw', f'{archivo.name} no tiene título: nbdev no le puso cabecera'
    return yaml.safe_load(cabecera.source.strip().strip('-')), nb


def cercado(texto: str, clases: str = '') -> str:
    "Un bloque de código, con más acentos que los que lleva dentro."
    acentos = '`' * max(3, *(len(m) + 1 for m in re.findall('`{3,}', texto)), 3)
    return f'{acentos} {clases}\n{texto}\n{acentos}\n'


def una_salida(o: dict, alt: str, figuras: Path, nombre: str) -> str:
    "Una salida de una celda, en el Markdown de Quarto; las figuras, a su archivo."
    if o['output_type'] == 'stream':
        return cercado(''.join(o['text']).rstrip('\n'))
    datos = o.get('data', {})
    if 'text/html' in datos:
        return cercado(datos['text/html'], '{=html}')
    for tipo, extension in IMAGENES.items():
        if tipo not in datos:
            continue
        figuras.mkdir(parents=True, exist_ok=True)
        archivo = figuras / f'{nombre}.{extension}'
        dibujo = datos[tipo]
        archivo.write_bytes(dibujo.encode() if extension == 'svg' else base64.b64decode(dibujo))
        return f'![{alt}]({figuras.name}/{archivo.name})\n'
    for tipo in TEXTOS:
        if tipo in datos:
            return datos[tipo] + '\n' if tipo == 'text/markdown' else cercado(datos[tipo])
    return ''


def a_markdown(
    nb: nbformat.NotebookNode,  # preparado por nbdev
    figuras: Path,  # carpeta de sus figuras
) -> str:
    "El cuaderno, en el Markdown que Quarto le da a pandoc."
    trozos = []
    for n, c in enumerate(nb.cells):
        if c.cell_type != 'code':
            trozos.append(c.source)
            continue
        d, codigo = directivas(c.source)
        opciones = {k: yaml.safe_load(v) if v else True for k, v in d.items()}
        dentro = []
        if codigo and opciones.get('echo') is not False:
            dentro.append(cercado(codigo, '{.python .cell-code}'))
            if opciones.get('code-fold'):
                titulo = opciones.get('code-summary', 'Código')
                abre, cierra = f'<details class="code-fold"><summary>{titulo}</summary>', '</details>'
                dentro = [cercado(abre, '{=html}'), *dentro, cercado(cierra, '{=html}')]
        llano = opciones.get('output') == 'asis'
        alt = opciones.get('fig-alt', '')
        salidas = [o for o in c.outputs if o.get('name') != 'stderr']
        for i, o in enumerate(salidas):
            su_alt = alt[i] if isinstance(alt, list) else alt
            md = una_salida(o, su_alt, figuras, f'celda-{n}-{i}')
            tipo = 'stdout' if o['output_type'] == 'stream' else 'display'
            dentro.append(md if llano else f'::: {{.cell-output .cell-output-{tipo}}}\n{md}\n:::\n')
        if llano:
            trozos += dentro
        elif dentro:
            trozos.append('::: {.cell}\n' + '\n'.join(dentro) + '\n:::')
    return '\n\n'.join(trozos) + '\n'


def pandoc(md: str, filtro: Path, *mas: str) -> str:
    "De Markdown a HTML, como lo pide Quarto."
    orden = ['pandoc', '-f', 'markdown-smart-implicit_figures', '-t', 'html5', '-L', filtro, '--mathml', '--wrap=none']
    r = subprocess.run([*orden, *mas], input=md, capture_output=True, text=True, encoding='utf-8')
    assert r.returncode == 0, r.stderr
    return r.stdout


def escribir(
    proc: Path,  # lo que nbdev le daría a Quarto
    destino: Path,
    cfg: dict,  # la configuración del sitio
) -> None:
    "Todas las páginas del sitio en `destino`, con lo que necesitan para verse sin red."
    for f in proc.rglob('*'):
        copia = destino / f.relative_to(proc)
        copia.parent.mkdir(parents=True, exist_ok=True)
        if f.suffix in ('.css', '.svg', '.png'):
            copia.write_bytes(f.read_bytes())
    archivos = [*proc.rglob('*.ipynb'), *proc.rglob('*.qmd')]
    abiertos = {f.relative_to(proc).as_posix(): abrir(f) for f in archivos}
    salidas = {n: posixpath.join(posixpath.dirname(n), cab['output-file']) for n, (cab, _) in abiertos.items()}
    navbar = cfg['website']['navbar']
    for n, (cab, nb) in abiertos.items():
        carpeta = posixpath.dirname(n)
        raiz = '../' * bool(carpeta)
        nombres = {
            o: (raiz + salidas[o], re.sub('`(.+?)`', r'<code>\1</code>', c['title'])) for o, (c, _) in abiertos.items()
        }
        pagina = destino / salidas[n]
        md = a_markdown(nb, pagina.with_name(pagina.stem + '_files'))
        html = BeautifulSoup(
            CASCARA.format(
                titulo=cab['title'].replace('`', ''),
                descripcion=cab.get('description', ''),
                barra='<ul>' + barra(cfg['website']['sidebar']['contents'], nombres) + '</ul>',
                cuerpo=pandoc(md, proc / cfg['filters'][0]),
                fondo=navbar['background'],
                tinta=navbar['foreground'],
                logo=escape(navbar['logo-alt']),
                raiz=raiz,
                accesible=(proc / 'accesible.html').read_text(encoding='utf-8'),
            ),
            'html.parser',
        )
        for a in html.select('a[href]'):
            ruta, almohadilla, resto = a['href'].partition('#')
            suyo = posixpath.normpath(posixpath.join(carpeta, ruta))
            if suyo in salidas:
                a['href'] = raiz + salidas[suyo] + almohadilla + resto
        pagina.write_text(str(html), encoding='utf-8')
