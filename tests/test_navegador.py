"""El sitio en un navegador de verdad, en Chromium y sin red: el de `_docs/`, si está hecho y al día, y si no, cada
cuaderno tal como nbdev lo prepara, pasado por pandoc (véase paginas.py)."""

import base64
import functools
import http.server
import io
import os
import re
import shutil
import threading
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import numpy as np
import pytest
import soundfile
from bs4 import BeautifulSoup
from paginas import CASCARA, DOCS, SITIO, docs_al_dia, escribir
from test_sitio import configuracion

RAIZ = Path(__file__).resolve().parents[1]
NBS = RAIZ / 'nbs'
PAGINAS = [f.relative_to(NBS).with_suffix('').as_posix() for f in sorted([*NBS.rglob('*.ipynb'), *NBS.rglob('*.qmd')])]
ANCHOS = (1280, 390)  # un portátil y un teléfono, en píxeles de CSS
TEMAS = ('light', 'dark')
MARGEN = 0.15  # segundos: lo que el MP3 añade por delante y por detrás
# Lo que las páginas de Quarto piden a otros sitios (MathJax, y lo de los *widgets*), que aquí no llega, y sus quejas
DE_FUERA = re.compile(
    r'//(cdn\.jsdelivr\.net|cdnjs\.cloudflare\.com)/|polyfill|integrity|define is not defined|net::ERR_'
)


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
def paginas(request, tmp_path_factory):
    "La dirección del sitio servido, y su carpeta."
    destino = DOCS
    if not docs_al_dia():
        if not shutil.which('pandoc'):
            pytest.skip('Falta pandoc, que hace las páginas: «make navegador».')
        destino = tmp_path_factory.mktemp('paginas')
        escribir(request.getfixturevalue('sitio').proc, destino, configuracion())
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

    def apuntar(fallo: str):
        if not (docs_al_dia() and DE_FUERA.search(fallo)):
            fallos.append(fallo)

    def pedir(ruta):
        if ruta.request.url.startswith((base, 'data:', 'blob:')):
            return ruta.continue_()
        apuntar(f'petición fuera del sitio: {ruta.request.url[:120]}')
        ruta.abort()

    pagina.route('**/*', pedir)
    pagina.on('pageerror', lambda e: apuntar(f'error de JavaScript: {e}'))
    pagina.on('console', lambda m: apuntar(f'consola: {m.text}') if m.type == 'error' else None)
    pagina.on('requestfailed', lambda r: apuntar(f'no llegó: {r.url[:120]}'))
    pagina.on('response', lambda r: apuntar(f'{r.status}: {r.url[:120]}') if r.status >= 400 else None)
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
CODIGO_CORTADO = """() => [...document.querySelectorAll('main pre.sourceCode')]
  .filter(e => [e, e.parentElement, e.firstElementChild].some(x => x.scrollWidth > x.clientWidth + 1 && x.clientWidth))
  .map(e => e.textContent.slice(0, 60))"""
CIFRAS_PARTIDAS = """() => {
  const partidas = [], textos = document.createTreeWalker(document.querySelector('main'), NodeFilter.SHOW_TEXT);
  while (textos.nextNode()) for (const m of textos.currentNode.data.matchAll(/\\d[\\d.,]*\\s±\\s[\\d.,]+/g)) {
    const trozo = document.createRange();
    trozo.setStart(textos.currentNode, m.index);
    trozo.setEnd(textos.currentNode, m.index + m[0].length);
    if (new Set([...trozo.getClientRects()].map(r => Math.round(r.top))).size > 1) partidas.push(m[0]);
  }
  return partidas;
}"""
LOGO = """() => {
  const medidas = [...document.querySelectorAll('.navbar-logo')].map(e => e.getBoundingClientRect());
  if (medidas.some(r => r.width >= 16 && r.height >= 16)) return [];
  return medidas.map(r => `el logotipo mide ${r.width} × ${r.height}`);
}"""
TEMA = """tema => {
  const cambiar = window.quartoToggleColorScheme;
  if (document.body.classList.contains('quarto-' + tema)) return;
  if (cambiar) cambiar(); else document.body.className = 'quarto-' + tema;
}"""
FORMULAS_MALAS = """() => [...document.querySelectorAll('math')]
  .map(e => [...e.querySelectorAll('mi, mo, mn, mtext')].map(x => x.textContent).join(''))
  .filter(t => !t.trim() || t.includes('\\\\'))"""


def accesibilidad(pagina, *reglas: str) -> list[str]:
    "Lo que axe-core encuentra grave o crítico: la regla (una de esas, si se dan), y los primeros que la incumplen."
    from axe_playwright_python.sync_playwright import Axe

    opciones = {'runOnly': list(reglas)} if reglas else None
    hallado = Axe().run(pagina, options=opciones).response['violations']
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
        'código cortado': pagina.evaluate(CODIGO_CORTADO),
        'cifras partidas': pagina.evaluate(CIFRAS_PARTIDAS),
        'logotipo': pagina.evaluate(LOGO),
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
        <pre style="overflow: auto; width: 100px">{'largo' * 60}</pre><p style="width: 4em">0,84 ± 0,02</p>
        <pre class="sourceCode" style="overflow: auto; width: 9em"><code>{'largo' * 9}</code></pre>
        <p style="color: #aaa">No</p>"""
    (tmp_path / 'logo.svg').write_text('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64"/>')
    css = re.sub('overflow-wrap: anywhere;|.navbar-logo {[^}]*}', '', (NBS / 'styles.css').read_text(encoding='utf-8'))
    (tmp_path / 'styles.css').write_text(css, encoding='utf-8')
    marco = dict(
        titulo='Mala', descripcion='', barra='<ul></ul>', accesible='', raiz='', fondo='#000', tinta='#fff', logo=''
    )
    (tmp_path / 'mala.html').write_text(CASCARA.format(cuerpo=cuerpo, **marco), encoding='utf-8')
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
    assert visto['código cortado'] == [('largo' * 9)[:60]] and visto['cifras partidas'] == ['0,84 ± 0,02']
    assert len(visto['logotipo']) == 1
    assert {o.split()[0] for o in visto['accesibilidad']} == {
        'color-contrast',
        'image-alt',
        'link-name',
        'scrollable-region-focusable',
    }
    for o in ('fuera del sitio', 'nada is not defined', '404: '):
        assert any(o in f for f in visto['al abrir']), o


@pytest.mark.parametrize('nombre', PAGINAS)
def test_pagina(navegador, paginas, capturas, nombre):
    """Se ve y se oye entera: nada roto, nada que mueva la página a los lados, estrecha o ancha, y nada grave para quien
    use un lector de pantalla o el teclado."""
    base, _ = paginas
    pagina, fallos = abrir_pagina(navegador, base, salida_html(nombre), ANCHOS[0])
    try:
        for ancho in ANCHOS:  # acaba en la estrecha, que es la que mira axe: en ella hay más cosas que se desplazan
            pagina.set_viewport_size({'width': ancho, 'height': 900})
            for tema in TEMAS if capturas else ():
                pagina.evaluate(TEMA, tema)
                archivo = capturas / f'{nombre.replace("/", "-")}-{ancho}-{tema}.jpg'
                pagina.screenshot(path=archivo, type='jpeg', quality=60, full_page=True)
            assert pagina.evaluate(DESBORDE) == [], ancho
            assert pagina.evaluate(CODIGO_CORTADO) == [], ancho
        assert pagina.evaluate('document.documentElement.lang') == 'es'
        pagina.evaluate(TEMA, 'light')
        assert problemas(pagina, fallos) == {}
        pagina.evaluate(TEMA, 'dark')
        assert accesibilidad(pagina, 'color-contrast') == []
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


def test_lo_que_se_lee(paginas):
    "Nada que solo entienda quien conoce las tripas, ni Markdown sin procesar, ni una raya donde había dos guiones."
    _, destino = paginas
    malos, fichas = [], 0
    for f in destino.rglob('*.html'):
        main = BeautifulSoup(f.read_text(encoding='utf-8'), 'html.parser').find('main')
        if not main:
            continue
        firmas = main.select('.firma')
        fichas += len(firmas)
        firma = ' '.join(e.get_text(' ') for e in firmas)
        malos += [(f.name, o) for o in re.findall(r'NoneType|\*args|\*\*k\w*|__main__|<[^<>]* [^<>]*>|Path\(./', firma)]
        sueltas = main.select(':is(h2, h3, h4) + :is(div.sourceCode, pre)')  # la firma, como la escribe nbdev
        malos += [(f.name, e.get_text()[:60]) for e in sueltas if re.match(r'\s*(async )?def ', e.get_text())]
        malos += [(f.name, e.get_text()) for e in main.select('figcaption') if 'Colab' in e.get_text()]
        for e in main.select('pre, code, script, math'):
            e.decompose()
        texto = main.get_text(' ')
        malos += [
            (f.name, o)
            for o in re.findall(r'\]\(https?:|\$\$|(?:^|\s)–[a-z]\w*|(?<![\d,.])\b1 [a-z]+(?:as|os)\b', texto)
        ]
    assert malos == []
    assert fichas > 300


def test_pesos(paginas):
    "Ninguna figura pesa más de 200 KB ni está dos veces, y el sitio entero cabe en 15 MB."
    _, destino = paginas
    pngs = {f.relative_to(destino).as_posix(): f.read_bytes() for f in destino.rglob('*.png')}
    assert [n for n, datos in pngs.items() if len(datos) > 200_000] == []
    figuras = [datos for n, datos in pngs.items() if '_files/' in n]
    assert len(figuras) > 50 and len(set(figuras)) == len(figuras)
    assert sum(f.stat().st_size for f in destino.rglob('*') if f.is_file()) < 15e6


def test_tarjeta_de_cada_pagina():
    """La imagen que se ve al compartir una página es nuestra tarjeta, y no la primera que Quarto encuentre en ella.

    Sin el sitio hecho, se mira la configuración: Quarto solo busca otra si la página no dice la suya."""
    cfg = configuracion()
    assert cfg['image'] == '/tarjeta.png' and 'tarjeta.png' in cfg['project']['resources'] and cfg['image-alt']
    assert not [f.name for f in NBS.rglob('*.qmd') if re.search('^image:', f.read_text(encoding='utf-8'), re.M)]
    for f in DOCS.rglob('*.html') if docs_al_dia() else ():
        cabeza = BeautifulSoup(f.read_text(encoding='utf-8'), 'html.parser').find('head')
        dicho = {e.get('property') or e.get('name'): e.get('content') for e in cabeza.select('meta')}
        for clave in ('og:image', 'twitter:image'):
            assert dicho.get(clave) == SITIO + 'tarjeta.png', f'{f.relative_to(DOCS)}: {clave}'
        assert dicho['twitter:card'] == 'summary_large_image', f.name
