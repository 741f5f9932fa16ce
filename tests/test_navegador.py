"El sitio en un navegador de verdad: cada cuaderno, tal como nbdev lo prepara, en Chromium y sin red."

import base64
import functools
import http.server
import io
import os
import posixpath
import re
import sys
import threading
from contextlib import contextmanager
from html import escape
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import nbformat
import numpy as np
import pytest
import soundfile
import yaml
from bs4 import BeautifulSoup
from latex2mathml.converter import convert
from nbconvert import HTMLExporter
from traitlets.config import Config

RAIZ = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(RAIZ / 'herramientas'))
from leeme import directivas  # noqa: E402

NBS = RAIZ / 'nbs'
PAGINAS = [f.relative_to(NBS).with_suffix('').as_posix() for f in sorted(NBS.rglob('*.ipynb'))] + ['404', 'glosario']
ANCHOS = (390, 1280)  # un teléfono y un portátil, en píxeles de CSS
TEX = re.compile(r'\$\$(.+?)\$\$|\$([^$\s](?:[^$]*[^$\s])?)\$', re.S)
MARGEN = 0.15  # segundos: lo que el MP3 añade por delante y por detrás
SITIO = 'https://img2audio.github.io/img2audio/'  # lo que enlaza nbdev desde un nombre de la API

# Las mismas clases que pone Quarto, para que nbs/styles.css y nbs/accesible.html actúen sobre lo mismo.
# El código, sin colores: son de Quarto.
PLANTILLA = """
{%- extends 'basic/index.html.j2' -%}
{% block codecell %}<div class="cell">{{ super() }}</div>{% endblock %}
{% block input -%}
<div class="sourceCode cell-code"><pre><code>{{ cell.source | escape }}</code></pre></div>
{%- endblock %}
{% block output -%}
{% set tipo = 'stdout' if output.output_type == 'stream' else 'display' -%}
<div{% if not cell.metadata.asis %} class="cell-output cell-output-{{ tipo }}"{% endif %}>{{ super() }}</div>
{%- endblock %}
"""
CASCARA = """<!DOCTYPE html>
<html lang="es"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{titulo}</title><link rel="icon" href="{raiz}logo.svg">
<style>
*, *::before, *::after {{ box-sizing: border-box }}
body {{ margin: 0; font: 17px/1.5 "Source Sans Pro", system-ui, sans-serif; color: #212529; background: #fff }}
nav, header, main {{ max-width: 52rem; margin: 0 auto; padding: .5rem 1rem }}
nav ul {{ display: flex; flex-wrap: wrap; gap: .3rem 1rem; list-style: none; padding: 0 }}
img {{ max-width: 100%; height: auto; vertical-align: middle }}
pre {{ overflow: auto; font-size: .85em; padding: .5rem }} .cell-code {{ background: #f5f6f8 }}
table {{ border-collapse: collapse }} th, td {{ padding: .25rem .5rem; border-bottom: 1px solid #dee2e6 }}
</style><link rel="stylesheet" href="{raiz}styles.css"></head><body><nav aria-label="Páginas">{barra}</nav>
<header><h1>{titulo}</h1><p>{descripcion}</p></header><main>{cuerpo}</main>
{accesible}
</body></html>
"""


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


ENLACE_DE_NBDEV = re.compile(r'\[(`[^`]+`)\]\(https?://[^)]+\)')
ENLACE_PRIVADO = re.compile(r'\[(`[^`]+`)\]\(https?://[^)]+\.html#(?:[^#)]+\.)?_(?!_)[^)]*\)')


def como_api_lua(md: str) -> str:
    "Lo que hace nbs/api.lua, que solo entiende pandoc."
    md = ENLACE_PRIVADO.sub(r'\1', re.sub(r'^\[source\]', '[código]', md, flags=re.M))
    return re.sub(r'```.*?```', lambda m: ENLACE_DE_NBDEV.sub(r'\1', m[0]).replace('__main__.', ''), md, flags=re.S)


def preparar(nb: nbformat.NotebookNode) -> nbformat.NotebookNode:
    "Hace con las directivas `#|` y con las salidas lo que haría Quarto."
    nb.metadata['language_info'] = {'name': 'python'}
    for c in nb.cells:
        if c.cell_type != 'code':
            c.source = como_api_lua(c.source)
            continue
        d, c.source = directivas(c.source)
        opciones = {k: yaml.safe_load(v) if v else True for k, v in d.items()}
        c.metadata.update(
            asis=opciones.get('output') == 'asis', transient={'remove_source': opciones.get('echo') is False}
        )
        c.outputs = [o for o in c.outputs if o.get('name') != 'stderr']
        for i, o in enumerate(c.outputs):
            alt = opciones.get('fig-alt')
            if alt:
                o.setdefault('metadata', {})['alt'] = alt[i] if isinstance(alt, list) else alt
            datos = o.get('data', {})
            for t in ('text/html', 'text/markdown', 'text/plain'):
                if t in datos:
                    datos[t] = re.sub(r'\)\{target="_blank"[^}]*\}', ')', datos[t])  # atributos de pandoc
            if c.metadata.asis and 'text/markdown' in datos:
                datos['text/markdown'] = como_api_lua(datos['text/markdown'])
    return nb


def mathml(tex: str, display: str = 'inline') -> str:
    "Una fórmula en MathML. (A latex2mathml se le atraganta un tamaño delante de `\\lVert`.)"
    return convert(re.sub(r'\\[Bb]igg?[lr](?=\\[lr]Vert)', '', tex), display=display)


def formulas(html: BeautifulSoup) -> None:
    "Pasa el TeX a MathML, que el navegador dibuja sin ayuda. (Quarto usa MathJax, que viene de la red.)"
    for texto in html.select_one('main').find_all(string=TEX):
        if texto.find_parent(['pre', 'code', 'script', 'style']):
            continue
        nuevo = TEX.sub(
            lambda m: f'<span class="math display">{mathml(m[1], "block")}</span>' if m[1] else mathml(m[2]),
            escape(texto),
        )
        texto.replace_with(BeautifulSoup(nuevo, 'html.parser'))


def ancla(titulo: str) -> str:
    "El identificador que pandoc da a un título."
    s = re.sub(r'[^\w\s.-]', '', titulo.lower()).strip()
    return re.sub(r'^[^a-zá-úñ]+', '', re.sub(r'\s+', '-', s))


def escribir(sitio, destino: Path) -> None:
    "Todas las páginas del sitio en `destino`, con lo que necesitan para verse sin red."
    for f in sitio.proc.rglob('*'):
        copia = destino / f.relative_to(sitio.proc)
        copia.parent.mkdir(parents=True, exist_ok=True)
        if f.suffix in ('.css', '.svg', '.png'):
            copia.write_bytes(f.read_bytes())
    archivos = [*sitio.proc.rglob('*.ipynb'), *sitio.proc.rglob('*.qmd')]
    abiertos = {f.relative_to(sitio.proc).as_posix(): abrir(f) for f in archivos}
    salidas = {n: posixpath.join(posixpath.dirname(n), cab['output-file']) for n, (cab, _) in abiertos.items()}
    contenidos = yaml.safe_load((sitio.proc / 'sidebar.yml').read_text(encoding='utf-8'))['website']['sidebar'][
        'contents'
    ]
    tipos = [
        'text/html',
        'image/svg+xml',
        'image/png',
        'image/jpeg',
        'text/markdown',
        'text/latex',
        'text/plain',
    ]  # sin widgets: piden un núcleo
    exportador = HTMLExporter(
        raw_template=PLANTILLA,
        exclude_anchor_links=True,
        exclude_input_prompt=True,
        exclude_output_prompt=True,
        config=Config(NbConvertBase=dict(display_data_priority=tipos)),
    )
    for n, (cab, nb) in abiertos.items():
        carpeta = posixpath.dirname(n)
        raiz = '../' * bool(carpeta)
        nombres = {
            o: (raiz + salidas[o], re.sub('`(.+?)`', r'<code>\1</code>', c['title'])) for o, (c, _) in abiertos.items()
        }
        lista = '<ul>' + barra(contenidos, nombres) + '</ul>'
        cuerpo, _ = exportador.from_notebook_node(preparar(nb))
        html = BeautifulSoup(
            CASCARA.format(
                titulo=cab['title'].replace('`', ''),
                descripcion=cab.get('description', ''),
                barra=lista,
                cuerpo=cuerpo,
                raiz=raiz,
                accesible=(sitio.proc / 'accesible.html').read_text(encoding='utf-8'),
            ),
            'html.parser',
        )
        formulas(html)
        for h in html.select('main :is(h1, h2, h3, h4, h5)'):
            h['id'] = ancla(h.get_text())
        for a in html.select('a[href]'):
            ruta, almohadilla, resto = a['href'].partition('#')
            suyo = posixpath.normpath(posixpath.join(carpeta, ruta))
            if suyo in salidas:
                a['href'] = raiz + salidas[suyo] + almohadilla + resto
        (destino / salidas[n]).write_text(str(html), encoding='utf-8')


@contextmanager
def servir(carpeta: Path):
    "La dirección de una carpeta servida en 127.0.0.1."

    class Callado(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    servidor = http.server.ThreadingHTTPServer(('127.0.0.1', 0), functools.partial(Callado, directory=str(carpeta)))
    threading.Thread(target=servidor.serve_forever, daemon=True).start()
    try:
        yield f'http://127.0.0.1:{servidor.server_port}/'
    finally:
        servidor.shutdown()
        servidor.server_close()


@pytest.fixture(scope='module')
def paginas(sitio, tmp_path_factory):
    "La dirección del sitio servido, y su carpeta."
    destino = tmp_path_factory.mktemp('paginas')
    escribir(sitio, destino)
    with servir(destino) as base:
        yield base, destino


@pytest.fixture(scope='module')
def capturas() -> Path | None:
    """Adónde van las capturas, para quien quiera mirarlas: la carpeta de la variable `CAPTURAS`.

    Sin ella no se hacen, que una página larga tarda."""
    if not (carpeta := os.environ.get('CAPTURAS')):
        return None
    Path(carpeta).mkdir(parents=True, exist_ok=True)
    return Path(carpeta)


def abrir_pagina(chromium, base: str, nombre: str, ancho: int):
    "La página abierta y quieta, y lo que fue mal mientras se abría."
    fallos = []
    pagina = chromium.new_page(viewport={'width': ancho, 'height': 900}, device_scale_factor=1, locale='es-ES')

    def pedir(ruta):
        if ruta.request.url.startswith((base, 'data:', 'blob:')):
            return ruta.continue_()
        fallos.append(f'petición fuera del sitio: {ruta.request.url[:120]}')
        ruta.abort()

    pagina.route('**/*', pedir)
    pagina.on('pageerror', lambda e: fallos.append(f'error de JavaScript: {e}'))
    pagina.on('console', lambda m: fallos.append(f'consola: {m.text}') if m.type == 'error' else None)
    pagina.on('requestfailed', lambda r: fallos.append(f'no llegó: {r.url[:120]}'))
    pagina.on('response', lambda r: fallos.append(f'{r.status}: {r.url[:120]}') if r.status >= 400 else None)
    pagina.goto(base + nombre, wait_until='load')
    return pagina, fallos


def salida_html(nombre: str) -> str:
    "Nombre de la página de un cuaderno: nbdev le quita el número."
    return re.sub(r'(^|/)\d+[a-z]*_', r'\1', nombre) + '.html'


IMAGENES_ROTAS = """() => [...document.images]
  .filter(i => !i.complete || !i.naturalWidth)
  .map(i => i.getAttribute('src').slice(0, 80))"""
DESBORDE = """() => {
  const ancho = document.documentElement.clientWidth, todo = document.documentElement.scrollWidth;
  if (todo <= ancho) return [];
  const tapado = e => {
    for (let p = e; p && p !== document.body; p = p.parentElement)
      if (getComputedStyle(p).overflowX !== 'visible') return true;
    return false;
  };
  const sobra = e => e.getBoundingClientRect().right > ancho + 1 || e.scrollWidth > e.clientWidth + 1 && e.clientWidth;
  const culpables = [...document.querySelectorAll('body *')].filter(e => !tapado(e) && sobra(e));
  const nombres = culpables.slice(-5).map(e => `${e.tagName}: ${e.textContent.trim().slice(0, 60)}`);
  return [`la página mide ${todo} px de ${ancho}`, ...nombres];
}"""
SONIDOS = """() => Promise.all([...document.querySelectorAll('audio')].map(async (a, i) => {
  const src = a.currentSrc || a.src || a.querySelector('source').src;
  const tampon = await new OfflineAudioContext(1, 1, 16000).decodeAudioData(await (await fetch(src)).arrayBuffer());
  const x = tampon.getChannelData(0);
  let energia = 0;
  for (const v of x) energia += v*v;
  if (a.readyState < 1) await new Promise((bien, mal) => {
    a.onloadedmetadata = bien;
    a.onerror = mal;
    a.preload = 'metadata';
    a.load();
  });
  const dicho = /Sonido de ([\\d,]+) s/.exec(a.getAttribute('aria-label') || '') || [];
  return {i, reproductor: a.duration, muestras: tampon.duration, eficaz: Math.sqrt(energia/x.length),
          promesa: dicho[1]?.replace(',', '.') || null};
}))"""
FORMULAS_MALAS = """() => [...document.querySelectorAll('math')]
  .map(e => e.textContent)
  .filter(t => !t.trim() || t.includes('\\\\'))"""


def accesibilidad(pagina) -> list[str]:
    "Lo que axe-core encuentra grave o crítico: la regla, y los primeros elementos que la incumplen."
    from axe_playwright_python.sync_playwright import Axe

    hallado = Axe().run(pagina).response['violations']
    return [
        f"{v['id']} ({v['impact']}), {len(v['nodes'])}: {v['help']} · "
        + ' · '.join(n['html'][:100] for n in v['nodes'][:3])
        for v in hallado
        if v['impact'] in ('serious', 'critical')
    ]


def sonidos_malos(pagina) -> list[str]:
    "Los reproductores que no suenan, o que no duran lo que se dijo de ellos."
    malos = []
    for s in pagina.evaluate(SONIDOS):
        if s['eficaz'] < 1e-4:
            malos.append(f"el sonido {s['i']} es silencio")
        if abs(s['reproductor'] - s['muestras']) > MARGEN:
            malos.append(f"el sonido {s['i']} dice durar {s['reproductor']:.2f} s y tiene {s['muestras']:.2f}")
        if not s['promesa']:
            malos.append(f"el sonido {s['i']} no dice cuánto dura: su aria-label debe ser como el de Sonido")
        elif abs(s['muestras'] - float(s['promesa'])) > MARGEN:
            malos.append(f"el sonido {s['i']} dura {s['muestras']:.2f} s y se prometió {s['promesa']}")
    return malos


def problemas(pagina, fallos: list[str]) -> dict[str, list]:
    "Lo que va mal en una página abierta, por clases."
    res = {
        'imágenes': pagina.evaluate(IMAGENES_ROTAS),
        'fórmulas': pagina.evaluate(FORMULAS_MALAS),
        'anchura': pagina.evaluate(DESBORDE),
        'sonidos': sonidos_malos(pagina),
        'accesibilidad': accesibilidad(pagina),
    }
    return {k: v for k, v in {**res, 'al abrir': fallos}.items() if v}


def test_los_detectores_detectan(navegador, tmp_path):
    "Una página con todo mal: si algo de esto no se ve aquí, lo demás no probaría nada."

    def wav(x):
        tampon = io.BytesIO()
        soundfile.write(tampon, x, 16_000, format='WAV')
        return 'data:audio/wav;base64,' + base64.b64encode(tampon.getvalue()).decode()

    cuerpo = f"""<img src="no.png" alt="no está"><img src="logo.svg"><h2 style="white-space: nowrap">{'largo' * 60}</h2>
        <script>nada.x()</script><script src="https://cdn.example/x.js"></script><math><mi>\\\\malo</mi></math>
        <audio controls src="{wav(np.zeros(16_000))}"></audio>
        <audio controls aria-label="Sonido de 5,12 s" src="{wav(np.sin(np.arange(32_000)))}"></audio>
        <pre style="overflow: auto; width: 100px">{'largo' * 60}</pre>"""
    for n in ('logo.svg', 'styles.css'):
        (tmp_path / n).write_bytes((RAIZ / 'nbs' / n).read_bytes().replace(b'overflow-wrap: anywhere;', b''))
    (tmp_path / 'mala.html').write_text(
        CASCARA.format(titulo='Mala', descripcion='', barra='<ul></ul>', cuerpo=cuerpo, accesible='', raiz=''),
        encoding='utf-8',
    )
    with servir(tmp_path) as base:
        pagina, fallos = abrir_pagina(navegador, base, 'mala.html', 390)
        visto = problemas(pagina, fallos)
        pagina.close()
    assert visto['imágenes'] == ['no.png'] and len(visto['fórmulas']) == 1 and 'px de 390' in visto['anchura'][0]
    assert [s.split(' ', 3)[3] for s in visto['sonidos']] == [
        'es silencio',
        'no dice cuánto dura: su aria-label debe ser como el de Sonido',
        'dura 2.00 s y se prometió 5.12',
    ]
    assert {o.split()[0] for o in visto['accesibilidad']} == {'image-alt', 'scrollable-region-focusable'}
    for o in ('fuera del sitio', 'nada is not defined', '404: '):
        assert any(o in f for f in visto['al abrir']), o


@pytest.mark.parametrize('nombre', PAGINAS)
def test_pagina(navegador, paginas, capturas, nombre):
    """Se ve y se oye entera: nada roto, nada que mueva la página a los lados, estrecha o ancha, y nada grave para quien
    use un lector de pantalla o el teclado."""
    base, _ = paginas
    pagina, fallos = abrir_pagina(navegador, base, salida_html(nombre), max(ANCHOS))
    try:
        for ancho in sorted(
            ANCHOS, reverse=True
        ):  # acaba en la estrecha, que es la que mira axe: en ella hay más cosas que se desplazan
            pagina.set_viewport_size({'width': ancho, 'height': 900})
            if capturas:
                pagina.screenshot(
                    path=capturas / f'{nombre.replace("/", "-")}-{ancho}.jpg', type='jpeg', quality=60, full_page=True
                )
            assert pagina.evaluate(DESBORDE) == [], ancho
        assert pagina.evaluate('document.documentElement.lang') == 'es'
        assert problemas(pagina, fallos) == {}
    finally:
        pagina.close()


def test_hay_sonidos(paginas):
    "La portada, la fase V y la galería llevan reproductores: que duren lo prometido lo mira `test_pagina`."
    _, destino = paginas
    for n in ('index', '04_integracion', 'puertas/galeria'):
        assert '<audio' in (destino / salida_html(n)).read_text(encoding='utf-8'), n


def test_enlaces(paginas):
    "Los enlaces a otras páginas del sitio, y los que nbdev pone en los nombres de la API, llevan a algo que existe."
    _, destino = paginas
    htmls = {
        f.relative_to(destino).as_posix(): BeautifulSoup(f.read_text(encoding='utf-8'), 'html.parser')
        for f in destino.rglob('*.html')
    }
    anclas = {n: {e['id'] for e in h.select('[id]')} for n, h in htmls.items()}
    rotos = []
    for n, h in htmls.items():
        for a in h.select('a[href]'):
            url = urlsplit(urljoin(SITIO + n, a['href']))
            if not url.geturl().startswith(SITIO):
                continue
            pagina, ancla_ = unquote(url.geturl().removeprefix(SITIO).partition('#')[0]), unquote(url.fragment)
            if pagina not in htmls and not (destino / pagina).is_file():
                rotos.append(f'{n}: {a["href"]} no existe')
            elif ancla_ and ancla_ not in anclas[pagina]:
                rotos.append(f'{n}: en {pagina} no hay #{ancla_}')
    assert rotos == []
